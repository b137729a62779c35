package adyton.virtualizationservice;

/** How short of memory the host is. The numbers are AVF's. */
@Backing(type="int")
enum MemoryTrimLevel {
    TRIM_MEMORY_RUNNING_CRITICAL = 0,
    TRIM_MEMORY_RUNNING_LOW = 1,
    TRIM_MEMORY_RUNNING_MODERATE = 2,
}
