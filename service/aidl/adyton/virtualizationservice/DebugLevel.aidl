package adyton.virtualizationservice;

/** AVF's debug levels. Part of a VM's identity: an instance made with one level cannot be run with the other. */
@Backing(type="int")
enum DebugLevel {
    /** As in production. */
    NONE = 0,
    /** Consoles and logs may be read, the guest may be debugged. */
    FULL = 1,
}
