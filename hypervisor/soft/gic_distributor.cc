#include "hypervisor/soft/gic_distributor.h"

#include "hypervisor/soft/gic_ids.h"

namespace adyton::hypervisor::soft {
namespace {

constexpr uint32_t kCtlr = 0x0, kTyper = 0x4, kIidr = 0x8;
constexpr uint32_t kIrouter = 0x6000, kIrouterEnd = kIrouter + 8 * 1020;
constexpr uint32_t kCtlrGroups = 3;
constexpr uint32_t kCtlrAre = 1 << 4, kCtlrDs = 1 << 6;
constexpr uint32_t kTyperA3v = 1 << 24;
constexpr uint32_t kTyperIdBits = 9 << 19;  // ten bits: SPIs only
constexpr uint64_t kRouteMask = 0xff'80ff'ffff;

}  // namespace

GicDistributor::GicDistributor(uint32_t nr_irqs) : nr_irqs_(nr_irqs), banks_(nr_irqs / 32), routes_(nr_irqs) {}

void GicDistributor::attach(std::vector<GicRedistributor*> redistributors) {
  redistributors_ = std::move(redistributors);
  targeted_.assign(redistributors_.size(), std::vector<uint32_t>(banks_.size()));
  for (uint32_t intid = 32; intid < nr_irqs_; ++intid) retarget(intid);
}

int GicDistributor::find_target(const Route& route, bool group1) {
  unsigned count = static_cast<unsigned>(redistributors_.size());
  if (route.value & kRouteAny) {
    if (route.target != kNoTarget && redistributors_[static_cast<unsigned>(route.target)]->participates(group1))
      return route.target;
    for (unsigned i = 0; i < count; ++i) {
      unsigned cpu = (next_any_ + i) % count;
      if (redistributors_[cpu]->participates(group1)) {
        next_any_ = (cpu + 1) % count;
        return static_cast<int>(cpu);
      }
    }
    return kNoTarget;
  }
  for (unsigned cpu = 0; cpu < count; ++cpu) {
    if (redistributors_[cpu]->affinity() == (route.value & ~kRouteAny)) return static_cast<int>(cpu);
  }
  return kNoTarget;
}

void GicDistributor::retarget(uint32_t intid) {
  Route& route = routes_[intid];
  uint32_t bank = intid / 32, bit = 1u << (intid % 32);
  int target = find_target(route, banks_[bank].group1 & bit);
  if (target == route.target) return;
  int before = route.target;
  route.target = target;
  if (before != kNoTarget) {
    targeted_[static_cast<unsigned>(before)][bank] &= ~bit;
    offer(before);
  }
  if (target != kNoTarget) {
    targeted_[static_cast<unsigned>(target)][bank] |= bit;
    offer(target);
  }
}

void GicDistributor::offer(int cpu) {
  if (cpu == kNoTarget) return;
  const std::vector<uint32_t>& targeted = targeted_[static_cast<unsigned>(cpu)];
  unsigned groups = groups_.load(std::memory_order_relaxed);
  PendingInterrupt best;
  for (uint32_t bank = 1; bank < banks_.size(); ++bank) {
    uint32_t candidates = banks_[bank].deliverable() & targeted[bank];
    if (!candidates) continue;
    PendingInterrupt next = banks_[bank].best(candidates, groups, bank * 32);
    if (next.beats(best)) best = next;
  }
  redistributors_[static_cast<unsigned>(cpu)]->set_spi(best);
}

void GicDistributor::offer_all() {
  for (unsigned cpu = 0; cpu < redistributors_.size(); ++cpu) offer(static_cast<int>(cpu));
}

void GicDistributor::set_spi_line(uint32_t intid, bool level) {
  if (!is_spi(intid)) return;
  std::lock_guard lock(mutex_);
  if (!bank_of(intid).set_line(1u << (intid % 32), level)) return;
  // An interrupt for any one PE goes round the PEs, one delivery each.
  if (level && (routes_[intid].value & kRouteAny)) retarget(intid);
  changed(intid);
}

uint32_t GicDistributor::acknowledge(unsigned cpu, bool group1) {
  std::lock_guard lock(mutex_);
  uint32_t intid = redistributors_[cpu]->acknowledge_spi(group1);
  if (intid == kSpuriousIntid) return intid;
  bank_of(intid).acknowledge(1u << (intid % 32));
  offer(static_cast<int>(cpu));
  return intid;
}

void GicDistributor::deactivate(uint32_t intid) {
  if (!is_spi(intid)) return;
  std::lock_guard lock(mutex_);
  bank_of(intid).active &= ~(1u << (intid % 32));
  changed(intid);
}

void GicDistributor::participation_changed() {
  std::lock_guard lock(mutex_);
  for (uint32_t intid = 32; intid < nr_irqs_; ++intid) {
    if (routes_[intid].value & kRouteAny) retarget(intid);
  }
}

uint64_t GicDistributor::read(uint32_t offset, unsigned size) {
  std::lock_guard lock(mutex_);
  return read_locked(offset, size);
}

void GicDistributor::write(uint32_t offset, unsigned size, uint64_t value) {
  std::lock_guard lock(mutex_);
  write_locked(offset, size, value);
}

uint64_t GicDistributor::read_locked(uint32_t offset, unsigned size) {
  if (offset >= kIrouter && offset < kIrouterEnd) {
    uint32_t intid = (offset - kIrouter) / 8;
    if (!is_spi(intid) || (size != 8 && size != 4) || offset % size) return 0;
    uint64_t value = routes_[intid].value;
    return size == 8 ? value : static_cast<uint32_t>(offset % 8 ? value >> 32 : value);
  }
  if (offset >= kIpriorityr && offset < kIpriorityrEnd) {
    if (size != 1 && (size != 4 || offset % 4)) return 0;
    uint32_t value = 0;
    for (unsigned i = 0; i < size; ++i) {
      uint32_t intid = offset - kIpriorityr + i;
      if (is_spi(intid)) value |= uint32_t{bank_of(intid).read_priority(intid % 32)} << (8 * i);
    }
    return value;
  }
  if (size != 4 || offset % 4) return 0;
  switch (offset) {
    case kCtlr: return groups_.load(std::memory_order_relaxed) | kCtlrAre | kCtlrDs;
    case kTyper: return (nr_irqs_ / 32 - 1) | kTyperIdBits | kTyperA3v;
    case kIidr: return kGicIidr;
    default: break;
  }
  if (offset >= kIgroupr && offset < kIpriorityr) {
    uint32_t bank = (offset & 0x7f) / 4;
    return bank > 0 && bank < banks_.size() ? banks_[bank].read(offset & ~0x7fu) : 0;
  }
  if (offset >= kIcfgr && offset < kIcfgrEnd) {
    uint32_t bank = (offset - kIcfgr) / 8;
    return bank > 0 && bank < banks_.size() ? banks_[bank].read(kIcfgr + (offset & 4)) : 0;
  }
  return gic_id_register(offset, kGicDistributorPart);
}

void GicDistributor::write_locked(uint32_t offset, unsigned size, uint64_t value) {
  if (offset >= kIrouter && offset < kIrouterEnd) {
    uint32_t intid = (offset - kIrouter) / 8;
    if (!is_spi(intid) || (size != 8 && size != 4) || offset % size) return;
    Route& route = routes_[intid];
    if (size == 8)
      route.value = value & kRouteMask;
    else if (offset % 8)
      route.value = ((value << 32) | (route.value & 0xffff'ffff)) & kRouteMask;
    else
      route.value = ((route.value & ~0xffff'ffffull) | (value & 0xffff'ffff)) & kRouteMask;
    retarget(intid);
    return;
  }
  if (offset >= kIpriorityr && offset < kIpriorityrEnd) {
    if (size != 1 && (size != 4 || offset % 4)) return;
    for (unsigned i = 0; i < size; ++i) {
      uint32_t intid = offset - kIpriorityr + i;
      if (!is_spi(intid)) continue;
      bank_of(intid).write_priority(intid % 32, static_cast<uint8_t>(value >> (8 * i)));
      if (bank_of(intid).deliverable() >> (intid % 32) & 1) changed(intid);
    }
    return;
  }
  if (size != 4 || offset % 4) return;
  if (offset == kCtlr) {
    groups_.store(static_cast<uint8_t>(value & kCtlrGroups), std::memory_order_relaxed);
    offer_all();
    for (GicRedistributor* redistributor : redistributors_) redistributor->groups_changed();
    return;
  }
  uint32_t bank, reg;
  if (offset >= kIgroupr && offset < kIpriorityr) {
    bank = (offset & 0x7f) / 4;
    reg = offset & ~0x7fu;
  } else if (offset >= kIcfgr && offset < kIcfgrEnd) {
    bank = (offset - kIcfgr) / 8;
    reg = kIcfgr + (offset & 4);
  } else {
    return;
  }
  if (bank == 0 || bank >= banks_.size()) return;
  uint32_t implemented = bank == 31 ? 0x0fff'ffff : ~0u;  // 1020..1023 are special
  value &= implemented;
  bool group_change = reg == kIgroupr && banks_[bank].group1 != static_cast<uint32_t>(value);
  banks_[bank].write(reg, static_cast<uint32_t>(value), 0);
  if (group_change) {
    for (uint32_t intid = bank * 32; intid < bank * 32 + 32; ++intid) {
      if (routes_[intid].value & kRouteAny) retarget(intid);
    }
  }
  for (unsigned cpu = 0; cpu < redistributors_.size(); ++cpu) {
    if (targeted_[cpu][bank]) offer(static_cast<int>(cpu));
  }
}

}  // namespace adyton::hypervisor::soft
