package adyton.virtualizationservice;

/** One way to run a guest. */
parcelable BackendCapability {
    /** "soft": Adyton's own translator; "kvm". */
    String name;
    boolean available;
    /** Why not; empty if it is available. */
    String reason;
    /** What of the host's processor it makes use of. */
    String[] hostFeatures;
}
