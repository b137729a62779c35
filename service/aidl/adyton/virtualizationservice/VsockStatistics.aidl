package adyton.virtualizationservice;

parcelable VsockStatistics {
    /** Open now. */
    long connections;
    /** Ever, by either side. */
    long opened;
    /** Requests of either side that were answered with a reset. */
    long refused;
    /** Payload, in bytes. */
    long bytesFromGuest;
    long bytesToGuest;
}
