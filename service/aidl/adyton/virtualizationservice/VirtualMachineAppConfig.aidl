package adyton.virtualizationservice;

import adyton.virtualizationservice.DebugLevel;
import adyton.virtualizationservice.VirtualMachinePayloadConfig;
import adyton.virtualizationservice.VirtualMachineRawConfig;

/**
 * A virtual machine with Adyton's init in it, which executes a payload. The service speaks with the init (guest/exec_protocol.h, vsock
 * port 1024) and reports the payload's states.
 *
 * The payload's streams come in on vsock ports 1025 to 1028. A client that called listenVsock() for them before start() owns them, and
 * after onPayloadFinished() it reads them to their end and then calls stop(): until then the VM stays, so that nothing is lost.
 * Streams that nobody listens for are the service's: standard input is at its end, the output goes to the VM's log (openLog()).
 */
parcelable VirtualMachineAppConfig {
    VirtualMachineRawConfig machine;
    VirtualMachinePayloadConfig payload;
    DebugLevel debugLevel = DebugLevel.NONE;
    /**
     * Milliseconds between start() and the payload's start, after which the VM is taken to hang and is killed (DeathReason.HANGUP);
     * 0: never.
     */
    int bootTimeoutMillis = 60000;
}
