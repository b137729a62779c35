// Init's own words go to the kernel log, which is what a person sees on the serial console.
#pragma once
#include <string_view>

namespace adyton::guest {

enum class LogLevel { kError = 3, kInfo = 6 };  // the kernel's own numbers

// Best effort: a machine without /dev/kmsg loses the line.
void log_line(LogLevel level, std::string_view text);

}  // namespace adyton::guest
