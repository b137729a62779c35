// What the commands that speak to the service share.
#pragma once
#include <memory>
#include <string>

#include "adyton/virtual_machine_manager.h"
#include "base/result.h"

namespace adyton::cli {

// Starts the service if it does not run.
Result<std::shared_ptr<VirtualMachineManager>> connect_to_service();

// kNotFound, with what to do, if there is none of that name.
Result<std::shared_ptr<VirtualMachine>> find_vm(VirtualMachineManager& manager, const std::string& name);

// The same for what may be asked of a VM that has ended.
Result<std::shared_ptr<VirtualMachine>> find_vm_or_end(VirtualMachineManager& manager, const std::string& name);

// Of a VM that does not run; kNotFound, with the reason, if nothing is known of it.
Result<LastRun> last_run_of(VirtualMachine& vm);

// Deletes a VM that was made to be run once and then kept, and never came so far. Not one that left a crash report: its guest may
// have crashed before anything else was heard of it. Whether that works is of no interest any more.
void discard_unused(VirtualMachineManager& manager, const std::string& name);

}  // namespace adyton::cli
