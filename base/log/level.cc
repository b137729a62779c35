#include "base/log/level.h"

#include <string>

namespace adyton::log {

std::string_view to_string(Level level) {
  switch (level) {
    case Level::kOff: return "off";
    case Level::kError: return "error";
    case Level::kWarning: return "warning";
    case Level::kInfo: return "info";
    case Level::kDebug: break;
  }
  return "debug";
}

Result<Level> parse_level(std::string_view text) {
  for (const Level level : {Level::kOff, Level::kError, Level::kWarning, Level::kInfo, Level::kDebug}) {
    if (text == to_string(level)) return level;
  }
  return fail(ErrorCode::kInvalidArgument,
              "'" + std::string(text) + "' is no log level; there are off, error, warning, info and debug");
}

int syslog_severity(Level level) {
  switch (level) {
    case Level::kOff:
    case Level::kError: return 3;
    case Level::kWarning: return 4;
    case Level::kInfo: return 6;
    case Level::kDebug: break;
  }
  return 7;
}

}  // namespace adyton::log
