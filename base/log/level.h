// How much a message matters.
#pragma once
#include <cstdint>
#include <string_view>

#include "base/result.h"

namespace adyton::log {

enum class Level : int8_t {
  kOff = -1,  // of a threshold only: nothing is written
  kError,     // something that was asked for does not happen; somebody has to act
  kWarning,   // it goes on, but somebody should know
  kInfo,      // what a person who looks after the machine wants to find later
  kDebug,     // what somebody who searches for a fault wants to see
};

// "off", "error", "warning", "info", "debug".
[[nodiscard]] std::string_view to_string(Level level);
// Those words; kInvalidArgument otherwise.
Result<Level> parse_level(std::string_view text);

// syslog's severity (RFC 5424, table 2; journald's PRIORITY): 3, 4, 6, 7.
[[nodiscard]] int syslog_severity(Level level);

}  // namespace adyton::log
