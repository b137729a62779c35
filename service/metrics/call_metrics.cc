#include "service/metrics/call_metrics.h"

#include <algorithm>

namespace adyton::service {

void CallMetrics::served(std::string_view interface, std::string_view method, std::chrono::nanoseconds time, bool succeeded) {
  const auto bucket = static_cast<size_t>(std::ranges::lower_bound(MethodCalls::kUpTo, time) - MethodCalls::kUpTo.begin());
  const std::lock_guard lock(mutex_);
  MethodCalls& entry = methods_[{std::string(interface), method.empty() ? "other" : std::string(method)}];
  ++entry.counts[bucket];
  entry.time += time;
  if (!succeeded) ++entry.failures;
}

std::vector<MethodCalls> CallMetrics::all() const {
  std::vector<MethodCalls> all;
  const std::lock_guard lock(mutex_);
  for (const auto& [name, calls] : methods_) {
    all.push_back(calls);
    all.back().interface = name.first;
    all.back().method = name.second;
  }
  return all;
}

}  // namespace adyton::service
