#include "observe/boot_timeline.h"

#include <algorithm>
#include <utility>

namespace adyton::observe {

std::vector<BootPhase> boot_phases(BootTimes times) {
  std::vector<BootPhase> phases;
  if (times.begin == 0) return phases;
  // What comes later bounds what came before: the last times are our own.
  const uint64_t last = std::max({times.begin, times.hello, times.payload});
  const auto bound = [&](uint64_t time, uint64_t limit) { return time == 0 ? 0 : std::clamp(time, times.begin, limit); };
  const uint64_t limit = last > times.begin ? last : UINT64_MAX;
  times.running = bound(times.running, limit);
  times.configuring = bound(times.configuring, times.running != 0 ? times.running : limit);
  uint64_t end = times.begin;
  const auto add = [&](std::string_view name, uint64_t time) {
    if (time == 0) return false;
    const uint64_t begin = std::exchange(end, std::max(time, end));
    phases.push_back({name, begin, end});
    return true;
  };
  if (!add("spawn", times.configuring) || !add("load", times.running)) return phases;
  if (times.hello == 0) return phases;
  times.hello = std::max(times.hello, times.running);
  add("kernel", times.hello - std::min(times.init_age, times.hello - times.running));
  if (!add("init", times.payload)) return phases;
  phases.push_back({"payload main", end, end});
  return phases;
}

}  // namespace adyton::observe
