package adyton.virtualizationcommon;

/** What a guest reports before it gives up (IVirtualMachineCallback.onError). The numbers are AVF's. */
@Backing(type="int")
enum ErrorCode {
    UNKNOWN = 0,
    /** The payload does not match its signature. */
    PAYLOAD_VERIFICATION_FAILED = 1,
    /** The payload is not the one that this instance was made for. */
    PAYLOAD_CHANGED = 2,
    /** The payload could not be executed. */
    PAYLOAD_INVALID_CONFIG = 3,
}
