package adyton.virtualizationservice;

/** In bytes; -1: the guest does not tell. */
parcelable BalloonStatistics {
    /** That the balloon is to have. */
    long target;
    /** That it has, as the guest says. */
    long actual;
    /** Given back to the host since the start, free pages that the guest reported included. */
    long returned;
    long guestFree;
    long guestAvailable;
    long guestTotal;
    long guestCaches;
}
