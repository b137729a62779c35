package adyton.virtualizationservice;

/** A thread of the VM's process, as the host's kernel sees it. */
parcelable ThreadUsage {
    /** "vcpu0", "virtio-blk", ... */
    String name;
    long cpuTimeMillis;
}
