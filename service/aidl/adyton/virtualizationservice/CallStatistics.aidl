package adyton.virtualizationservice;

/** How often a method was called, and how long that took. */
parcelable CallStatistics {
    /** The VM that the calls were about: its clients' and its guest's. Empty: calls to the service itself. */
    String vm;
    /** The interface, with its package. */
    String descriptor;
    /** "other": a code that no method has. */
    String method;
    /** Calls that took up to ServiceStatistics.callBoundsNanos[i] and longer than the bound before; the last: longer than all. */
    long[] counts;
    /** Of all of them together. */
    long totalNanos;
    /** Calls that were answered with an error. */
    long failures;
}
