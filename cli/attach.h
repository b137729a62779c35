// Commands that read a running virtual machine's streams.
#pragma once
#include "cli/options.h"

namespace adyton::cli {

int console(const ConsoleOptions& options);
int logs(const LogsOptions& options);

}  // namespace adyton::cli
