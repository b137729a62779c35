package adyton.virtualizationservice;

import adyton.virtualizationservice.VirtualMachineAppConfig;
import adyton.virtualizationservice.VirtualMachineRawConfig;

/** Either a VM that runs a payload, or one of the user's own. */
union VirtualMachineConfig {
    VirtualMachineAppConfig appConfig;
    VirtualMachineRawConfig rawConfig;
}
