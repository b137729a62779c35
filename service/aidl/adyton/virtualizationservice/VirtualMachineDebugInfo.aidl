package adyton.virtualizationservice;

import adyton.virtualizationservice.IsolationLevel;
import adyton.virtualizationservice.VirtualMachineState;

/** A live VM, in IVirtualizationService.debugListVms(). */
parcelable VirtualMachineDebugInfo {
    int cid;
    String name;
    /** Who created it. */
    int requesterUid;
    int requesterPid;
    VirtualMachineState state = VirtualMachineState.NOT_STARTED;
    IsolationLevel isolation = IsolationLevel.NONE;
    int cpuCount;
    long memoryBytes;
    boolean detached;
    /** Of the VM's process; -1: there is none. */
    int pid = -1;
    /** Since start(). */
    long uptimeMillis;
    /** Its CPUs are halted by suspend(). */
    boolean suspended;
}
