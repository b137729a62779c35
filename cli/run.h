// `adyton run`.
#pragma once
#include "cli/options.h"

namespace adyton::cli {

// Returns the exit code. Says what went wrong on stderr, in one line.
int run(const RunOptions& options);

}  // namespace adyton::cli
