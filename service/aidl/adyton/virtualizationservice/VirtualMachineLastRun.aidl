package adyton.virtualizationservice;

import adyton.virtualizationcommon.DeathReason;
import adyton.virtualizationservice.VirtualMachineCrashReport;

/** How the last run of a persistent VM ended. */
parcelable VirtualMachineLastRun {
    DeathReason deathReason = DeathReason.UNKNOWN;
    /** One sentence for a person. */
    String deathMessage;
    /** As in VirtualMachineInfo. */
    int payloadExitCode = -1;
    boolean app;
    /** What the payload wrote to the log, the last 1 MiB of it: a file, open for reading. */
    ParcelFileDescriptor log;
    /** That the run has left; null: none, or it has had to make room for newer ones. */
    @nullable VirtualMachineCrashReport crashReport;
}
