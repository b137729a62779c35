#include <algorithm>
#include <numeric>

#include "adyton/service_statistics.h"
#include "adyton/virtual_machine_statistics.h"

namespace adyton {

uint64_t VirtualMachineStatistics::exits() const {
  uint64_t sum = 0;
  for (const auto& vcpu : vcpus) {
    for (const auto& [name, value] : vcpu) {
      if (name.starts_with("exits.")) sum += value;
    }
  }
  return sum;
}

uint64_t ServiceStatistics::Calls::count() const { return std::accumulate(counts.begin(), counts.end(), uint64_t{0}); }

std::optional<std::chrono::nanoseconds> ServiceStatistics::latency(const Calls& of, double share) const {
  const uint64_t count = of.count();
  if (count == 0 || call_bounds.empty()) return std::nullopt;
  const double rank = std::clamp(share, 0.0, 1.0) * static_cast<double>(count);
  double below = 0;
  for (size_t i = 0; i < std::min(of.counts.size(), call_bounds.size()); ++i) {
    const auto here = static_cast<double>(of.counts[i]);
    if (here > 0 && below + here >= rank) {
      const double from = i == 0 ? 0 : static_cast<double>(call_bounds[i - 1].count());
      const double width = static_cast<double>(call_bounds[i].count()) - from;
      return std::chrono::nanoseconds(static_cast<int64_t>(from + width * std::max(0.0, rank - below) / here));
    }
    below += here;
  }
  return call_bounds.back();
}

}  // namespace adyton
