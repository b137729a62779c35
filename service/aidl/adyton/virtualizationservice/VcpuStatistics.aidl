package adyton.virtualizationservice;

import adyton.virtualizationservice.NamedCount;

parcelable VcpuStatistics {
    /** What the backend counts: "exits.REASON" and more. */
    NamedCount[] counts;
}
