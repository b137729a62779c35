// How many calls the service has served, and how long each took: histograms by interface and method.
#pragma once
#include <array>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <utility>

#include "rpc/call_observer.h"
#include "service/metrics/exposition.h"

namespace adyton::service {

// Threading: any.
class CallMetrics final : public rpc::CallObserver {
 public:
  void served(const rpc::ServedCall& call) override;
  void write(Exposition& to) const;

 private:
  static constexpr size_t kBounds = 19;
  struct Method {
    std::array<uint64_t, kBounds + 1> counts{};
    double seconds = 0;
    uint64_t failures = 0;
  };

  mutable std::mutex mutex_;
  // By interface and method. Interfaces are those of objects here, and codes that no method has share one entry, so that no
  // client can make it grow.
  std::map<std::pair<std::string, std::string>, Method> methods_;
};

}  // namespace adyton::service
