// The command that shows what virtual machines use, again and again.
#pragma once
#include "cli/options.h"

namespace adyton::cli {

int top(const TopOptions& options);

}  // namespace adyton::cli
