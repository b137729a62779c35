#include "guest/init/log.h"

#include <fcntl.h>
#include <unistd.h>

#include <string>

#include "base/unique_fd.h"

namespace adyton::guest {

void log_line(LogLevel level, std::string_view text) {
  const UniqueFd kmsg(::open("/dev/kmsg", O_WRONLY | O_CLOEXEC));
  const std::string words = "adyton-init: " + std::string(text) + "\n";
  const std::string line = kmsg.valid() ? "<" + std::to_string(static_cast<int>(level)) + ">" + words : words;
  // Before /dev is mounted there is only the console that the kernel opened for init.
  [[maybe_unused]] const ssize_t written = ::write(kmsg.valid() ? kmsg.get() : STDERR_FILENO, line.data(), line.size());
}

}  // namespace adyton::guest
