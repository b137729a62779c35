package adyton.virtualizationservice;

import adyton.virtualizationservice.Capabilities;
import adyton.virtualizationservice.IVirtualMachine;
import adyton.virtualizationservice.ResourceUsage;
import adyton.virtualizationservice.ServiceStatistics;
import adyton.virtualizationservice.VirtualMachineConfig;
import adyton.virtualizationservice.VirtualMachineCrashReport;
import adyton.virtualizationservice.VirtualMachineDebugInfo;
import adyton.virtualizationservice.VirtualMachineDescriptor;
import adyton.virtualizationservice.VirtualMachineLastRun;
import adyton.virtualizationservice.VirtualMachineRecord;
import adyton.virtualizationservice.VirtualMachineRecordConfig;

/**
 * The virtualization service, adytond: one for each user. Served on the Unix socket $XDG_RUNTIME_DIR/adyton/adytond.sock (without
 * XDG_RUNTIME_DIR: /tmp/adyton-UID/adytond.sock; ADYTON_RUNTIME_DIR names another folder), with file descriptors (RPC file descriptor
 * mode UNIX). Callers of another user are refused. A client that has callbacks opens at least one incoming connection for them. Parcels may
 * be larger than AOSP's: see service/interface.h for that and other numbers that both sides must agree on.
 *
 * Errors: EX_ILLEGAL_ARGUMENT for what is wrong with the arguments, EX_SECURITY, EX_ILLEGAL_STATE (exists already, runs, does not
 * run), EX_UNSUPPORTED_OPERATION, and service-specific errors ERROR_*. Each has a sentence for a person.
 */
interface IVirtualizationService {
    /** Service-specific errors. */
    const int ERROR_NOT_FOUND = 1;
    /** A limit, or the machine's resources; the sentence names the limit and how to raise it. */
    const int ERROR_EXHAUSTED = 3;
    /** The VM's process is gone, or not there yet. */
    const int ERROR_UNAVAILABLE = 5;
    const int ERROR_CORRUPT = 6;
    const int ERROR_INTERNAL = 7;

    /**
     * Makes a VM, which start() starts. What the guest writes to its console is also written to consoleOutFd, what its payload writes to
     * a log that no client listens for to osLogFd, and consoleInFd is typed on the console. The service keeps descriptors of
     * these; a slow reader loses output.
     */
    IVirtualMachine createVm(in VirtualMachineConfig config, in @nullable ParcelFileDescriptor consoleOutFd,
            in @nullable ParcelFileDescriptor consoleInFd, in @nullable ParcelFileDescriptor osLogFd);

    /** The live VM of that name, or null. The object does not keep the VM alive. */
    @nullable IVirtualMachine getVm(String name);

    /** The user's live VMs, of all clients, by cid. */
    VirtualMachineDebugInfo[] debugListVms();

    /** The first call may take two seconds: it measures. */
    Capabilities getCapabilities();
    ResourceUsage getResourceUsage();

    /** 64 random bytes: the identity of a new VM that has no record. */
    byte[64] allocateInstanceId();

    // ---- Records of persistent VMs ($XDG_DATA_HOME/adyton/vm/NAME). Each change is whole or absent, whatever happens meanwhile.

    /**
     * Makes a record with a new instance id. EX_ILLEGAL_STATE if there is one of that name. A name is 1 to 255 bytes of UTF-8, without
     * '/', ':' and control characters, and neither "." nor "..".
     */
    VirtualMachineRecord createRecord(String name, in VirtualMachineRecordConfig config);
    /** null if there is none. */
    @nullable VirtualMachineRecord getRecord(String name);
    /** The record of that name as it is, or a new one. */
    VirtualMachineRecord getOrCreateRecord(String name, in VirtualMachineRecordConfig config);
    /** Ordered by name. */
    String[] listRecords();
    /** Replaces the configuration by one that is compatible, and returns the old one. EX_ILLEGAL_STATE while its VM is alive. */
    VirtualMachineRecordConfig setRecordConfig(String name, in VirtualMachineRecordConfig config);
    /** Deletes the record and all files in its folder. EX_ILLEGAL_STATE while its VM is alive. */
    void deleteRecord(String name);

    /** Opens a record's files for another program. EX_ILLEGAL_STATE while its VM is alive. */
    VirtualMachineDescriptor exportRecord(String name);
    /** Makes a record with copies of the descriptor's files: the VM has the same identity. EX_ILLEGAL_STATE if the name is taken. */
    VirtualMachineRecord importRecord(String name, in VirtualMachineDescriptor descriptor);

    /** null: its VM has never run, runs now, or ran when the service was killed. ERROR_NOT_FOUND if there is no record. */
    @nullable VirtualMachineLastRun getLastRun(String name);

    /** Calls, the host's pressure and the service's own use. What a VM counts: IVirtualMachine.getStatistics(). */
    ServiceStatistics getStatistics();

    // ---- Crash reports. The last 5 of a record are kept as long as it is, of other VMs the last 20.

    /** Those of the VMs of that name, or if it is empty of all; the newest first. */
    VirtualMachineCrashReport[] listCrashReports(String name);
    /** One that listCrashReports() has named: a file, open for reading. ERROR_NOT_FOUND for any other path. */
    ParcelFileDescriptor openCrashReport(String path);
}
