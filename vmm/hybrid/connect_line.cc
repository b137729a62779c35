#include "vmm/hybrid/connect_line.h"

#include <algorithm>
#include <charconv>

namespace adyton::vmm::hybrid {
namespace {

constexpr std::string_view kBlanks = " \t\r";

std::string_view next_word(std::string_view& text) {
  text.remove_prefix(std::min(text.find_first_not_of(kBlanks), text.size()));
  const std::string_view word = text.substr(0, text.find_first_of(kBlanks));
  text.remove_prefix(word.size());
  return word;
}

char upper(char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c; }

}  // namespace

std::optional<uint32_t> parse_connect(std::string_view line) {
  constexpr std::string_view kWord = "CONNECT";
  const std::string_view word = next_word(line);
  const std::string_view digits = next_word(line);
  if (!next_word(line).empty() || digits.empty()) return std::nullopt;
  if (!std::equal(word.begin(), word.end(), kWord.begin(), kWord.end(), [](char a, char b) { return upper(a) == b; }))
    return std::nullopt;
  uint32_t port = 0;
  const auto end = digits.data() + digits.size();
  const auto parsed = std::from_chars(digits.data(), end, port);
  if (parsed.ec != std::errc() || parsed.ptr != end) return std::nullopt;
  return port;
}

size_t ConnectLine::take(std::string_view bytes) {
  if (state_ != State::kIncomplete) return 0;
  const size_t newline = bytes.find('\n');
  const size_t part = std::min(newline, bytes.size());
  const size_t taken = newline == std::string_view::npos ? part : part + 1;
  if (line_.size() + taken > kMaxLine || (newline == std::string_view::npos && line_.size() + taken == kMaxLine)) {
    state_ = State::kInvalid;
    return taken;
  }
  line_.append(bytes.substr(0, part));
  if (newline == std::string_view::npos) return taken;
  const auto port = parse_connect(line_);
  state_ = port ? State::kComplete : State::kInvalid;
  port_ = port.value_or(0);
  return taken;
}

}  // namespace adyton::vmm::hybrid
