package adyton.virtualizationservice;

import adyton.virtualizationservice.DiskImage;
import adyton.virtualizationservice.IsolationLevel;

/**
 * A virtual machine: an arm64 board with CPUs, memory and disks. Every file is opened by the client: the service and the VMM open
 * none by name. A kernel, or a bootloader, not both.
 */
parcelable VirtualMachineRawConfig {
    /**
     * What people see in lists, and by what getVm() finds it; empty: "vm-CID". Non-empty names follow the rule of records (see
     * IVirtualizationService.createRecord) and are unique among the user's live VMs.
     */
    String name;
    /** All zeros for a VM without identity. Of a persistent VM the record's instance id is taken, and this is ignored. */
    byte[64] instanceId;

    /** An arm64 Linux Image, perhaps compressed; or */
    @nullable ParcelFileDescriptor kernel;
    /** what stands in flash at address 0. */
    @nullable ParcelFileDescriptor bootloader;
    @nullable ParcelFileDescriptor initrd;
    /** The kernel's command line: at most 2048 bytes. */
    @nullable String params;
    /** At most 16. */
    DiskImage[] disks;

    /** Bytes of RAM, a multiple of 64 KiB; 0: 256 MiB. */
    long memoryBytes = 0;
    /** 1 to 123; 0: as many as the service may run on. */
    int cpuCount = 1;
    /** Asked for; createVm() fails and says why if the machine cannot give it. Nothing less is ever given. */
    IsolationLevel isolation = IsolationLevel.NONE;

    /** The console's input is at a virtio console instead of the PL011 UART; the output of both is the console's. */
    boolean virtioConsole = false;

    /**
     * The guest has a watchdog (Arm's SBSA generic watchdog, which Linux's driver sbsa_gwdt serves), which runs from the start on: this many
     * seconds without a refresh by the guest end the VM (DeathReason.WATCHDOG_REBOOT). At most a day; 0: it has none.
     */
    int watchdogSeconds = 0;

    /**
     * The VM outlives its client: it ends with the guest, by stop() or kill(), or with the service. Otherwise it ends at once when
     * the last reference to the IVirtualMachine that createVm() returned is gone, or the client's session with it.
     */
    boolean detached = false;
    /** `name` is that of a record, which cannot be deleted or changed while the VM lives. */
    boolean persistent = false;

    /**
     * Where the service makes the Unix socket of the VM's vsock ports (docs/vsock.md), instead of in its runtime folder: an absolute path
     * of at most 96 bytes. The one file that the service makes where a client says: the client is the same user.
     */
    String vsockSocket;
}
