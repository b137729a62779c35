package adyton.virtualizationservice;

/** A count since the VM was made. */
parcelable NamedCount {
    /** Letters, digits, '_' and '.'; a dot separates a family from its member ("exits.mmio"). */
    String name;
    long value;
}
