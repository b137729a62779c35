// How a virtual machine's start went, as a bar chart of text.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace adyton::cli {

// Times are nanoseconds of one clock.
struct BootPhase {
  std::string name;
  uint64_t begin = 0;
  uint64_t end = 0;
};

// A line for all of it and one for each phase; each ends with `line_end`.
std::string format_timeline(const std::vector<BootPhase>& phases, std::string_view line_end = "\n");

}  // namespace adyton::cli
