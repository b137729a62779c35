package adyton.virtualizationservice;

/** A part of a VM's start. Times are nanoseconds of the host's CLOCK_MONOTONIC. */
parcelable BootPhase {
    /** "spawn", "load", "kernel", "init" or "payload main". */
    String name;
    long beginNs = 0;
    long endNs = 0;
}
