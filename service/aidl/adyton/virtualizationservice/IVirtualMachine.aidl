package adyton.virtualizationservice;

import adyton.virtualizationservice.BootPhase;
import adyton.virtualizationservice.IVirtualMachineCallback;
import adyton.virtualizationservice.IVsockListener;
import adyton.virtualizationservice.IsolationLevel;
import adyton.virtualizationservice.MemoryTrimLevel;
import adyton.virtualizationservice.TraceSources;
import adyton.virtualizationservice.VirtualMachineInfo;
import adyton.virtualizationservice.VirtualMachineState;
import adyton.virtualizationservice.VirtualMachineStatistics;
import adyton.virtualizationservice.VsockCaptureFilter;
import adyton.virtualizationservice.VsockType;

/**
 * One virtual machine. The object that createVm() returns keeps it alive (unless it is detached); those that getVm() returns do not.
 * A call that the VM's state does not allow fails with EX_ILLEGAL_STATE and a sentence that says which state it is in.
 */
interface IVirtualMachine {
    /** The lowest vsock port that a guest or a client may use. */
    const int MIN_VSOCK_PORT = 1024;

    /** A number that no other live VM of this user has: 2048 to 65535. */
    int getCid();
    String getName();
    VirtualMachineState getState();
    /** The level in force. */
    IsolationLevel getIsolation();
    /** Also of a dead one. */
    VirtualMachineInfo getInfo();

    /**
     * Adds a callback: before start() if nothing is to be missed. Of a dead VM it gets onDied() at once. It ends with the VM, with its client's
     * session, or by unregisterCallback().
     */
    void registerCallback(IVirtualMachineCallback callback);

    /** Starts the VM, once. Returns when its CPUs may run, or says why they cannot; the VM is dead then (START_FAILED). */
    void start();

    /**
     * Ends the VM in order: asks its guest agent to shut down, or ends the payload (SIGTERM), and pulls the plug after five seconds, or at
     * once if there is nobody to ask. Returns when the VM is gone. Does nothing to a dead VM.
     */
    void stop();

    /** Pulls the plug. Returns when the VM is gone. */
    void kill();

    /**
     * Halts the guest's CPUs, and lets them run on; of a VM that is in that state already they do nothing. The guest's virtual counter stands
     * still meanwhile, and with it every clock of a Linux guest; one with Adyton's init has its wall clock set anew by resume(). Its state stays
     * what it was, and its time to boot does not run out. stop() resumes it first.
     */
    void suspend();
    void resume();

    /** Connects to a vsock port that the guest listens on (an unsigned number). The stream is a connected Unix socket. */
    ParcelFileDescriptor connectVsock(int port);

    /**
     * Copies the VM's vsock packets into a ring of the client's (observe/record_ring.h), without passing them through the service.
     * Returns the reader's end of the ring's wake socket: at its end the VM is gone, and closing it ends the capture. A reader that is
     * slow loses packets, which are counted, and never slows down the guest. At most 16 captures of a VM at a time. Of one that has
     * not been loaded yet it waits for that, so that it has the first packet.
     */
    ParcelFileDescriptor captureVsock(in ParcelFileDescriptor ring, in VsockCaptureFilter filter);

    /**
     * Takes the connections that the guest makes to `port` of the host, until the listener's session ends; a port whose listener has gone
     * can be taken over. Before start() if no connection is to be missed. At most 56 ports. The ports 1024 (of a VM with a payload) and
     * IVirtualMachineService.VM_BINDER_SERVICE_PORT are the service's, and so are, once it has started, the payload's streams that nobody
     * listened for.
     */
    void listenVsock(int port, IVsockListener listener);

    /**
     * The serial console: a connected Unix socket that carries what the guest writes from now on, after the up to 1 MiB that it has written
     * last if `withHistory`; what is written to it is typed on the console. At its end the VM is gone. A reader that is slow loses
     * output, and never slows down the guest or others. Also of a dead VM, as long as its object lives. At most 16 at a time.
     */
    ParcelFileDescriptor openConsole(boolean withHistory);

    /** The log: output of the payload that no client has listened for. As openConsole(), but what is written to it goes nowhere. */
    ParcelFileDescriptor openLog(boolean withHistory);

    /** Sends a Linux signal (1 to 64) to the payload's process group; SIGKILL ends all that it has started. */
    void signalPayload(int signal);

    /** Tells the payload's terminal its size. */
    void setTerminalSize(int rows, int columns);

    /** Asks the guest's agent to give back memory. EX_UNSUPPORTED_OPERATION if the guest has none. */
    void onTrimMemory(MemoryTrimLevel level);

    /** The balloon's size in bytes: what the guest has given back to the host because it was asked to. EX_ILLEGAL_STATE unless it runs. */
    long getMemoryBalloon();
    /** Asks for another size, which the guest makes as far as it can, later. At most the guest's memory. */
    void setMemoryBalloon(long bytes);

    /** Changes whether the VM outlives its client. One that is no longer detached ends with this object, whoever created it. */
    void setDetached(boolean detached);

    /** As connectVsock() and listenVsock(), for connections of `type`. */
    ParcelFileDescriptor connectVsockOfType(int port, VsockType type);
    void listenVsockOfType(int port, VsockType type, IVsockListener listener);

    /** EX_ILLEGAL_STATE unless it runs. */
    VirtualMachineStatistics getStatistics();

    /**
     * Debuggers may connect to `listener`, a listening stream socket, and speak GDB's remote serial protocol there; it takes the place of an
     * earlier one, unless a debugger is connected. `hold`, before start(): no guest code runs until a debugger says so. EX_SECURITY for an
     * isolated VM, and for one with a payload whose debug level is not FULL. With a debugger there is no boot timeout.
     */
    void attachDebugger(in ParcelFileDescriptor listener, boolean hold);

    /**
     * Leaves records of what the VM does (observe/trace_record.h) in `ringCount` rings of one memory, the client's: one for each
     * vCPU and each device of getTraceSources(), and one more. `categories` are bits of observe::TraceCategory. Returns a socket: at its end the VM is gone, and
     * closing it ends the trace. A reader that is slow loses records, which are counted, and never slows down the guest. One trace of a
     * VM at a time. Waits as captureVsock() does. EX_SECURITY for what an isolated guest keeps to itself.
     */
    ParcelFileDescriptor trace(in ParcelFileDescriptor rings, int ringCount, int categories);

    /**
     * Leaves a record of each call that the service serves about this VM, of clients and of the guest, in a ring of the client's. As
     * trace(), but of any VM that is not dead.
     */
    ParcelFileDescriptor traceCalls(in ParcelFileDescriptor ring);

    /** The parts of its start that are over, one after the other; "payload main" is where they lead. Also of a dead one. */
    BootPhase[] getBootPhases();

    /**
     * The memory and registers of a VM that runs, as an ELF core, from a socket (observe/dump_stream.h). The VM stands still until all of it has been
     * read, the reader is gone, or has read nothing for ten seconds. EX_SECURITY as for attachDebugger().
     */
    ParcelFileDescriptor dumpMemory();

    /** Of a VM that has not been loaded yet it waits for that. */
    TraceSources getTraceSources();

    /** Ends a callback; what is on its way may reach it still. One that is not registered is none of its business. */
    oneway void unregisterCallback(IVirtualMachineCallback callback);

    /**
     * The first half of start(), which may follow: makes the VM's process and loads what it boots. Returns when captures and traces
     * can begin that are to see the first instruction, or says why that failed; the VM is dead then (START_FAILED).
     */
    void prepare();

    /**
     * As stop(), but the payload has so many milliseconds to end before the guest's init kills it; the plug is pulled two seconds later, if that
     * does not help, and at once when they are over where there is only an agent. 0 pulls the plug at once. Of several who wait for the VM's end
     * the one with the least patience is heard. EX_ILLEGAL_ARGUMENT if it is negative.
     */
    void stopWithin(int patienceMillis);
}
