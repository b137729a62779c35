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
#include "service/metrics/exposition.h"
#include "service/vm_statistics.h"
#include "service/vm_table.h"
#include "service/vm_types.h"

namespace adyton::service {

struct VmSample {
  VmInfo info;
  std::optional<VmStatistics> statistics;  // none: it does not run, or did not answer in time
  std::vector<MethodCalls> calls;          // about it
};

// The metrics of one VM.
void write_metrics(const VmSample& sample, Exposition& to);

// Of calls about the VM of that name, or, if it is empty, to the service itself.
void write_calls(const std::string& vm, const std::vector<MethodCalls>& calls, Exposition& to);

// Memory that this process has in use.
uint64_t own_resident_bytes();

// Threading: the loop's.
class Collector {
 public:
  struct Sources {
    EventLoop& loop;
    VmTable& vms;                              // on the loop
    std::shared_ptr<const CallMetrics> calls;  // to the service itself
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
