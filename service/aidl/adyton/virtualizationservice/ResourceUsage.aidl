package adyton.virtualizationservice;

/**
 * What the user's live VMs have been promised, and what they may have at most. A limit beyond what a field holds is shown as the
 * most that it holds.
 */
parcelable ResourceUsage {
    int vms;
    int maxVms;
    int maxVmsPerClient;
    int cpus;
    int maxCpus;
    long memoryBytes;
    long maxMemoryBytes;
    /** Memory that the VMs' processes use now. */
    long residentBytes;
    int clients;
    int maxCpusPerClient;
    long maxMemoryPerClientBytes;
}
