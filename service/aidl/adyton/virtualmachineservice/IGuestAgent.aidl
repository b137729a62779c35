package adyton.virtualmachineservice;

/**
 * Served by the guest over the session that it opened to IVirtualMachineService. Every method is oneway: the host never waits for a
 * guest. The transaction ids are AVF's.
 */
interface IGuestAgent {
    /** Asks the guest to end its payload and to power off. The host pulls the plug if that takes more than five seconds. */
    oneway void shutdownAsync() = 1;

    /** Asks the guest to give back memory that it can do without. */
    oneway void trimAsync() = 4;
}
