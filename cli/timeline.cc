#include "cli/timeline.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

namespace adyton::cli {
namespace {

constexpr uint64_t kColumns = 50;

double milliseconds(uint64_t nanoseconds) { return static_cast<double>(nanoseconds) / 1e6; }

}  // namespace

std::string format_timeline(const std::vector<BootPhase>& phases, std::string_view line_end) {
  if (phases.empty()) return fmt::format("adyton: how the start went is not known{}", line_end);
  const uint64_t begin = phases.front().begin;
  const uint64_t total = std::max(phases.back().end, begin) - begin;
  std::string text = fmt::format("adyton: the start took {:.1f} ms{}", milliseconds(total), line_end);
  const auto column = [&](uint64_t time) {
    if (total == 0) return uint64_t{0};
    return static_cast<uint64_t>(
        static_cast<double>(std::clamp(time, begin, begin + total) - begin) / static_cast<double>(total) * kColumns + 0.5);
  };
  for (const BootPhase& phase : phases) {
    const bool mark = phase.end <= phase.begin;
    const uint64_t from = column(phase.begin);
    // What took any time at all is to be seen.
    const uint64_t length = mark ? 1 : std::max<uint64_t>(column(phase.end) - std::min(from, column(phase.end)), 1);
    fmt::format_to(std::back_inserter(text), "  {:<12} {:>9.1f} ms  {}{}{}", phase.name,
                   milliseconds(mark ? phase.begin - begin : phase.end - phase.begin), std::string(from, ' '),
                   std::string(length, mark ? '|' : '#'), line_end);
  }
  return text;
}

}  // namespace adyton::cli
