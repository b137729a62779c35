// The flattened device tree that describes the board to the guest (devicetree specification 0.4; bindings of Linux).
#pragma once
#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/guest_memory.h"
#include "base/result.h"

namespace adyton::vmm {

struct FdtConfig {
  unsigned cpus = 1;
  uint64_t ram_size = 0;  // bytes from board::kRamBase
  std::string bootargs;
  std::string instance_id;  // bytes for /avf/untrusted/instance-id, where AVF's guests find theirs; empty: no such node
  struct Range {
    GuestPhysAddr base = 0;
    uint64_t size = 0;
  };
  std::optional<Range> initrd;
  std::vector<unsigned> virtio_slots;  // occupied virtio-mmio slots
  uint32_t watchdog_seconds = 0;       // 0: there is no watchdog
  bool psci_by_smc = false;            // otherwise HVC
  // Fresh random bytes for each boot: the guest trusts them.
  std::array<uint8_t, 32> rng_seed{};
  uint64_t kaslr_seed = 0;
};

// kMaxFdtSize at most: what Linux accepts (Documentation/arch/arm64/booting.rst).
constexpr uint64_t kMaxFdtSize = 2ull << 20;
Result<std::vector<uint8_t>> build_fdt(const FdtConfig& config);

}  // namespace adyton::vmm
