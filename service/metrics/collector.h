// Everything that the service can tell in numbers, at one moment.
#pragma once
#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "service/event_loop.h"
#include "service/metrics/call_metrics.h"
#include "service/vm_statistics.h"
#include "service/vm_table.h"
#include "service/vm_types.h"

namespace adyton::service {

struct VmSample {
  VmInfo info;
  std::optional<VmStatistics> statistics;  // none: it does not run, or did not answer in time
};

// The metrics of one VM.
void write_metrics(const VmSample& sample, Exposition& to);

// Threading: the loop's.
class Collector {
 public:
  struct Sources {
    EventLoop& loop;
    VmTable& vms;  // on the loop
    std::shared_ptr<const CallMetrics> calls;
    std::function<size_t()> client_count;
    std::string version;
    // What all VMs together have to answer.
    std::chrono::milliseconds patience{2'000};
  };
  explicit Collector(Sources sources) : s_(std::move(sources)) {}

  // In Prometheus' text format: `deliver` is called once, now or later. All of it on the loop.
  void collect(std::function<void(std::string)> deliver) const;

 private:
  void ask_vms(std::function<void(std::vector<VmSample>)> deliver) const;
  [[nodiscard]] std::string text(const std::vector<VmSample>& samples) const;

  const Sources s_;
};

}  // namespace adyton::service
