#include "service/init_words.h"

#include <string_view>

namespace adyton::service {
namespace {

constexpr std::string_view kName = "adyton-init: ";

// "[    1.234567] adyton-init: ..."; with the caller's number behind the time where the kernel is told so.
std::string_view words_of(std::string_view line) {
  while (line.starts_with('[')) {
    const size_t end = line.find("] ");
    if (end == std::string_view::npos) return {};
    line.remove_prefix(end + 2);
  }
  return line.starts_with(kName) ? line : std::string_view();
}

}  // namespace

std::vector<std::string> InitWords::take(std::span<const uint8_t> console) {
  std::vector<std::string> lines;
  for (const uint8_t byte : console) {
    const char c = static_cast<char>(byte);
    if (c != '\n' && c != '\r') {
      if (line_.size() < kMaxLine) line_ += c;
      continue;
    }
    if (const std::string_view words = words_of(line_); !words.empty()) lines.emplace_back(words);
    line_.clear();
  }
  return lines;
}

}  // namespace adyton::service
