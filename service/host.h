// What this machine can do: which isolation levels and backends, and why not the others.
#pragma once
#include <mutex>
#include <optional>
#include <string>

#include "adyton/virtualizationservice/Capabilities.h"
#include "hypervisor/kvm_probe.h"
#include "service/event_loop.h"
#include "service/failure.h"
#include "service/vm_types.h"
#include "vmm/control/protocol.h"

namespace adyton::service {

// Threading: any but the event loop's.
class Host {
 public:
  Host(EventLoop& loop, std::string vmm_program, std::string version)
      : loop_(loop), vmm_program_(std::move(vmm_program)), version_(std::move(version)) {}

  // Asks the VMM the first time, and as long as it has not answered; a KVM that may be used is measured then, which takes up to
  // two seconds where it is a bad one.
  Result<virtualizationservice::Capabilities> capabilities();

  // kUnsupported, with the reason, for a level that the machine cannot give.
  Outcome<> check(IsolationLevel level);

 private:
  Result<vmm::control::Description> description();

  EventLoop& loop_;
  const std::string vmm_program_;
  const std::string version_;
  std::mutex mutex_;
  std::optional<vmm::control::Description> known_;  // guarded by mutex_
  std::mutex kvm_mutex_;                            // held while it is measured
  std::optional<hypervisor::KvmReport> kvm_;        // guarded by kvm_mutex_
};

}  // namespace adyton::service
