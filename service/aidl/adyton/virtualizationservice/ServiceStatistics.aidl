package adyton.virtualizationservice;

import adyton.virtualizationservice.CallStatistics;
import adyton.virtualizationservice.HostPressure;

/** What the service counts besides its VMs (VirtualMachineStatistics). */
parcelable ServiceStatistics {
    String version;
    /** Live VMs, and sessions of clients. */
    int vms;
    int clients;
    /** Memory that the service's own process uses. */
    long residentBytes;
    /** Of each CallStatistics.counts: upper bounds, ascending. */
    long[] callBoundsNanos;
    CallStatistics[] calls;
    /** Empty on a kernel without it. */
    HostPressure[] hostPressure;
}
