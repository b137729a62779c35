package adyton.virtualizationservice;

/** A disk of the VM that the guest's init mounts for the payload (an erofs image). */
parcelable PayloadMount {
    /** The serial of one of the VM's disks. */
    String serial;
    /** An absolute path in the payload's root; made when missing. */
    String target;
    /** false: a tmpfs over it takes the writes, which end with the VM. */
    boolean readOnly = true;
}
