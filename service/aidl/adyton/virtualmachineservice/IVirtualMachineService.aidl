package adyton.virtualmachineservice;

import adyton.virtualizationcommon.ErrorCode;
import adyton.virtualmachineservice.IGuestAgent;

/**
 * What the host offers to a guest: RpcBinder over vsock, host CID 2, port VM_BINDER_SERVICE_PORT. Every VM has its own server, so a
 * guest speaks for itself alone. The payload's state only moves forward; a report of an earlier state is ignored.
 *
 * A guest that speaks the exec protocol (guest/exec_protocol.h) has its started and finished reported from there.
 */
interface IVirtualMachineService {
    /** The vsock port on the host where this interface is served. */
    const int VM_BINDER_SERVICE_PORT = 5000;

    /** The payload's entry is about to run. */
    void notifyPayloadStarted();

    /** The payload is ready to serve: what AVmPayload_notifyPayloadReady() sends. */
    void notifyPayloadReady();

    /** The payload has ended with this exit code; 128 + N if signal N ended it. */
    void notifyPayloadFinished(int exitCode);

    /** Something failed for good; the message is for a person (at most 1 KiB of it is kept). */
    void notifyError(ErrorCode errorCode, String message);

    /** From now on the host may call the agent. A second agent takes the place of the first. */
    void registerGuestAgent(IGuestAgent agent);
}
