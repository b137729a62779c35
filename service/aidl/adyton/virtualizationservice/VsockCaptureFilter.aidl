package adyton.virtualizationservice;

/** Which packets a capture has, and how much of them. */
parcelable VsockCaptureFilter {
    /** Packets from or to one of these ports (unsigned numbers), at most 64; none: all packets. */
    int[] ports;
    /** Bytes of each packet's payload to keep. */
    int maxPayload = 0x7fffffff;
}
