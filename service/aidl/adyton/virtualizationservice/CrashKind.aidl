package adyton.virtualizationservice;

/** What has crashed. */
@Backing(type="int")
enum CrashKind {
    KERNEL_PANIC = 0,
    /** A fault has killed the payload. */
    PAYLOAD = 1,
    /** A guest or an engine could not go on. */
    MACHINE = 2,
    /** Nothing was heard of the guest for too long. */
    HANG = 3,
}
