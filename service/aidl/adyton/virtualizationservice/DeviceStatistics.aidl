package adyton.virtualizationservice;

import adyton.virtualizationservice.QueueStatistics;

/** A virtio device; its slot is its place in the list. */
parcelable DeviceStatistics {
    /** "virtio-blk". */
    String name;
    long interrupts;
    QueueStatistics[] queues;
}
