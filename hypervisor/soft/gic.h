// The GICv3 of one VM, put together: distributor, a redistributor with CPU interface for each vCPU, and the address decoding.
//
// Threading: any method from any thread. The CPU interface's registers are used by their own vCPU's thread, which makes the locks
// on the acknowledge and end-of-interrupt path uncontended.
#pragma once
#include <cstdint>
#include <memory>
#include <vector>

#include "hypervisor/hypervisor.h"
#include "hypervisor/soft/gic_distributor.h"
#include "hypervisor/soft/gic_redistributor.h"

namespace adyton::hypervisor::soft {

class Gic {
 public:
  struct CpuPort {
    uint64_t affinity = 0;
    CpuInterruptInputs* inputs = nullptr;
  };
  static Result<std::unique_ptr<Gic>> create(const IrqchipConfig& config, const std::vector<CpuPort>& cpus);

  // Before the first vCPU runs.
  void observe(IrqchipObserver& observer) { observer_ = &observer; }

  // Whether the address is in one of the frames; then the access is done.
  bool read(GuestPhysAddr address, unsigned size, uint64_t& value);
  bool write(GuestPhysAddr address, unsigned size, uint64_t value);

  [[nodiscard]] bool is_spi(uint32_t intid) const { return distributor_.is_spi(intid); }
  // Callers tell of changes only: each rise is told to the observer.
  void set_spi(uint32_t intid, bool level) {
    if (level && observed()) [[unlikely]]
      observer_->spi_raised(intid);
    distributor_.set_spi_line(intid, level);
  }
  void set_ppi(unsigned cpu, uint32_t intid, bool level) {
    if (level && observed()) [[unlikely]]
      observer_->ppi_raised(intid, cpu);
    redistributors_[cpu]->set_ppi(intid, level);
  }
  [[nodiscard]] bool interrupt_signalled(unsigned cpu) const { return redistributors_[cpu]->interrupt_signalled(); }

  // ICC_*_EL1 of `cpu`, by engine::arm64::sysreg_encoding. False: no such register, or not in this direction.
  bool read_icc(unsigned cpu, uint16_t encoding, uint64_t& value);
  bool write_icc(unsigned cpu, uint16_t encoding, uint64_t value);

 private:
  explicit Gic(const IrqchipConfig& config) : config_(config), distributor_(config.nr_irqs) {}
  uint32_t acknowledge(unsigned cpu, bool group1);
  void end_of_interrupt(unsigned cpu, uint64_t value, bool group1);
  void deactivate(unsigned cpu, uint64_t value);
  void send_sgi(unsigned cpu, uint64_t value, bool only_group0);
  void send_sgi_to(unsigned target, unsigned from, uint32_t intid, bool only_group0);
  [[nodiscard]] bool observed() const { return observer_ != nullptr && observer_->wants_interrupts(); }

  const IrqchipConfig config_;
  IrqchipObserver* observer_ = nullptr;
  GicDistributor distributor_;
  std::vector<std::unique_ptr<GicRedistributor>> redistributors_;
};

}  // namespace adyton::hypervisor::soft
