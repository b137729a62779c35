#include "vmm/sbsa_watchdog.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "base/thread.h"

namespace adyton::vmm {
namespace {

// Offsets in the refresh frame and in the control frame.
constexpr uint64_t kWrr = 0x000;
constexpr uint64_t kWcs = 0x000, kWorLow = 0x008, kWorHigh = 0x00c, kWcvLow = 0x010, kWcvHigh = 0x014;
constexpr uint64_t kIidr = 0xfcc;  // in both

constexpr uint32_t kEnable = 1, kWs0 = 2, kWs1 = 4;
constexpr uint32_t kRevision1 = 1 << 16;  // W_IIDR: WOR has 48 bits
constexpr uint64_t kOffsetMask = (uint64_t{1} << 48) - 1;

}  // namespace

SbsaWatchdog::SbsaWatchdog(IrqLine& irq, Counter counter, std::function<void()> expired)
    : irq_(irq), counter_(std::move(counter)), expired_(std::move(expired)), refresh_(*this, false), control_(*this, true) {}

// Not by a stop_token, as in Pl031.
SbsaWatchdog::~SbsaWatchdog() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
}

void SbsaWatchdog::arm(uint32_t seconds) {
  const std::lock_guard lock(mutex_);
  // Two signals: each has half of the time, which is also how Linux's driver programs it.
  set_offset(static_cast<uint64_t>(static_cast<unsigned __int128>(seconds) * counter_.frequency / 2));
  enabled_ = true;
  refresh();
}

Result<void> SbsaWatchdog::start() {
  watcher_ = TRY(start_thread("watchdog", [this] { watch(); }));
  return {};
}

void SbsaWatchdog::stand_still(bool still) {
  const std::lock_guard lock(mutex_);
  if (std::exchange(still_, still) == still) return;
  if (!second_) refresh();
}

uint64_t SbsaWatchdog::check() {
  uint64_t next = kNever;
  bool expired = false;
  {
    const std::lock_guard lock(mutex_);
    expired = advance();
    next = left();
  }
  if (expired) expired_();
  return next;
}

void SbsaWatchdog::set_offset(uint64_t counts) { offset_ = counts & kOffsetMask; }

// What the architecture calls an explicit refresh.
void SbsaWatchdog::refresh() {
  compare_ = counter_.now() + offset_;
  first_ = second_ = false;
  irq_.set(false);
  ++changes_;
  changed_.notify_all();
}

bool SbsaWatchdog::advance() {
  if (!enabled_ || still_ || second_ || counter_.now() < compare_) return false;
  if (!first_) {
    first_ = true;
    compare_ = counter_.now() + offset_;
    irq_.set(true);
    return false;
  }
  second_ = true;
  return !std::exchange(told_, true);
}

uint64_t SbsaWatchdog::left() const {
  if (!enabled_ || still_ || second_) return kNever;
  const uint64_t now = counter_.now();
  return compare_ > now ? compare_ - now : 0;
}

void SbsaWatchdog::watch() {
  constexpr uint64_t kLongestSleep = 10;  // seconds
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    if (advance()) {
      lock.unlock();
      expired_();
      lock.lock();
    }
    const auto changed = [this, changes = changes_] { return changes_ != changes || stopping_; };
    const uint64_t counts = left();
    if (counts == kNever) {
      changed_.wait(lock, changed);
    } else {
      // The counter may stand still for a while: it is looked at again.
      const unsigned __int128 nanoseconds =
          static_cast<unsigned __int128>(std::min(counts, kLongestSleep * counter_.frequency)) * 1'000'000'000;
      changed_.wait_for(lock, std::chrono::nanoseconds(static_cast<int64_t>(nanoseconds / counter_.frequency) + 1), changed);
    }
  }
}

void SbsaWatchdog::read(bool control, uint64_t offset, std::span<uint8_t> data) {
  const std::lock_guard lock(mutex_);
  uint64_t value = 0;
  if (offset == kIidr) {
    value = kRevision1;
  } else if (control) {
    switch (offset) {
      case kWcs: value = (enabled_ ? kEnable : 0) | (first_ ? kWs0 : 0) | (second_ ? kWs1 : 0); break;
      case kWorLow: value = data.size() == 8 ? offset_ : offset_ & UINT32_MAX; break;
      case kWorHigh: value = offset_ >> 32; break;
      case kWcvLow: value = data.size() == 8 ? compare_ : compare_ & UINT32_MAX; break;
      case kWcvHigh: value = compare_ >> 32; break;
      default: break;
    }
  }
  set_mmio_value(data, value);
}

void SbsaWatchdog::write(bool control, uint64_t offset, std::span<const uint8_t> data) {
  if (data.size() < 4) return;
  const std::lock_guard lock(mutex_);
  const uint64_t value = mmio_value(data);
  const auto low = [&](uint64_t old) { return data.size() == 8 ? value : (old & ~uint64_t{UINT32_MAX}) | (value & UINT32_MAX); };
  const auto high = [&](uint64_t old) { return (old & UINT32_MAX) | value << 32; };
  if (!control) {
    if (offset == kWrr) refresh();
    return;
  }
  switch (offset) {
    case kWcs:
      enabled_ = (value & kEnable) != 0;
      refresh();
      break;
    case kWorLow:
      set_offset(low(offset_));
      refresh();
      break;
    case kWorHigh:
      set_offset(high(offset_));
      refresh();
      break;
    // The guest may say when; it is not a refresh.
    case kWcvLow:
    case kWcvHigh:
      compare_ = offset == kWcvLow ? low(compare_) : high(compare_);
      ++changes_;
      changed_.notify_all();
      break;
    default: break;
  }
}

}  // namespace adyton::vmm
