#include "hypervisor/soft/gic_cpu_interface.h"

#include <algorithm>
#include <bit>

namespace adyton::hypervisor::soft {
namespace {

// ICC_CTLR_EL1: five priority bits, 16-bit INTIDs, affinity level 3 supported.
constexpr uint64_t kCtlrPriBits = 4 << 8, kCtlrA3v = 1 << 15;
constexpr uint64_t kCtlrCbpr = 1, kCtlrEoiMode = 2, kCtlrPmhe = 1 << 6;
constexpr uint64_t kSreValue = 7;  // system registers only, no bypass

}  // namespace

uint8_t GicCpuInterface::group_priority(uint8_t priority, bool group1) const {
  // BPR1 counts one bit higher than BPR0; with CBPR group 1 is split by BPR0 (IHI 0069, 4.8.2).
  unsigned kept_from = group1 && !cbpr_ ? bpr1_ : bpr0_ + 1u;
  return static_cast<uint8_t>(priority & (0xff << kept_from));
}

uint8_t GicCpuInterface::running_priority() const {
  uint32_t active = active0_ | active1_;
  return active ? static_cast<uint8_t>(std::countr_zero(active) << 3) : kIdlePriority;
}

bool GicCpuInterface::accepts(const PendingInterrupt& interrupt) const {
  if (!interrupt.any() || interrupt.priority >= pmr_) return false;
  if (!(active0_ | active1_)) return true;
  return group_priority(interrupt.priority, interrupt.group1) < running_priority();
}

void GicCpuInterface::activate(const PendingInterrupt& interrupt) {
  uint32_t bit = 1u << (group_priority(interrupt.priority, interrupt.group1) >> 3);
  (interrupt.group1 ? active1_ : active0_) |= bit;
}

bool GicCpuInterface::drop_priority(bool group1) {
  uint32_t active = active0_ | active1_;
  if (!active) return false;
  uint32_t highest = active & -active;
  uint32_t& mine = group1 ? active1_ : active0_;
  if (!(mine & highest)) return false;
  mine &= ~highest;
  return true;
}

bool GicCpuInterface::read(uint16_t encoding, uint64_t& value) const {
  switch (encoding) {
    case icc::kPmr: value = pmr_; return true;
    case icc::kBpr0: value = bpr0_; return true;
    case icc::kBpr1: value = cbpr_ ? std::min(bpr0_ + 1, 7) : bpr1_; return true;
    case icc::kAp0r0: value = active0_; return true;
    case icc::kAp1r0: value = active1_; return true;
    case icc::kRpr: value = running_priority(); return true;
    case icc::kCtlr:
      value = kCtlrPriBits | kCtlrA3v | (cbpr_ ? kCtlrCbpr : 0) | (eoi_mode_ ? kCtlrEoiMode : 0) | (pmhe_ ? kCtlrPmhe : 0);
      return true;
    case icc::kSre: value = kSreValue; return true;
    case icc::kIgrpen0: value = igrpen_ & 1; return true;
    case icc::kIgrpen1: value = (igrpen_ >> 1) & 1; return true;
    default: return false;
  }
}

bool GicCpuInterface::write(uint16_t encoding, uint64_t value) {
  switch (encoding) {
    case icc::kPmr: pmr_ = static_cast<uint8_t>(value) & kPriorityMask; return true;
    case icc::kBpr0: bpr0_ = std::max<uint8_t>(value & 7, kMinBpr0); return true;
    case icc::kBpr1:
      if (!cbpr_) bpr1_ = std::max<uint8_t>(value & 7, kMinBpr1);
      return true;
    case icc::kAp0r0: active0_ = static_cast<uint32_t>(value); return true;
    case icc::kAp1r0: active1_ = static_cast<uint32_t>(value); return true;
    case icc::kCtlr:
      cbpr_ = value & kCtlrCbpr;
      eoi_mode_ = value & kCtlrEoiMode;
      pmhe_ = value & kCtlrPmhe;
      return true;
    case icc::kSre: return true;  // all bits read-only
    case icc::kIgrpen0: igrpen_ = static_cast<uint8_t>((igrpen_ & 2) | (value & 1)); return true;
    case icc::kIgrpen1: igrpen_ = static_cast<uint8_t>((igrpen_ & 1) | ((value & 1) << 1)); return true;
    default: return false;
  }
}

}  // namespace adyton::hypervisor::soft
