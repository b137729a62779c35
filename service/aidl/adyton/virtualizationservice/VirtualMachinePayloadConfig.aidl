package adyton.virtualizationservice;

import adyton.virtualizationservice.PayloadMount;

/** What the guest's init executes. The meaning of each field is that of ExecRequest in guest/exec_protocol.h. */
parcelable VirtualMachinePayloadConfig {
    /** A path in the payload's root; a name without a slash is looked up in PATH. */
    String program;
    /** argv[0] included. */
    String[] argv;
    /** "NAME=value". */
    String[] env;
    String workdir = "/";
    String hostname = "adyton";
    int uid = 0;
    int gid = 0;
    /** One terminal (vsock port 1028) instead of the streams stdin, stdout and stderr (ports 1025, 1026 and 1027). */
    boolean terminal = false;
    /** The terminal's size. */
    int rows = 24;
    int columns = 80;
    /** The serial of the disk that is the payload's root; empty: the payload runs in the initramfs. */
    String rootSerial;
    PayloadMount[] mounts;
    /** Set the guest's clock from the host's. */
    boolean setClock = true;
}
