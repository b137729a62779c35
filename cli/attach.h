// Commands that read a running virtual machine's streams.
#pragma once
#include <cstddef>
#include <string_view>

#include "cli/options.h"

namespace adyton::cli {

int console(const ConsoleOptions& options);
int logs(const LogsOptions& options);

// The end of `text` from the `count`th line from its end on. A last line without an end is one.
std::string_view last_lines(std::string_view text, size_t count);

}  // namespace adyton::cli
