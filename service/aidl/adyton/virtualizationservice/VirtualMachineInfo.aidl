package adyton.virtualizationservice;

import adyton.virtualizationcommon.DeathReason;
import adyton.virtualizationservice.IsolationLevel;
import adyton.virtualizationservice.VirtualMachineCrashReport;
import adyton.virtualizationservice.VirtualMachineState;

/** A VM at this moment. Counters of a dead VM are those of its end. */
parcelable VirtualMachineInfo {
    int cid;
    String name;
    VirtualMachineState state = VirtualMachineState.NOT_STARTED;
    IsolationLevel isolation = IsolationLevel.NONE;
    /** What runs the guest: "soft", "kvm"; empty before start(). */
    String backend;
    boolean detached;
    boolean persistent;
    boolean app;
    int cpuCount;
    long memoryBytes;
    /** Of the VM's process; -1: there is none. */
    int pid = -1;
    int requesterUid;
    int requesterPid;
    /** Since start(); of a dead VM: how long it lived. */
    long uptimeMillis;
    /** Time that the VM's process has spent on CPUs. */
    long cpuTimeMillis;
    /** Memory of the VM's process, now and at most (VmRSS, VmHWM). */
    long residentBytes;
    long peakResidentBytes;
    /** The payload's exit code, 128 + N after signal N; 125, 126 or 127 when it could not be executed; -1: it has none (yet). */
    int payloadExitCode = -1;
    /** Of a DEAD one. */
    DeathReason deathReason = DeathReason.UNKNOWN;
    /** One sentence for a person: why it ended; empty while it lives. */
    String deathMessage;
    /** The Unix socket of its vsock ports (docs/vsock.md); empty: it has none. */
    String vsockSocket;
    /** Its CPUs are halted by suspend(). */
    boolean suspended;
    /** Of this run; null: it has left none (yet). */
    @nullable VirtualMachineCrashReport crashReport;
}
