// The PL031 real-time clock (Arm DDI 0224): seconds since 1970, with an alarm.
//
// Threading: any thread. A thread of its own waits for the alarm.
#pragma once
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <thread>

#include "base/result.h"
#include "vmm/irq_line.h"
#include "vmm/mmio_device.h"

namespace adyton::vmm {

class Pl031 final : public MmioDevice {
 public:
  // `now` gives seconds since the epoch.
  Pl031(IrqLine& irq, std::function<int64_t()> now) : irq_(irq), now_(std::move(now)) {}
  ~Pl031() override;
  // Before it, an alarm rings when the guest looks.
  Result<void> start();

  void read(uint64_t offset, std::span<uint8_t> data) override;
  void write(uint64_t offset, std::span<const uint8_t> data) override;
  [[nodiscard]] std::string_view name() const override { return "pl031"; }

 private:
  [[nodiscard]] uint32_t counter() const { return static_cast<uint32_t>(now_()) + offset_; }
  // Raises the alarm when it is due. Returns the seconds until it will be, or -1 when none is set.
  int64_t check_alarm();
  void watch();

  IrqLine& irq_;
  const std::function<int64_t()> now_;
  std::mutex mutex_;
  std::condition_variable alarm_changed_;  // or stopping_
  uint32_t offset_ = 0;  // set by the guest through LR
  uint32_t match_ = 0, load_ = 0;
  bool armed_ = false;  // a match was set and has not come yet
  bool raw_ = false, mask_ = false;
  bool stopping_ = false;
  std::jthread watcher_;
};

}  // namespace adyton::vmm
