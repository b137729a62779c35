package adyton.virtualizationservice;

import adyton.virtualizationservice.BackendCapability;
import adyton.virtualizationservice.IsolationCapability;

/** What this machine can do. */
parcelable Capabilities {
    /** AVF's bits: getCapabilities() of its VirtualMachineManager. */
    const int CAPABILITY_PROTECTED_VM = 1;
    const int CAPABILITY_NON_PROTECTED_VM = 2;

    /** The service's version. */
    String version;
    int capabilities;
    /** One for each level, in their order. */
    IsolationCapability[] isolation;
    BackendCapability[] backends;
    /** KVM is there and has run a guest for the service: what it measured is in the reason of the backend "kvm". */
    boolean measured;
}
