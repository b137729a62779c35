package adyton.virtualizationservice;

/** How a vsock connection carries data. A port of the guest or of the host is of one type at a time. */
@Backing(type="int")
enum VsockType {
    /** Bytes: a SOCK_STREAM socket. */
    STREAM = 0,
    /** Messages of up to 256 KiB, each arriving whole: a SOCK_SEQPACKET socket. */
    SEQPACKET = 1,
}
