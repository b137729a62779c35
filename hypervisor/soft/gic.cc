#include "hypervisor/soft/gic.h"

#include <fmt/format.h>

namespace adyton::hypervisor::soft {

Result<std::unique_ptr<Gic>> Gic::create(const IrqchipConfig& config, const std::vector<CpuPort>& cpus) {
  if (config.nr_irqs < 64 || config.nr_irqs > 1024 || config.nr_irqs % 32) {
    return fail(ErrorCode::kInvalidArgument, fmt::format("{} interrupts: a GIC has 64 to 1024, in steps of 32", config.nr_irqs));
  }
  if (config.distributor_base % kDistributorSize || config.redistributor_base % kDistributorSize) {
    return fail(ErrorCode::kInvalidArgument, "the GIC's frames must be aligned to 64 KiB");
  }
  GuestPhysAddr redistributor_end = config.redistributor_base + cpus.size() * kRedistributorSize;
  if (config.distributor_base < redistributor_end && config.redistributor_base < config.distributor_base + kDistributorSize) {
    return fail(ErrorCode::kInvalidArgument, "the GIC's distributor lies inside its redistributors");
  }
  if (cpus.empty()) return fail(ErrorCode::kInvalidArgument, "a GIC needs its vCPUs first");
  std::unique_ptr<Gic> gic(new Gic(config));
  std::vector<GicRedistributor*> redistributors;
  for (unsigned cpu = 0; cpu < cpus.size(); ++cpu) {
    bool last = cpu + 1 == cpus.size();
    gic->redistributors_.push_back(
        std::make_unique<GicRedistributor>(cpu, cpus[cpu].affinity, last, gic->distributor_.groups(), *cpus[cpu].inputs));
    redistributors.push_back(gic->redistributors_.back().get());
  }
  gic->distributor_.attach(std::move(redistributors));
  return gic;
}

bool Gic::read(GuestPhysAddr address, unsigned size, uint64_t& value) {
  if (GuestPhysAddr offset = address - config_.distributor_base; offset < kDistributorSize) {
    value = distributor_.read(static_cast<uint32_t>(offset), size);
    return true;
  }
  GuestPhysAddr offset = address - config_.redistributor_base;
  if (offset >= redistributors_.size() * kRedistributorSize) return false;
  value = redistributors_[offset / kRedistributorSize]->read(static_cast<uint32_t>(offset % kRedistributorSize), size);
  return true;
}

bool Gic::write(GuestPhysAddr address, unsigned size, uint64_t value) {
  if (GuestPhysAddr offset = address - config_.distributor_base; offset < kDistributorSize) {
    distributor_.write(static_cast<uint32_t>(offset), size, value);
    return true;
  }
  GuestPhysAddr offset = address - config_.redistributor_base;
  if (offset >= redistributors_.size() * kRedistributorSize) return false;
  bool before0 = redistributors_[offset / kRedistributorSize]->participates(false);
  bool before1 = redistributors_[offset / kRedistributorSize]->participates(true);
  GicRedistributor& redistributor = *redistributors_[offset / kRedistributorSize];
  redistributor.write(static_cast<uint32_t>(offset % kRedistributorSize), size, value);
  if (before0 != redistributor.participates(false) || before1 != redistributor.participates(true))
    distributor_.participation_changed();
  return true;
}

uint32_t Gic::acknowledge(unsigned cpu, bool group1) {
  bool spi = false;
  uint32_t intid = redistributors_[cpu]->acknowledge(group1, spi);
  if (!spi) return intid;
  intid = distributor_.acknowledge(cpu, group1);
  // A more urgent private interrupt may have come in between the two locks.
  return intid != kSpuriousIntid ? intid : redistributors_[cpu]->acknowledge(group1, spi);
}

void Gic::end_of_interrupt(unsigned cpu, uint64_t value, bool group1) {
  uint32_t intid = value & 0xff'ffff;
  if (intid >= 32 && !distributor_.is_spi(intid)) return;  // special INTIDs: no effect
  if (redistributors_[cpu]->end_of_interrupt(intid, group1)) distributor_.deactivate(intid);
}

void Gic::deactivate(unsigned cpu, uint64_t value) {
  // Without split EOI a write to DIR is UNPREDICTABLE; here it does nothing.
  if (!redistributors_[cpu]->split_eoi()) return;
  uint32_t intid = value & 0xff'ffff;
  if (intid < 32)
    redistributors_[cpu]->deactivate(intid);
  else
    distributor_.deactivate(intid);
}

void Gic::send_sgi(unsigned cpu, uint64_t value, bool only_group0) {
  uint32_t intid = (value >> 24) & 15;
  if (value & (1ull << 40)) {  // IRM: everyone else
    for (unsigned i = 0; i < redistributors_.size(); ++i) {
      if (i != cpu) send_sgi_to(i, cpu, intid, only_group0);
    }
    return;
  }
  // Aff3.Aff2.Aff1 name a cluster of up to 16 (times the range selector); vcpu_affinity says which vCPUs are in it.
  uint64_t aff1 = (value >> 16) & 0xff, aff2 = (value >> 32) & 0xff, range = (value >> 44) & 0xf, aff3 = (value >> 48) & 0xff;
  if (aff2 || aff3 || range) return;
  for (unsigned bit = 0; bit < 16; ++bit) {
    uint64_t target = aff1 * 16 + bit;
    if ((value >> bit & 1) && target < redistributors_.size())
      send_sgi_to(static_cast<unsigned>(target), cpu, intid, only_group0);
  }
}

void Gic::send_sgi_to(unsigned target, unsigned from, uint32_t intid, bool only_group0) {
  // Before the target can take it, so that its record comes first; one that was pending already is the same interrupt.
  if (observed() && redistributors_[target]->would_take_sgi(intid, only_group0)) [[unlikely]]
    observer_->sgi_raised(intid, target, from);
  redistributors_[target]->send_sgi(intid, only_group0);
}

bool Gic::read_icc(unsigned cpu, uint16_t encoding, uint64_t& value) {
  switch (encoding) {
    case icc::kIar1: value = acknowledge(cpu, true); return true;
    case icc::kIar0: value = acknowledge(cpu, false); return true;
    case icc::kHppir1: value = redistributors_[cpu]->highest_pending(true); return true;
    case icc::kHppir0: value = redistributors_[cpu]->highest_pending(false); return true;
    case icc::kSgi1r:
    case icc::kAsgi1r:
    case icc::kSgi0r:
    case icc::kEoir0:
    case icc::kEoir1:
    case icc::kDir: return false;  // write-only
    default: return redistributors_[cpu]->read_icc(encoding, value);
  }
}

bool Gic::write_icc(unsigned cpu, uint16_t encoding, uint64_t value) {
  switch (encoding) {
    case icc::kEoir1: end_of_interrupt(cpu, value, true); return true;
    case icc::kEoir0: end_of_interrupt(cpu, value, false); return true;
    case icc::kDir: deactivate(cpu, value); return true;
    // SGI1R may reach both groups, the other two only group 0 (IHI 0069, 12.2.22 and table 8-14 for one security state).
    case icc::kSgi1r: send_sgi(cpu, value, false); return true;
    case icc::kAsgi1r:
    case icc::kSgi0r: send_sgi(cpu, value, true); return true;
    case icc::kIar0:
    case icc::kIar1:
    case icc::kHppir0:
    case icc::kHppir1:
    case icc::kRpr: return false;  // read-only
    case icc::kIgrpen0:
    case icc::kIgrpen1: {
      bool done = redistributors_[cpu]->write_icc(encoding, value);
      distributor_.participation_changed();
      return done;
    }
    default: return redistributors_[cpu]->write_icc(encoding, value);
  }
}

}  // namespace adyton::hypervisor::soft
