package adyton.virtualizationservice;

import adyton.virtualizationservice.IsolationLevel;

parcelable IsolationCapability {
    IsolationLevel level = IsolationLevel.NONE;
    boolean available;
    /** What keeps the machine from giving it; empty if it is available. */
    String reason;
}
