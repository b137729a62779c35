// A vCPU of the software backend: runs the engine's CPU and does around it what KVM does in the kernel.
#pragma once
#include <array>
#include <atomic>
#include <memory>

#include "base/adaptive_poll.h"
#include "base/tally.h"
#include "engine/engine.h"
#include "hypervisor/hypervisor.h"
#include "hypervisor/soft/generic_timer.h"
#include "hypervisor/soft/gic.h"
#include "hypervisor/soft/io_eventfd_table.h"
#include "hypervisor/soft/psci.h"
#include "hypervisor/soft/timer_queue.h"
#include "hypervisor/soft/wake_event.h"

namespace adyton::hypervisor::soft {

// What the vCPUs of one VM share.
struct SoftShared {
  Counter counter;
  void (*reset)(engine::arm64::CpuState&, uint64_t affinity) = nullptr;
  std::unique_ptr<PowerController> power;
  std::unique_ptr<Gic> gic;
  std::unique_ptr<TimerQueue> timers;
  IoEventFdTable doorbells;
  // The host has a processor for each vCPU, so a vCPU that waits may keep its own for a moment.
  bool may_poll = false;
  // SEV: everyone who is in WFE, or comes to one, goes on.
  std::atomic<uint64_t> events = 0;
  std::atomic<uint32_t> event_waiters = 0;
  std::function<void()> wake_all;
};

class SoftVcpu final : public Vcpu, public engine::CpuHost, public CpuInterruptInputs, private GenericTimer::Sink {
 public:
  SoftVcpu(unsigned index, SoftShared& shared);
  void attach(engine::Cpu& cpu) { cpu_ = &cpu; }

  [[nodiscard]] unsigned index() const override { return index_; }
  [[nodiscard]] uint64_t affinity() const override { return vcpu_affinity(index_); }
  Result<void> init(const VcpuInit& init) override;
  Result<Exit> run() override;
  void kick() override;
  Result<void> get_one_reg(uint64_t id, std::span<uint8_t> value) override;
  Result<void> set_one_reg(uint64_t id, std::span<const uint8_t> value) override;
  [[nodiscard]] std::vector<Statistic> statistics() const override;
  Result<void> set_guest_debug(const GuestDebug& debug) override;
  Result<GuestPhysAddr> translate(uint64_t va) override;
  [[nodiscard]] bool powered_on() const override { return on_; }
  void observe(VcpuObserver& observer) override { observer_ = &observer; }

  // engine::CpuHost, on the vCPU's thread.
  bool read_icc(uint16_t encoding, uint64_t& value) override;
  bool write_icc(uint16_t encoding, uint64_t value) override { return shared_.gic->write_icc(index_, encoding, value); }
  void timer_changed() override { timer_.update(cpu_->state()); }
  void send_event() override;
  void translating() override;
  void translated(uint64_t pc, uint32_t instructions) override;

  // CpuInterruptInputs, any thread.
  void set_irq(bool level) override;
  void set_fiq(bool level) override;

  // The virtual counter falls behind by so much, from the next run() on. Any thread, while run() is not in progress: a debugger may be
  // using the registers.
  void hold_back_counter(uint64_t counts);
  void wake() { wake_.wake(); }
  void timer_expired() { timer_.expire(); }

 private:
  void set_timer_line(uint32_t ppi, bool level) override;
  void arm_timer(uint64_t deadline) override;

  void start(uint64_t entry, uint64_t x0);
  void apply_held_back_counter();
  // False: kicked before it was powered on.
  bool wait_until_on();
  // Kicked, or an interrupt is signalled.
  [[nodiscard]] bool has_work() const { return kicked_.load() || shared_.gic->interrupt_signalled(index_); }
  // False: nothing came in the time that polling is worth.
  bool poll_for_interrupt();
  void wait_for_interrupt();
  void wait_for_event();
  // True when the access was done here; otherwise `mmio_` describes it for the caller of run().
  bool handle_mmio(const engine::Exit::Mmio& access);
  [[nodiscard]] bool observed(VcpuObserver::Interest what) const { return observer_ != nullptr && observer_->wants(what); }
  void tell_exit(ExitReason reason, uint64_t detail = 0, bool is_write = false) {
    if (told_left_) [[unlikely]]
      observer_->exited(reason, detail, is_write);
  }
  // The exit that a firmware call makes, if any.
  std::optional<Exit> handle_firmware_call();

  const unsigned index_;
  SoftShared& shared_;
  engine::Cpu* cpu_ = nullptr;
  VcpuObserver* observer_ = nullptr;
  bool told_left_ = false;  // the observer waits to hear why
  GenericTimer timer_;
  IoEventFdTable::Reader doorbells_;
  WakeEvent wake_;
  std::atomic<bool> kicked_ = false;
  std::atomic<uint64_t> held_back_ = 0;  // counts that cntvoff does not have yet
  // Why the engine came back.
  struct {
    Tally mmio, irqchip, doorbell, firmware, wfi, wfe, kick, debug;
  } exits_;

  // The vCPU thread's own.
  bool on_ = false;
  bool single_step_ = false;  // waiting is no part of a step
  bool mmio_pending_ = false;
  std::array<uint8_t, 8> mmio_data_{};
  uint8_t mmio_size_ = 0;
  bool mmio_is_write_ = false;
  AdaptivePoll halt_poll_;
  uint64_t events_seen_ = 0;
  uint64_t last_wfe_ = 0;
  unsigned wfe_streak_ = 0;
};

}  // namespace adyton::hypervisor::soft
