// From the user's words to a VM that can be started: checks, images, open files.
#pragma once
#include <string>

#include "base/result.h"
#include "cli/options.h"
#include "cli/progress.h"
#include "cli/session.h"

namespace adyton::cli {

// Everything of a SessionConfig but the user's streams, signals and terminal; `tty`: the payload gets a terminal. Cheap checks
// come first: a mistake is reported before anything is fetched or built. The exit code of an Outcome that comes back as error
// says whose fault it was.
std::expected<SessionConfig, Outcome> prepare(const RunOptions& options, bool tty, Progress& progress);

// `adyton prepare`: puts the guest's kernel and initramfs into the cache. Returns where the cache is.
Result<std::string> prepare_cache(Progress& progress);

}  // namespace adyton::cli
