#include "vmm/pl031.h"

#include <algorithm>
#include <chrono>

#include "base/thread.h"

namespace adyton::vmm {
namespace {

enum Register : uint32_t {
  kDr = 0x00,
  kMr = 0x04,
  kLr = 0x08,
  kCr = 0x0c,
  kImsc = 0x10,
  kRis = 0x14,
  kMis = 0x18,
  kIcr = 0x1c,
  kId = 0xfe0
};
constexpr uint8_t kIds[8] = {0x31, 0x10, 0x04, 0x00, 0x0d, 0xf0, 0x05, 0xb1};

}  // namespace

int64_t Pl031::check_alarm() {
  int64_t left = -1;
  if (armed_) {
    left = static_cast<int32_t>(match_ - counter());
    if (left <= 0) {
      armed_ = false;
      raw_ = true;
      left = -1;
    }
  }
  irq_.set(raw_ && mask_);
  return left;
}

Result<void> Pl031::start() {
  watcher_ = TRY(start_thread("rtc", [this] { watch(); }));
  return {};
}

// Not by a stop_token: those who wait with one meet in a lock that yields the processor over and over, a system call that the
// thread does without.
Pl031::~Pl031() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  alarm_changed_.notify_all();
}

void Pl031::watch() {
  // The wall clock may be set: look again from time to time.
  constexpr int64_t kLongestSleep = 10;
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    int64_t left = check_alarm();
    if (left < 0)
      alarm_changed_.wait(lock, [this] { return armed_ || stopping_; });
    else
      alarm_changed_.wait_for(lock, std::chrono::seconds(std::min(left, kLongestSleep)),
                              [this, match = match_] { return match_ != match || stopping_; });
  }
}

void Pl031::read(uint64_t offset, std::span<uint8_t> data) {
  std::lock_guard lock(mutex_);
  check_alarm();
  uint32_t value = 0;
  switch (offset) {
    case kDr: value = counter(); break;
    case kMr: value = match_; break;
    case kLr: value = load_; break;
    case kCr: value = 1; break;  // always counts
    case kImsc: value = mask_; break;
    case kRis: value = raw_; break;
    case kMis: value = raw_ && mask_; break;
    default:
      if (offset >= kId && offset < kId + 32 && offset % 4 == 0) value = kIds[(offset - kId) / 4];
      break;
  }
  set_mmio_value(data, value);
}

void Pl031::write(uint64_t offset, std::span<const uint8_t> data) {
  std::lock_guard lock(mutex_);
  uint32_t value = static_cast<uint32_t>(mmio_value(data));
  switch (offset) {
    case kMr:
      match_ = value;
      armed_ = true;
      alarm_changed_.notify_all();
      break;
    case kLr:
      load_ = value;
      offset_ = value - static_cast<uint32_t>(now_());
      break;
    case kImsc: mask_ = value & 1; break;
    case kIcr:
      if (value & 1) raw_ = false;
      break;
    default: break;
  }
  check_alarm();
}

}  // namespace adyton::vmm
