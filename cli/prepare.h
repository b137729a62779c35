// From the user's words to a VM that can be started.
#pragma once
#include <string>

#include "adyton/virtual_machine_config.h"
#include "base/result.h"
#include "cli/options.h"
#include "cli/progress.h"
#include "cli/session.h"

namespace adyton::cli {

// `tty`: the payload gets a terminal, of the size of ours.
Result<VirtualMachineConfig> make_config(const RunOptions& options, bool tty);

// Everything of a SessionConfig but the user's streams, signals and terminal. Cheap checks come first: a mistake is reported
// before anything is fetched or built. The exit code of an Outcome that comes back as error says whose fault it was.
std::expected<SessionConfig, Outcome> prepare(const RunOptions& options, bool tty, Progress& progress);

// `adyton prepare`: puts the guest's kernel and initramfs into the cache. Returns where the cache is.
Result<std::string> prepare_cache(Progress& progress);

}  // namespace adyton::cli
