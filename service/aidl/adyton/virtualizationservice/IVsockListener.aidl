package adyton.virtualizationservice;

/** Takes the connections that a guest makes to a vsock port of the host (IVirtualMachine.listenVsock()). */
oneway interface IVsockListener {
    /** The guest has connected to `port`. The stream is a connected Unix socket; bytes go straight to the VMM, not through the service. */
    void onVsockConnection(int port, in ParcelFileDescriptor stream);
}
