#include "hypervisor/soft/interrupt_bank.h"

#include <bit>

namespace adyton::hypervisor::soft {
namespace {

// ICFGR: bit 2n+1 of a field says edge-triggered; bit 2n is reserved.
uint32_t spread_config(uint32_t edge16) {
  uint32_t value = 0;
  for (unsigned i = 0; i < 16; ++i) value |= ((edge16 >> i) & 1) << (2 * i + 1);
  return value;
}
uint32_t gather_config(uint32_t value) {
  uint32_t edge16 = 0;
  for (unsigned i = 0; i < 16; ++i) edge16 |= ((value >> (2 * i + 1)) & 1) << i;
  return edge16;
}

}  // namespace

PendingInterrupt InterruptBank::best(uint32_t candidates, unsigned groups, uint32_t first_intid) const {
  if (!(groups & 1)) candidates &= group1;
  if (!(groups & 2)) candidates &= ~group1;
  PendingInterrupt best;
  for (; candidates; candidates &= candidates - 1) {
    unsigned index = static_cast<unsigned>(std::countr_zero(candidates));
    PendingInterrupt next{first_intid + index, priority[index], ((group1 >> index) & 1) != 0};
    if (next.beats(best)) best = next;
  }
  return best;
}

uint32_t InterruptBank::read(uint32_t offset) const {
  switch (offset) {
    case kIgroupr: return group1;
    case kIsenabler:
    case kIcenabler: return enabled;
    case kIspendr:
    case kIcpendr: return pending();
    case kIsactiver:
    case kIcactiver: return active;
    case kIcfgr: return spread_config(edge & 0xffff);
    case kIcfgr + 4: return spread_config(edge >> 16);
    default: return 0;
  }
}

void InterruptBank::write(uint32_t offset, uint32_t value, uint32_t fixed_config) {
  switch (offset) {
    case kIgroupr: group1 = value; break;
    case kIsenabler: enabled |= value; break;
    case kIcenabler: enabled &= ~value; break;
    case kIspendr: latch |= value; break;
    case kIcpendr: latch &= ~value; break;
    case kIsactiver: active |= value; break;
    case kIcactiver: active &= ~value; break;
    case kIcfgr: {
      uint32_t keep = fixed_config | 0xffff0000;
      edge = (edge & keep) | (gather_config(value) & ~keep);
      break;
    }
    case kIcfgr + 4: {
      uint32_t keep = fixed_config | 0xffff;
      edge = (edge & keep) | ((gather_config(value) << 16) & ~keep);
      break;
    }
    default: break;
  }
}

}  // namespace adyton::hypervisor::soft
