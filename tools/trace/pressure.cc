#include "tools/trace/pressure.h"

#include <fcntl.h>
#include <unistd.h>

#include <charconv>

namespace adyton::trace {

std::optional<uint64_t> parse_memory_stall(std::string_view text) {
  if (!text.starts_with("some ")) return std::nullopt;
  text = text.substr(0, text.find('\n'));
  constexpr std::string_view kTotal = " total=";
  const size_t at = text.find(kTotal);
  if (at == std::string_view::npos) return std::nullopt;
  uint64_t value = 0;
  const char* const begin = text.data() + at + kTotal.size();
  if (std::from_chars(begin, text.data() + text.size(), value).ec != std::errc()) return std::nullopt;
  return value;
}

MemoryPressure::MemoryPressure() : file_(::open("/proc/pressure/memory", O_RDONLY | O_CLOEXEC)) {}

std::optional<uint64_t> MemoryPressure::stalled() const {
  char text[256];
  const ssize_t size = file_.valid() ? ::pread(file_.get(), text, sizeof(text), 0) : -1;
  if (size <= 0) return std::nullopt;
  return parse_memory_stall({text, static_cast<size_t>(size)});
}

}  // namespace adyton::trace
