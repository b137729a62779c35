// The PL031 real-time clock (Arm DDI 0224): seconds since 1970, with an alarm.
//
// Threading: any thread. The alarm is looked at when a register is used and by poll(), which the VMM's event loop may call when next_alarm() says.
#pragma once
#include <cstdint>
#include <functional>
#include <mutex>

#include "vmm/irq_line.h"
#include "vmm/mmio_device.h"

namespace adyton::vmm {

class Pl031 final : public MmioDevice {
 public:
  // `now` gives seconds since the epoch.
  Pl031(IrqLine& irq, std::function<int64_t()> now) : irq_(irq), now_(std::move(now)) {}

  void read(uint64_t offset, std::span<uint8_t> data) override;
  void write(uint64_t offset, std::span<const uint8_t> data) override;
  [[nodiscard]] std::string_view name() const override { return "pl031"; }

  // Raises the alarm when it is due. Returns the seconds until it will be, or -1 when none is set.
  int64_t poll();

 private:
  [[nodiscard]] uint32_t counter() const { return static_cast<uint32_t>(now_()) + offset_; }
  int64_t poll_locked();

  IrqLine& irq_;
  const std::function<int64_t()> now_;
  std::mutex mutex_;
  uint32_t offset_ = 0;     // set by the guest through LR
  uint32_t match_ = 0, load_ = 0;
  bool armed_ = false;      // a match was set and has not come yet
  bool raw_ = false, mask_ = false;
};

}  // namespace adyton::vmm
