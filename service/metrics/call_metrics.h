// How many calls there were, and how long each took: histograms by interface and method. One object has the calls about one VM,
// another one those to the service itself; it goes with its VM, so that neither time nor clients make it grow.
#pragma once
#include <array>
#include <chrono>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace adyton::service {

struct MethodCalls {
  // 10 us to 10 s, three to a decade.
  static constexpr std::array<std::chrono::nanoseconds, 19> kUpTo = [] {
    std::array<std::chrono::nanoseconds, 19> bounds{};
    int64_t decade = 10'000;
    for (size_t i = 0; i < bounds.size(); ++i) {
      constexpr std::array<int64_t, 3> kSteps = {1, 2, 5};
      bounds[i] = std::chrono::nanoseconds(decade * kSteps[i % 3]);
      if (i % 3 == 2) decade *= 10;
    }
    return bounds;
  }();

  std::string interface;
  std::string method;  // "other": a code that no method has
  // counts[i] took up to and including kUpTo[i], and longer than the bound before; the last ones longer than all bounds.
  std::array<uint64_t, kUpTo.size() + 1> counts{};
  std::chrono::nanoseconds time{0};  // all of them together
  uint64_t failures = 0;
};

// Threading: any.
class CallMetrics {
 public:
  // `method` may be empty: codes that no method has share one entry, so that no caller can make it grow.
  void served(std::string_view interface, std::string_view method, std::chrono::nanoseconds time, bool succeeded);
  // By interface and method.
  [[nodiscard]] std::vector<MethodCalls> all() const;

 private:
  mutable std::mutex mutex_;
  std::map<std::pair<std::string, std::string>, MethodCalls> methods_;
};

}  // namespace adyton::service
