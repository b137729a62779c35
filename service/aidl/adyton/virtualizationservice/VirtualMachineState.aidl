package adyton.virtualizationservice;

/** States only go forward. The numbers are AVF's. */
@Backing(type="int")
enum VirtualMachineState {
    /** Created; start() has not been called. */
    NOT_STARTED = 0,
    /** The guest boots. A raw VM goes from here to STARTED when its CPUs run. */
    STARTING = 1,
    /** The payload runs. */
    STARTED = 2,
    /** The payload has said that it is ready. */
    READY = 3,
    /** The payload has ended; the guest is about to power off. */
    FINISHED = 4,
    /** The VM is gone. */
    DEAD = 6,
}
