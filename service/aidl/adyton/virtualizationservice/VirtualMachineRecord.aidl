package adyton.virtualizationservice;

import adyton.virtualizationservice.VirtualMachineRecordConfig;

/** A persistent VM: what is on disk, whether it runs or not. */
parcelable VirtualMachineRecord {
    String name;
    byte[64] instanceId;
    VirtualMachineRecordConfig config;
    /** Where the client keeps the VM's own files (instance.img, storage.img): they go when the record goes. */
    String directory;
    /** A VM of this record is alive. */
    boolean running;
}
