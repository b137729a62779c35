#include "service/metrics/call_metrics.h"

#include <algorithm>

#include "rpc/binder.h"

namespace adyton::service {
namespace {

// Seconds: 10 us to 10 s, three to a decade.
constexpr std::array<double, 19> kUpTo = {1e-5, 2e-5, 5e-5, 1e-4, 2e-4, 5e-4, 1e-3, 2e-3, 5e-3, 1e-2,
                                          2e-2, 5e-2, 0.1,  0.2,  0.5,  1,    2,    5,    10};

}  // namespace

void CallMetrics::served(const rpc::ServedCall& call) {
  const double seconds = std::chrono::duration<double>(call.end - call.begin).count();
  const auto bucket = static_cast<size_t>(std::ranges::lower_bound(kUpTo, seconds) - kUpTo.begin());
  const std::string_view method = call.target.method_name(call.code);
  const std::lock_guard lock(mutex_);
  Method& entry = methods_[{call.target.interface_descriptor(), method.empty() ? "other" : std::string(method)}];
  ++entry.counts[bucket];
  entry.seconds += seconds;
  if (!call.succeeded) ++entry.failures;
}

void CallMetrics::write(Exposition& to) const {
  static_assert(kUpTo.size() == kBounds);
  const std::vector<double> bounds(kUpTo.begin(), kUpTo.end());
  const std::lock_guard lock(mutex_);
  for (const auto& [name, method] : methods_) {
    const Labels labels = {{"interface", name.first}, {"method", name.second}};
    to.add_histogram("adyton_rpc_latency_seconds", "Time that calls to the service took, by method.", labels, bounds,
                     {method.counts.begin(), method.counts.end()}, method.seconds);
    to.add(Exposition::Type::kCounter, "adyton_rpc_failures_total", "Calls that were answered with an error.", labels,
           static_cast<double>(method.failures));
  }
}

}  // namespace adyton::service
