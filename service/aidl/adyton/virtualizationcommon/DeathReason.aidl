package adyton.virtualizationcommon;

/** Why a virtual machine ended. The numbers are those of the Android Virtualization Framework; 9 and 10 are not in use there either. */
@Backing(type="int")
enum DeathReason {
    /** The service could not do its part: it lost track of the VM, or ran out of something. */
    INFRASTRUCTURE_ERROR = 0,
    /** The VM was stopped or killed: by a client, because its client went away, or because a signal ended its process. */
    KILLED = 1,
    /** The VM's process ended with a status that says nothing. */
    UNKNOWN = 2,
    /** The guest powered off. */
    SHUTDOWN = 3,
    /** The VM could not be started: its configuration, kernel or memory was refused. */
    START_FAILED = 4,
    /** The guest asked for a reset. */
    REBOOT = 5,
    /** The guest crashed: its kernel panicked, or it did what no CPU or board can carry on from. */
    CRASH = 6,
    /** The firmware of a protected VM refused the payload's key. */
    PVM_FIRMWARE_PUBLIC_KEY_MISMATCH = 7,
    /** The firmware of a protected VM found that the instance image had changed. */
    PVM_FIRMWARE_INSTANCE_IMAGE_CHANGED = 8,
    /** The guest's init lost, or never made, its connection to this service. */
    MICRODROID_FAILED_TO_CONNECT_TO_VIRTUALIZATION_SERVICE = 11,
    /** The payload is not the one that this instance was made for. */
    MICRODROID_PAYLOAD_HAS_CHANGED = 12,
    /** The payload does not match its signature. */
    MICRODROID_PAYLOAD_VERIFICATION_FAILED = 13,
    /** The payload could not be executed: no such program, not executable, or its mounts could not be made. */
    MICRODROID_INVALID_PAYLOAD_CONFIG = 14,
    /** The guest's init failed, or broke its protocol. */
    MICRODROID_UNKNOWN_RUNTIME_ERROR = 15,
    /** The payload did not start within the time that the configuration gives it. */
    HANGUP = 16,
    /** The watchdog found that the guest made no progress. */
    WATCHDOG_REBOOT = 17,
}
