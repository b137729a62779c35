// One vCPU's side of the GICv3: its redistributor frames (RD_base and SGI_base, IHI 0069, 12.10-12.11), its SGIs and PPIs, and
// its CPU interface.
//
// Threading: every method takes the redistributor's lock and may be called from any thread. The distributor calls in with its own
// lock held (order: distributor, then redistributor); this class never calls the distributor.
#pragma once
#include <atomic>
#include <cstdint>
#include <mutex>

#include "hypervisor/soft/gic_cpu_interface.h"
#include "hypervisor/soft/interrupt_bank.h"

namespace adyton::hypervisor::soft {

// The interrupt inputs of the CPU behind the interface. Called with GIC locks held: implementations only note the level and wake
// sleepers.
class CpuInterruptInputs {
 public:
  virtual ~CpuInterruptInputs() = default;
  virtual void set_irq(bool level) = 0;
  virtual void set_fiq(bool level) = 0;
};

// GICD_CTLR's group enables, which every redistributor needs: bit 0 for group 0, bit 1 for group 1.
using GroupEnables = std::atomic<uint8_t>;

class GicRedistributor {
 public:
  GicRedistributor(unsigned index, uint64_t affinity, bool last, const GroupEnables& groups, CpuInterruptInputs& cpu);

  // Frame registers; `offset` from RD_base, SGI_base begins at 0x10000. Accesses that the architecture does not allow read as
  // zero and are ignored.
  uint64_t read(uint32_t offset, unsigned size);
  void write(uint32_t offset, unsigned size, uint64_t value);

  // The wire of a PPI (16..31).
  void set_ppi(uint32_t intid, bool level);
  // Makes an SGI pending, when it is in the group that the writer may reach.
  void send_sgi(uint32_t intid, bool only_group0);
  // Whether that would change anything.
  [[nodiscard]] bool would_take_sgi(uint32_t intid, bool only_group0);

  // The best SPI that the distributor routes here (or none).
  void set_spi(const PendingInterrupt& spi);
  // GICD_CTLR changed.
  void groups_changed();

  // IARn: takes the highest pending interrupt if it is private. `spi` is set when it is an SPI instead: then the distributor has
  // to acknowledge it.
  uint32_t acknowledge(bool group1, bool& spi);
  // The distributor's half of that, with its lock held: takes the SPI if it is still the one to take, and replaces the offer by
  // nothing.
  uint32_t acknowledge_spi(bool group1);
  // EOIRn: drops the priority. True when the interrupt must be deactivated too and is an SPI.
  bool end_of_interrupt(uint32_t intid, bool group1);
  // DIR, or the second half of EOIR, for a private interrupt.
  void deactivate(uint32_t intid);
  [[nodiscard]] bool split_eoi();
  uint32_t highest_pending(bool group1);

  // CPU interface registers that are plain state.
  bool read_icc(uint16_t encoding, uint64_t& value);
  bool write_icc(uint16_t encoding, uint64_t value);

  // Whether an interrupt for "any one PE" of this group may be given to this one.
  [[nodiscard]] bool participates(bool group1) const { return (participating_.load(std::memory_order_relaxed) >> group1) & 1; }
  [[nodiscard]] uint64_t affinity() const { return affinity_; }
  // The outputs as last signalled.
  [[nodiscard]] bool interrupt_signalled() const { return signalled_.load(std::memory_order_acquire) != 0; }

 private:
  [[nodiscard]] unsigned groups() const { return groups_.load(std::memory_order_relaxed) & interface_.enabled_groups(); }
  [[nodiscard]] PendingInterrupt highest() const;
  void private_changed();  // recomputes the best private interrupt, then update()
  void update();           // recomputes what is signalled to the CPU
  void participation_changed();

  const unsigned index_;
  const uint64_t affinity_;
  const bool last_;
  const GroupEnables& groups_;
  CpuInterruptInputs& cpu_;

  std::mutex mutex_;
  InterruptBank bank_;  // SGIs 0..15, PPIs 16..31
  GicCpuInterface interface_;
  PendingInterrupt best_private_;  // by state and priority, groups that are enabled
  PendingInterrupt spi_;
  bool asleep_ = true;                      // GICR_WAKER
  std::atomic<uint8_t> signalled_ = 0;      // bit 0: IRQ, bit 1: FIQ
  std::atomic<uint8_t> participating_ = 0;  // bit per group
};

}  // namespace adyton::hypervisor::soft
