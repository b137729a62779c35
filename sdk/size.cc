#include "sdk/size.h"

#include <fmt/format.h>

#include <charconv>

namespace adyton::sdk {
namespace {

// The power of two behind a unit, or -1.
int unit_shift(std::string_view unit) {
  if (unit.empty()) return 0;
  int shift = 0;
  switch (unit.front() | 0x20) {
    case 'k': shift = 10; break;
    case 'm': shift = 20; break;
    case 'g': shift = 30; break;
    case 't': shift = 40; break;
    default: return -1;
  }
  unit.remove_prefix(1);
  return unit.empty() || unit == "B" || unit == "iB" ? shift : -1;
}

}  // namespace

Result<uint64_t> parse_size(std::string_view text) {
  uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error == std::errc::invalid_argument)
    return fail(ErrorCode::kInvalidArgument, fmt::format("'{}' is not a size (say 512M or 2G)", text));
  const int shift = unit_shift(std::string_view(end, static_cast<size_t>(text.data() + text.size() - end)));
  if (shift < 0) return fail(ErrorCode::kInvalidArgument, fmt::format("'{}' is not a size (say 512M or 2G)", text));
  if (error == std::errc::result_out_of_range || value > UINT64_MAX >> shift) {
    return fail(ErrorCode::kInvalidArgument, fmt::format("'{}' is more than any machine has", text));
  }
  return value << shift;
}

std::string format_size(uint64_t bytes) {
  constexpr const char* kUnits[] = {"bytes", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
  size_t unit = 0;
  uint64_t scale = 1;
  while (unit + 1 < std::size(kUnits) && bytes / scale >= 1024) {
    scale <<= 10;
    ++unit;
  }
  if (bytes % scale == 0) return fmt::format("{} {}", bytes / scale, kUnits[unit]);
  return fmt::format("{:.1f} {}", static_cast<double>(bytes) / static_cast<double>(scale), kUnits[unit]);
}

}  // namespace adyton::sdk
