#include "cli/message.h"

#include <unistd.h>

#include <algorithm>
#include <string>

namespace adyton::cli {

void say(std::string_view message) {
  std::string line = "adyton: ";
  line += message;
  std::replace(line.begin(), line.end(), '\n', ' ');
  line += '\n';
  (void)!::write(STDERR_FILENO, line.data(), line.size());
}

}  // namespace adyton::cli
