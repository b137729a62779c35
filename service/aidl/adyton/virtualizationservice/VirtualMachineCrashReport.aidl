package adyton.virtualizationservice;

import adyton.virtualizationservice.CrashKind;

/** What was kept of a VM that crashed: one readable file of printable ASCII; IVirtualizationService.openCrashReport() opens it. */
parcelable VirtualMachineCrashReport {
    /** The VM's name. */
    String vm;
    CrashKind kind = CrashKind.MACHINE;
    /** One sentence for a person. */
    String cause;
    /** Milliseconds since 1970-01-01 UTC. */
    long timeMillis;
    /** Where the service keeps it, as its processes see the file system. */
    String path;
}
