#include "guest/init/log.h"

#include <fcntl.h>
#include <unistd.h>

#include <string>

#include "base/unique_fd.h"

namespace adyton::guest {

void log_line(LogLevel level, std::string_view text) {
  const UniqueFd kmsg(::open("/dev/kmsg", O_WRONLY | O_CLOEXEC));
  const std::string line = "<" + std::to_string(static_cast<int>(level)) + ">adyton-init: " + std::string(text) + "\n";
  if (kmsg.valid()) [[maybe_unused]] const ssize_t written = ::write(kmsg.get(), line.data(), line.size());
}

}  // namespace adyton::guest
