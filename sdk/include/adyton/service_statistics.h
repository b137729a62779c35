// What the virtualization service counts besides its virtual machines: calls to it, how short its host is of resources, and
// what it uses itself.
#pragma once
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace adyton {

struct ServiceStatistics {
  struct Calls {
    std::string vm;         // that they were about, its own guest's calls included; empty: to the service itself
    std::string interface;  // with its package
    std::string method;
    // counts[i] calls took up to call_bounds[i], and longer than the bound before; the last ones longer than all bounds.
    std::vector<uint64_t> counts;
    std::chrono::nanoseconds time{0};  // of all of them together
    uint64_t failures = 0;             // that were answered with an error

    [[nodiscard]] uint64_t count() const;
  };
  // Linux's pressure stall information.
  struct Pressure {
    std::string resource;                  // "cpu", "memory", "io"
    std::string kind;                      // "some": of the host's tasks had to wait; "full": all had to
    double share = 0;                      // of the last ten seconds, 0 to 1
    std::chrono::microseconds stalled{0};  // since the host was started
  };

  std::string version;
  int32_t vms = 0;
  int32_t clients = 0;
  uint64_t resident_bytes = 0;  // what the service's own process uses
  std::vector<std::chrono::nanoseconds> call_bounds;
  std::vector<Calls> calls;
  std::vector<Pressure> host_pressure;  // empty on a kernel without it

  // What `share` (0 to 1) of these calls took at most, as far as the bounds tell: within a bucket, times are taken to be evenly
  // spread; calls above all bounds count as the last bound. Empty if there were no calls.
  [[nodiscard]] std::optional<std::chrono::nanoseconds> latency(const Calls& of, double share) const;
};

}  // namespace adyton
