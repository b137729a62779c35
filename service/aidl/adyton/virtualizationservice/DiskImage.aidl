package adyton.virtualizationservice;

/** One virtio block device. Disks have the order of their addresses in the guest: the first is /dev/vda to Linux. */
parcelable DiskImage {
    /** A regular file or a block device, opened by the client for reading, or for both if `writable`. */
    ParcelFileDescriptor image;
    boolean writable = false;
    /** What the guest reads as the disk's serial number: at most 20 bytes. */
    String serial;
}
