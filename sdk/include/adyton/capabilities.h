// What this machine can do for virtual machines.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "adyton/virtual_machine_config.h"

namespace adyton {

struct IsolationCapability {
  IsolationLevel level = IsolationLevel::kNone;
  bool available = false;
  std::string reason;  // what keeps the machine from giving it; empty if it is available
};

// One way to run a guest.
struct BackendCapability {
  std::string name;  // "soft": Adyton's own translator; "kvm"
  bool available = false;
  std::string reason;                      // why not; empty if it is available
  std::vector<std::string> host_features;  // of the host's processor, that it makes use of
};

struct Capabilities {
  // AVF's bits.
  static constexpr int32_t kProtectedVm = 1;
  static constexpr int32_t kNonProtectedVm = 2;

  std::string service_version;
  int32_t bits = 0;
  std::vector<IsolationCapability> isolation;  // one for each level, in their order
  std::vector<BackendCapability> backends;

  [[nodiscard]] bool protectedVmSupported() const { return (bits & kProtectedVm) != 0; }
  [[nodiscard]] bool nonProtectedVmSupported() const { return (bits & kNonProtectedVm) != 0; }
  // Empty if `level` is available, else the reason why it is not.
  [[nodiscard]] std::string whyNot(IsolationLevel level) const;
};

// What the user's live VMs have been promised, and what they may have at most.
struct ResourceUsage {
  int32_t vms = 0;
  int32_t max_vms = 0;
  int32_t max_vms_per_client = 0;
  int32_t cpus = 0;
  int32_t max_cpus = 0;
  int32_t max_cpus_per_client = 0;
  int64_t memory_bytes = 0;
  int64_t max_memory_bytes = 0;
  int64_t max_memory_per_client_bytes = 0;
  int64_t resident_bytes = 0;  // what the VMs' processes use now
  int32_t clients = 0;
};

}  // namespace adyton
