package adyton.virtualizationservice;

import adyton.virtualizationcommon.DeathReason;
import adyton.virtualizationcommon.ErrorCode;

/**
 * What happens to a VM, in order. Each of the first three comes at most once; onDied() comes exactly once and is the last. A client that
 * loses its session takes that as onDied(): its VMs, but for detached ones, are gone then.
 *
 * A client that takes nothing for ten seconds loses its session. One that is slow loses calls, but never onDied(): the service keeps 64.
 */
oneway interface IVirtualMachineCallback {
    /** The payload's entry is about to run; of a raw VM: its CPUs are. */
    void onPayloadStarted(int cid);

    /** The payload has said that it is ready to serve. */
    void onPayloadReady(int cid);

    /** The payload has ended; exitCode is 128 + N if signal N ended it. */
    void onPayloadFinished(int cid, int exitCode);

    /** The guest, or the service on its behalf, reports an error that the VM will end from. */
    void onError(int cid, ErrorCode errorCode, String message);

    /** The VM is gone: its process, memory and streams are. `message` is one sentence for a person. */
    void onDied(int cid, DeathReason reason, String message);
}
