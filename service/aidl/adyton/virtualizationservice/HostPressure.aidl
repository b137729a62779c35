package adyton.virtualizationservice;

/** How long tasks of the host had to wait for a resource: Linux's pressure stall information. */
parcelable HostPressure {
    /** "cpu", "memory" or "io". */
    String resource;
    /** "some": at least one task waited; "full": all that could have run did. */
    String kind;
    /** Of the last ten seconds: 0 to 1. */
    double share;
    /** Since the host was started. */
    long stalledMicros;
}
