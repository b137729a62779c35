package adyton.virtualizationservice;

/** What of a VM a trace has rings for, in the order of the rings: its vCPUs, its devices, and its interrupt controller. */
parcelable TraceSources {
    int vcpuCount = 0;
    /** By slot: "virtio-rng" ... */
    String[] devices;
}
