#include "hypervisor/soft/gic_redistributor.h"

#include "hypervisor/soft/gic_ids.h"

namespace adyton::hypervisor::soft {
namespace {

constexpr uint32_t kSgiFrame = 0x10000;
constexpr uint32_t kCtlr = 0x0, kIidr = 0x4, kTyper = 0x8, kWaker = 0x14;
constexpr uint32_t kWakerProcessorSleep = 1 << 1, kWakerChildrenAsleep = 1 << 2;
constexpr uint32_t kSgiMask = 0xffff;

}  // namespace

GicRedistributor::GicRedistributor(unsigned index, uint64_t affinity, bool last, const GroupEnables& groups,
                                   CpuInterruptInputs& cpu)
    : index_(index), affinity_(affinity), last_(last), groups_(groups), cpu_(cpu) {
  bank_.edge = kSgiMask;
}

PendingInterrupt GicRedistributor::highest() const {
  if (spi_.any() && ((groups() >> spi_.group1) & 1) && spi_.beats(best_private_)) return spi_;
  return best_private_;
}

void GicRedistributor::private_changed() {
  uint32_t deliverable = bank_.deliverable();
  best_private_ = deliverable ? bank_.best(deliverable, groups(), 0) : PendingInterrupt{};
  update();
}

void GicRedistributor::update() {
  PendingInterrupt best = highest();
  uint8_t signal = !asleep_ && interface_.accepts(best) ? (best.group1 ? 1 : 2) : 0;
  uint8_t before = signalled_.load(std::memory_order_relaxed);
  if (signal == before) return;
  signalled_.store(signal, std::memory_order_release);
  if ((signal ^ before) & 1) cpu_.set_irq(signal & 1);
  if ((signal ^ before) & 2) cpu_.set_fiq(signal & 2);
}

void GicRedistributor::participation_changed() {
  participating_.store(static_cast<uint8_t>(asleep_ ? 0 : interface_.enabled_groups()), std::memory_order_relaxed);
}

void GicRedistributor::set_ppi(uint32_t intid, bool level) {
  std::lock_guard lock(mutex_);
  if (bank_.set_line(1u << (intid & 31), level)) private_changed();
}

void GicRedistributor::send_sgi(uint32_t intid, bool only_group0) {
  std::lock_guard lock(mutex_);
  uint32_t bit = 1u << (intid & 15);
  if (only_group0 && (bank_.group1 & bit)) return;
  if (bank_.latch & bit) return;
  bank_.latch |= bit;
  private_changed();
}

bool GicRedistributor::would_take_sgi(uint32_t intid, bool only_group0) {
  std::lock_guard lock(mutex_);
  const uint32_t bit = 1u << (intid & 15);
  return !(only_group0 && (bank_.group1 & bit)) && !(bank_.latch & bit);
}

void GicRedistributor::set_spi(const PendingInterrupt& spi) {
  std::lock_guard lock(mutex_);
  if (spi == spi_) return;
  spi_ = spi;
  update();
}

void GicRedistributor::groups_changed() {
  std::lock_guard lock(mutex_);
  private_changed();
}

uint32_t GicRedistributor::acknowledge(bool group1, bool& spi) {
  std::lock_guard lock(mutex_);
  spi = false;
  PendingInterrupt best = highest();
  if (best.group1 != group1 || !interface_.accepts(best)) return kSpuriousIntid;
  if (best.intid >= 32) {
    spi = true;
    return kSpuriousIntid;
  }
  interface_.activate(best);
  bank_.acknowledge(1u << best.intid);
  private_changed();
  return best.intid;
}

uint32_t GicRedistributor::acknowledge_spi(bool group1) {
  std::lock_guard lock(mutex_);
  PendingInterrupt best = highest();
  if (best.intid < 32 || best.group1 != group1 || !interface_.accepts(best)) return kSpuriousIntid;
  interface_.activate(best);
  spi_ = {};
  update();
  return best.intid;
}

bool GicRedistributor::end_of_interrupt(uint32_t intid, bool group1) {
  std::lock_guard lock(mutex_);
  if (!interface_.drop_priority(group1)) return false;
  bool deactivates = !interface_.split_eoi();
  if (deactivates && intid < 32) {
    bank_.active &= ~(1u << intid);
    private_changed();
    return false;
  }
  update();
  return deactivates;
}

void GicRedistributor::deactivate(uint32_t intid) {
  std::lock_guard lock(mutex_);
  bank_.active &= ~(1u << (intid & 31));
  private_changed();
}

bool GicRedistributor::split_eoi() {
  std::lock_guard lock(mutex_);
  return interface_.split_eoi();
}

uint32_t GicRedistributor::highest_pending(bool group1) {
  std::lock_guard lock(mutex_);
  PendingInterrupt best = highest();
  return best.group1 == group1 ? best.intid : kSpuriousIntid;
}

bool GicRedistributor::read_icc(uint16_t encoding, uint64_t& value) {
  std::lock_guard lock(mutex_);
  return interface_.read(encoding, value);
}

bool GicRedistributor::write_icc(uint16_t encoding, uint64_t value) {
  std::lock_guard lock(mutex_);
  if (!interface_.write(encoding, value)) return false;
  if (encoding == icc::kIgrpen0 || encoding == icc::kIgrpen1) {
    participation_changed();
    private_changed();
  } else {
    update();
  }
  return true;
}

uint64_t GicRedistributor::read(uint32_t offset, unsigned size) {
  if (offset < kSgiFrame) {
    // TYPER may be read as a whole or by halves.
    uint64_t typer = (affinity_ & 0xffffff) << 32 | (affinity_ >> 32 & 0xff) << 56 | uint64_t{index_} << 8 | (last_ ? 1 << 4 : 0);
    if (offset == kTyper && size == 8) return typer;
    if (size != 4 || offset % 4) return 0;
    switch (offset) {
      case kCtlr: return 0;
      case kIidr: return kGicIidr;
      case kTyper: return static_cast<uint32_t>(typer);
      case kTyper + 4: return typer >> 32;
      case kWaker: {
        std::lock_guard lock(mutex_);
        return asleep_ ? kWakerProcessorSleep | kWakerChildrenAsleep : 0;
      }
      default: return gic_id_register(offset, kGicRedistributorPart);
    }
  }
  offset -= kSgiFrame;
  std::lock_guard lock(mutex_);
  if (offset >= kIpriorityr && offset < kIpriorityr + 32) {
    if (size == 1) return bank_.read_priority(offset - kIpriorityr);
    if (size != 4 || offset % 4) return 0;
    uint32_t value = 0;
    for (unsigned i = 0; i < 4; ++i) value |= uint32_t{bank_.read_priority(offset - kIpriorityr + i)} << (8 * i);
    return value;
  }
  if (size != 4 || offset % 4) return 0;
  return bank_.read(offset);
}

void GicRedistributor::write(uint32_t offset, unsigned size, uint64_t value) {
  if (offset < kSgiFrame) {
    if (offset != kWaker || size != 4) return;
    std::lock_guard lock(mutex_);
    asleep_ = value & kWakerProcessorSleep;
    participation_changed();
    update();
    return;
  }
  offset -= kSgiFrame;
  std::lock_guard lock(mutex_);
  if (offset >= kIpriorityr && offset < kIpriorityr + 32) {
    if (size != 1 && (size != 4 || offset % 4)) return;
    for (unsigned i = 0; i < size; ++i) bank_.write_priority(offset - kIpriorityr + i, static_cast<uint8_t>(value >> (8 * i)));
  } else {
    if (size != 4 || offset % 4) return;
    bank_.write(offset, static_cast<uint32_t>(value), kSgiMask);
  }
  private_changed();
}

}  // namespace adyton::hypervisor::soft
