package adyton.virtualizationservice;

/** What of a VM a trace has rings for, in the order of the rings: its vCPUs, then its devices. */
parcelable TraceSources {
    int vcpuCount = 0;
    /** By slot: "virtio-rng" ... */
    String[] devices;
}
