// The Generic Watchdog of Arm's Base System Architecture (DEN0094, chapter "Generic Watchdog", revision 1; first in SBSA,
// DEN0029): two frames of registers, one that the guest refreshes and one that controls. Linux's driver for it is sbsa_gwdt.
//
// When nobody has refreshed it for the time in WOR, the first signal (WS0) raises an interrupt; after the same time once more the
// second (WS1) is what resets a machine, and what ends a VM here.
//
// Threading: any thread. One of its own waits for the time to run out. `expired` runs on that one, once, with no lock held.
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

class SbsaWatchdog {
 public:
  // The counter that it compares with, the guest's own; it stands still when the VM is suspended.
  struct Counter {
    std::function<uint64_t()> now;
    uint64_t frequency = 1;  // Hz
  };
  static constexpr uint64_t kFrameSize = 0x1000;

  SbsaWatchdog(IrqLine& irq, Counter counter, std::function<void()> expired);
  ~SbsaWatchdog();
  SbsaWatchdog(const SbsaWatchdog&) = delete;
  SbsaWatchdog& operator=(const SbsaWatchdog&) = delete;

  // It counts from now on, as if firmware had left it so: `seconds` without a refresh end the VM. Before start().
  void arm(uint32_t seconds);
  Result<void> start();
  // While `still` no time passes for it, whatever its counter does: the vCPUs are held by a debugger or stand still for somebody
  // who reads them. Afterwards the guest has all of its time again.
  void stand_still(bool still);

  // What its thread does: deals with a signal that is due. Returns the counts that are left until the next one; kNever if none
  // will come.
  static constexpr uint64_t kNever = UINT64_MAX;
  uint64_t check();

  [[nodiscard]] MmioDevice& refresh_frame() { return refresh_; }
  [[nodiscard]] MmioDevice& control_frame() { return control_; }

 private:
  class Frame final : public MmioDevice {
   public:
    Frame(SbsaWatchdog& watchdog, bool control) : watchdog_(watchdog), control_(control) {}
    void read(uint64_t offset, std::span<uint8_t> data) override { watchdog_.read(control_, offset, data); }
    void write(uint64_t offset, std::span<const uint8_t> data) override { watchdog_.write(control_, offset, data); }
    [[nodiscard]] std::string_view name() const override { return control_ ? "sbsa-gwdt" : "sbsa-gwdt-refresh"; }

   private:
    SbsaWatchdog& watchdog_;
    const bool control_;
  };

  void read(bool control, uint64_t offset, std::span<uint8_t> data);
  void write(bool control, uint64_t offset, std::span<const uint8_t> data);
  void set_offset(uint64_t counts);
  void refresh();
  // Under mutex_; true: it has expired just now.
  bool advance();
  [[nodiscard]] uint64_t left() const;
  void watch();

  IrqLine& irq_;
  const Counter counter_;
  const std::function<void()> expired_;
  Frame refresh_, control_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool enabled_ = false, first_ = false, second_ = false;  // WCS: EN, WS0, WS1
  uint64_t offset_ = 0;                                    // WOR: counts, 48 bits
  uint64_t compare_ = 0;                                   // WCV
  unsigned changes_ = 0;
  bool still_ = false, told_ = false;
  bool stopping_ = false;
  std::jthread watcher_;
};

}  // namespace adyton::vmm
