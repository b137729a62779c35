package adyton.virtualizationservice;

/** Who is kept from looking into a guest. Every surface that shows a VM says which level is in force. */
@Backing(type="int")
enum IsolationLevel {
    /** The guest cannot look into the host; the host may look into the guest. */
    NONE = 0,
    /**
     * The guest's memory is in a process of its own and unreadable by the VMM, by other processes, by debuggers and core dumps.
     * The host's kernel is trusted.
     */
    PROCESS = 1,
    /** The host's kernel cannot read the guest's memory (pKVM). */
    HYPERVISOR = 2,
}
