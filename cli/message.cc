#include "cli/message.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <string>

#include "guest/exec_protocol.h"

namespace adyton::cli {

void say(std::string_view message) {
  std::string line = "adyton: ";
  line += message;
  std::replace(line.begin(), line.end(), '\n', ' ');
  line += '\n';
  (void)!::write(STDERR_FILENO, line.data(), line.size());
}

int failed(const Error& error) {
  say(error.message);
  return guest::kExitError;
}

int print(const std::string& text) {
  if (std::fwrite(text.data(), 1, text.size(), stdout) == text.size() && std::fflush(stdout) == 0) return 0;
  return failed(fail_errno("cannot write standard output").error());
}

std::string one_line(std::string text) {
  constexpr size_t kLongest = 1000;
  for (char& c : text) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = ' ';
  }
  if (text.size() > kLongest) text.resize(kLongest);
  return text;
}

}  // namespace adyton::cli
