// `adyton run`, and what goes like it.
#pragma once
#include <string>

#include "cli/options.h"

namespace adyton::cli {

// Returns the exit code. Says what went wrong on stderr, in one line.
int run(const RunOptions& options);

// `adyton start --attach`: the same for a VM that is there and does not run.
int start_attached(const std::string& name);

}  // namespace adyton::cli
