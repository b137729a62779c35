// From the user's words to a VM that can be started.
#pragma once
#include <string>

#include "adyton/virtual_machine_config.h"
#include "base/result.h"
#include "cli/direct_vm.h"
#include "cli/options.h"
#include "cli/progress.h"
#include "cli/session.h"
#include "guest/image/progress.h"

namespace adyton::cli {

// Shows each step.
image::Progress report_to(Progress& progress);

// `tty`: the payload gets a terminal, of the size of ours.
Result<VirtualMachineConfig> make_config(const RunOptions& options, bool tty);

// Whether all files and folders are there that the VM is to be made of. One that is made for later tells so now.
Result<void> check_files(const RunOptions& options);

// What a DirectVm is made of, and the session's end of the serial console.
struct DirectRun {
  DirectVmConfig vm;
  UniqueFd console;
  bool wait_for_power_off = false;
};
// Cheap checks come first: a mistake is reported before anything is fetched or built. The exit code of an Outcome that comes back
// as error says whose fault it was.
std::expected<DirectRun, Outcome> prepare_direct(const VirtualMachineConfig& config, Progress& progress);

// A serial console: our end, and the VM's. One of the user's own is typed to.
struct SerialConsole {
  UniqueFd ours;
  UniqueFd theirs;
};
Result<SerialConsole> make_console(bool payload);

// `adyton prepare`: puts the guest's kernel and initramfs into the cache. Returns where the cache is.
Result<std::string> prepare_cache(const std::string& kernel_suite, Progress& progress);

}  // namespace adyton::cli
