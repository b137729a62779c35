package adyton.virtualizationservice;

import adyton.virtualizationservice.DebugLevel;
import adyton.virtualizationservice.IsolationLevel;

/**
 * The configuration that a record keeps. All but `config` make up the VM's identity: two configurations are compatible if these fields
 * are equal (AVF: VirtualMachineConfig.isCompatibleWith()). Memory, CPUs and where the payload's file is do not belong to it.
 */
parcelable VirtualMachineRecordConfig {
    /** The client library's own description, kept as it is: at most 64 KiB. */
    String config;

    IsolationLevel isolation = IsolationLevel.NONE;
    DebugLevel debugLevel = DebugLevel.NONE;
    /** 0: none. */
    long encryptedStorageBytes = 0;
    boolean outputCaptured = false;
    boolean consoleInputSupported = false;
    /** Which payload it is: a program's name in its package, and the package's. */
    String payloadBinaryName;
    String payloadConfigPath;
    String packageName;
    String os;
    String[] extraPayloads;
}
