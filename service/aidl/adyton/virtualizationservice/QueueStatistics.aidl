package adyton.virtualizationservice;

/** What a virtqueue has carried since the VM was made. */
parcelable QueueStatistics {
    /** Doorbells that woke the device. */
    long kicks;
    /** Descriptor chains that the device has given back. */
    long chains;
    long bytesFromGuest;
    long bytesToGuest;
}
