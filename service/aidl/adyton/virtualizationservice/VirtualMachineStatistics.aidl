package adyton.virtualizationservice;

import adyton.virtualizationservice.BalloonStatistics;
import adyton.virtualizationservice.DeviceStatistics;
import adyton.virtualizationservice.NamedCount;
import adyton.virtualizationservice.ThreadUsage;
import adyton.virtualizationservice.VcpuStatistics;
import adyton.virtualizationservice.VsockStatistics;

/**
 * What a VM that runs has done. All but the threads is what its own process tells: a guest that has taken that over can make it up.
 */
parcelable VirtualMachineStatistics {
    ThreadUsage[] threads;
    NamedCount[] counts;
    /** By index. */
    VcpuStatistics[] vcpus;
    /** In the order of their addresses. */
    DeviceStatistics[] devices;
    VsockStatistics vsock;
    BalloonStatistics balloon;
}
