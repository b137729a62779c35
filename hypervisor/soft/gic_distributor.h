// The GICv3 distributor: SPIs, their routing, and the GICD frame (IHI 0069, 12.8), for one security state and affinity routing
// only.
//
// Threading: every method takes the distributor's lock and may be called from any thread; it calls the redistributors under it.
#pragma once
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "hypervisor/soft/gic_redistributor.h"
#include "hypervisor/soft/interrupt_bank.h"

namespace adyton::hypervisor::soft {

class GicDistributor {
 public:
  // `nr_irqs` counts SGIs and PPIs too: a multiple of 32, at most 1024 (of which ids up to 1019 exist).
  explicit GicDistributor(uint32_t nr_irqs);

  // In the order of vCPU indices, before first use. They outlive the distributor's last call.
  void attach(std::vector<GicRedistributor*> redistributors);
  [[nodiscard]] const GroupEnables& groups() const { return groups_; }
  [[nodiscard]] bool is_spi(uint32_t intid) const { return intid >= 32 && intid < nr_irqs_ && intid < 1020; }

  uint64_t read(uint32_t offset, unsigned size);
  void write(uint32_t offset, unsigned size, uint64_t value);

  void set_spi_line(uint32_t intid, bool level);
  // IARn of `cpu`, when its highest pending interrupt is an SPI.
  uint32_t acknowledge(unsigned cpu, bool group1);
  void deactivate(uint32_t intid);
  // Which vCPUs take interrupts changed (WAKER or IGRPEN): interrupts for any one PE may need another target.
  void participation_changed();

 private:
  static constexpr uint64_t kRouteAny = 1ull << 31;  // GICD_IROUTER.Interrupt_Routing_Mode
  static constexpr int kNoTarget = -1;
  struct Route {
    uint64_t value = 0;      // as in GICD_IROUTER
    int target = kNoTarget;  // index of the vCPU that it means now
  };

  InterruptBank& bank_of(uint32_t intid) { return banks_[intid / 32]; }
  Route& route_of(uint32_t intid) { return routes_[intid]; }
  [[nodiscard]] int find_target(const Route& route, bool group1);
  void retarget(uint32_t intid);
  void offer(int cpu);  // tells the redistributor the best SPI for it
  void offer_all();
  void changed(uint32_t intid) { offer(routes_[intid].target); }
  uint64_t read_locked(uint32_t offset, unsigned size);
  void write_locked(uint32_t offset, unsigned size, uint64_t value);

  const uint32_t nr_irqs_;
  std::vector<GicRedistributor*> redistributors_;
  GroupEnables groups_ = 0;

  std::mutex mutex_;
  std::vector<InterruptBank> banks_;             // [0] is unused: private interrupts live in the redistributors
  std::vector<Route> routes_;                    // by intid
  std::vector<std::vector<uint32_t>> targeted_;  // [cpu][bank]: interrupts whose target the vCPU is
  unsigned next_any_ = 0;                        // round robin for interrupts for any one PE
};

}  // namespace adyton::hypervisor::soft
