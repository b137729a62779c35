package adyton.virtualizationservice;

/** A record as open files, to give to another program: AVF's VirtualMachineDescriptor. All are opened for reading only. */
parcelable VirtualMachineDescriptor {
    ParcelFileDescriptor config;
    ParcelFileDescriptor instanceId;
    @nullable ParcelFileDescriptor instanceImage;
    @nullable ParcelFileDescriptor encryptedStorage;
}
