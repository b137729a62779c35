#include "hypervisor/soft/soft_vcpu.h"

#include <fmt/format.h>
#include <immintrin.h>
#include <sched.h>

#include <cstring>

#include "hypervisor/soft/gic_cpu_interface.h"
#include "hypervisor/soft/registers.h"

namespace adyton::hypervisor::soft {
namespace {

// About a microsecond.
constexpr unsigned kPausesPerYield = 32;

// A guest that spins with WFE first gets the processor back at once, then lets other threads of the host run, then sleeps.
constexpr unsigned kWfePauses = 8, kWfeYields = 64;
constexpr uint64_t kWfeSleepNanoseconds = 50'000;
// WFEs further apart than this are not one spin.
constexpr uint64_t kWfeGapPerSecond = 20'000;

// IHI 0069, 2.2.1: from here on an INTID says that there was no interrupt.
constexpr uint64_t kSpecialIntids = 1020;

}  // namespace

SoftVcpu::SoftVcpu(unsigned index, SoftShared& shared)
    : index_(index), shared_(shared), timer_(shared.counter, *this), doorbells_(shared.doorbells) {}

Result<void> SoftVcpu::init(const VcpuInit& init) {
  on_ = init.powered_on;
  mmio_pending_ = false;
  shared_.power->set_powered(index_, init.powered_on);
  start(init.entry, init.x0);
  return {};
}

void SoftVcpu::start(uint64_t entry, uint64_t x0) {
  engine::arm64::CpuState& state = cpu_->state();
  shared_.reset(state, affinity());
  state.pc = entry;
  state.x[0] = x0;
  cpu_->state_changed();
  timer_.update(state);
}

void SoftVcpu::kick() {
  kicked_.store(true);
  cpu_->kick();
  wake_.wake();
}

Result<void> SoftVcpu::get_one_reg(uint64_t id, std::span<uint8_t> value) { return read_register(cpu_->state(), id, value); }

Result<void> SoftVcpu::set_one_reg(uint64_t id, std::span<const uint8_t> value) {
  TRY(write_register(cpu_->state(), id, value));
  cpu_->state_changed();
  timer_.update(cpu_->state());
  return {};
}

std::vector<Statistic> SoftVcpu::statistics() const {
  const engine::CpuStatistics cpu = cpu_->statistics();
  return {{"exits.mmio", exits_.mmio.value()},
          {"exits.irqchip", exits_.irqchip.value()},
          {"exits.doorbell", exits_.doorbell.value()},
          {"exits.firmware", exits_.firmware.value()},
          {"exits.wfi", exits_.wfi.value()},
          {"exits.wfe", exits_.wfe.value()},
          {"exits.kick", exits_.kick.value()},
          {"exits.debug", exits_.debug.value()},
          {"interrupts", cpu.interrupts},
          {"translated_blocks", cpu.translated_blocks},
          {"translated_instructions", cpu.translated_instructions},
          {"tlb_refills", cpu.tlb_refills},
          {"table_walks", cpu.table_walks}};
}

Result<void> SoftVcpu::set_guest_debug(const GuestDebug& debug) {
  engine::DebugControl control;
  if (debug.enable) {
    control.single_step = debug.single_step;
    control.software_breakpoints = debug.software_breakpoints;
    if (debug.hardware) {
      control.breakpoint_control = debug.dbg_bcr;
      control.breakpoint_value = debug.dbg_bvr;
      control.watchpoint_control = debug.dbg_wcr;
      control.watchpoint_value = debug.dbg_wvr;
    }
  }
  single_step_ = control.single_step;
  cpu_->set_debug(control);
  return {};
}

Result<GuestPhysAddr> SoftVcpu::translate(uint64_t va) {
  const auto pa = cpu_->debug_translate(va);
  if (!pa) return fail(ErrorCode::kNotFound, fmt::format("the guest has nothing at virtual address {:#x}", va));
  return *pa;
}

void SoftVcpu::hold_back_counter(uint64_t counts) { held_back_.fetch_add(counts); }

void SoftVcpu::apply_held_back_counter() {
  cpu_->state().cntvoff += held_back_.exchange(0);
  cpu_->state_changed();
  timer_.update(cpu_->state());
}

void SoftVcpu::set_irq(bool level) {
  cpu_->set_irq(level);
  if (level) wake_.wake();
}

void SoftVcpu::set_fiq(bool level) {
  cpu_->set_fiq(level);
  if (level) wake_.wake();
}

void SoftVcpu::set_timer_line(uint32_t ppi, bool level) {
  if (shared_.gic) shared_.gic->set_ppi(index_, ppi, level);
}

void SoftVcpu::arm_timer(uint64_t deadline) {
  if (shared_.timers) shared_.timers->arm(index_, deadline);
}

bool SoftVcpu::read_icc(uint16_t encoding, uint64_t& value) {
  if (!shared_.gic->read_icc(index_, encoding, value)) return false;
  const bool acknowledged = (encoding == icc::kIar1 || encoding == icc::kIar0) && value < kSpecialIntids;
  if (acknowledged && observed(VcpuObserver::kInterrupts)) [[unlikely]]
    observer_->interrupted(static_cast<uint32_t>(value));
  return true;
}

void SoftVcpu::translating() {
  if (observed(VcpuObserver::kTranslations)) [[unlikely]]
    observer_->translating();
}

void SoftVcpu::translated(uint64_t pc, uint32_t instructions) {
  if (observed(VcpuObserver::kTranslations)) [[unlikely]]
    observer_->translated(pc, instructions);
}

void SoftVcpu::send_event() {
  shared_.events.fetch_add(1);
  if (shared_.event_waiters.load()) shared_.wake_all();
}

bool SoftVcpu::wait_until_on() {
  while (!on_) {
    uint32_t ticket = wake_.ticket();
    if (kicked_.load()) return false;
    if (auto request = shared_.power->take_start(index_)) {
      start(request->entry, request->context);
      on_ = true;
    } else {
      wake_.wait(ticket, WakeEvent::kForever);
    }
  }
  return true;
}

bool SoftVcpu::poll_for_interrupt() {
  if (!shared_.may_poll || halt_poll_.window() == 0) return false;
  const uint64_t end = shared_.counter.now() + halt_poll_.window() * shared_.counter.frequency / 1'000'000'000;
  do {
    for (unsigned i = 0; i < kPausesPerYield; ++i) {
      if (has_work()) return true;
      _mm_pause();
    }
    ::sched_yield();  // whoever is to send the interrupt may need this processor
  } while (shared_.counter.now() < end);
  return false;
}

void SoftVcpu::wait_for_interrupt() {
  if (has_work()) return;
  const uint64_t start = shared_.counter.now();
  if (!poll_for_interrupt()) {
    while (true) {
      uint32_t ticket = wake_.ticket();
      if (has_work()) break;
      uint64_t deadline = timer_.begin_idle();
      // A deadline that passed by now has raised its line, if the guest lets it through.
      if (!shared_.gic->interrupt_signalled(index_)) {
        wake_.wait(ticket, deadline == kNever ? WakeEvent::kForever : shared_.counter.nanoseconds_until(deadline));
      }
      timer_.end_idle();
    }
  }
  const unsigned __int128 counts = shared_.counter.now() - start;
  halt_poll_.waited(static_cast<uint64_t>(counts * 1'000'000'000 / shared_.counter.frequency));
}

void SoftVcpu::wait_for_event() {
  if (uint64_t events = shared_.events.load(); events != events_seen_) {
    events_seen_ = events;
    return;
  }
  uint64_t now = shared_.counter.now();
  wfe_streak_ = now - last_wfe_ < shared_.counter.frequency / kWfeGapPerSecond ? wfe_streak_ + 1 : 0;
  if (wfe_streak_ < kWfePauses) {
    _mm_pause();
  } else if (wfe_streak_ < kWfeYields) {
    ::sched_yield();
  } else {
    shared_.event_waiters.fetch_add(1);
    uint32_t ticket = wake_.ticket();
    bool stay = !has_work() && shared_.events.load() == events_seen_;
    if (stay) wake_.wait(ticket, kWfeSleepNanoseconds);
    shared_.event_waiters.fetch_sub(1);
  }
  last_wfe_ = shared_.counter.now();
}

bool SoftVcpu::handle_mmio(const engine::Exit::Mmio& access) {
  uint64_t value = 0;
  if (access.is_write) {
    const bool irqchip = shared_.gic->write(access.address, access.size, access.data);
    if (irqchip || doorbells_.ring(access.address, access.size, access.data)) {
      (irqchip ? exits_.irqchip : exits_.doorbell).add();
      tell_exit(irqchip ? ExitReason::kIrqchip : ExitReason::kDoorbell, access.address, true);
      cpu_->complete_mmio(0);
      return true;
    }
    value = access.data;
  } else if (shared_.gic->read(access.address, access.size, value)) {
    exits_.irqchip.add();
    tell_exit(ExitReason::kIrqchip, access.address, false);
    cpu_->complete_mmio(value);
    return true;
  }
  exits_.mmio.add();
  tell_exit(ExitReason::kMmio, access.address, access.is_write);
  std::memcpy(mmio_data_.data(), &value, sizeof value);
  mmio_size_ = access.size;
  mmio_is_write_ = access.is_write;
  mmio_pending_ = true;
  return false;
}

std::optional<Exit> SoftVcpu::handle_firmware_call() {
  using Action = FirmwareOutcome::Action;
  engine::arm64::CpuState& state = cpu_->state();
  FirmwareOutcome outcome = firmware_call({state.x[0], state.x[1], state.x[2], state.x[3]}, *shared_.power);
  switch (outcome.action) {
    case Action::kReturn:
    case Action::kStandby:
      state.x[0] = static_cast<uint64_t>(outcome.value);
      cpu_->state_changed();
      if (outcome.action == Action::kStandby && !single_step_) wait_for_interrupt();
      return std::nullopt;
    case Action::kCpuOff:
      on_ = false;
      shared_.power->set_powered(index_, false);
      return std::nullopt;
    case Action::kSystemOff: return SystemEventExit{SystemEventExit::Type::kShutdown, 0};
    case Action::kSystemReset: return SystemEventExit{SystemEventExit::Type::kReset, outcome.detail};
  }
  return std::nullopt;
}

Result<Exit> SoftVcpu::run() {
  if (!shared_.gic) return fail(ErrorCode::kInvalidArgument, "a vCPU cannot run before its VM has an interrupt controller");
  if (held_back_.load() != 0) apply_held_back_counter();
  if (mmio_pending_) {
    uint64_t value = 0;
    if (!mmio_is_write_) std::memcpy(&value, mmio_data_.data(), mmio_size_);
    mmio_pending_ = false;
    cpu_->complete_mmio(value);
  }
  while (true) {
    if (!on_ && !wait_until_on()) {
      kicked_.store(false);
      return InterruptedExit{};
    }
    if (kicked_.load(std::memory_order_relaxed) && kicked_.exchange(false)) return InterruptedExit{};
    if (observed(VcpuObserver::kRuns)) [[unlikely]]
      observer_->entering();
    engine::Exit exit = cpu_->run();
    told_left_ = observed(VcpuObserver::kRuns);
    if (told_left_) [[unlikely]]
      observer_->left();
    using Reason = engine::Exit::Reason;
    switch (exit.reason) {
      case Reason::kMmio:
        if (!handle_mmio(exit.mmio)) {
          return MmioExit{exit.mmio.address, exit.mmio.is_write, std::span(mmio_data_).first(mmio_size_)};
        }
        break;
      case Reason::kHypercall:
      case Reason::kSecureCall:
        exits_.firmware.add();
        tell_exit(ExitReason::kFirmware, cpu_->state().x[0]);
        if (auto result = handle_firmware_call()) return std::move(*result);
        break;
      case Reason::kWaitForInterrupt:
        if (single_step_) {
          tell_exit(exit.wait_for_event ? ExitReason::kWfe : ExitReason::kWfi);
          break;
        }
        if (exit.wait_for_event) {
          exits_.wfe.add();
          tell_exit(ExitReason::kWfe);
          wait_for_event();
        } else {
          exits_.wfi.add();
          tell_exit(ExitReason::kWfi);
          wait_for_interrupt();
        }
        break;
      case Reason::kKicked:
        exits_.kick.add();
        tell_exit(ExitReason::kKick);
        break;
      case Reason::kDebug:
        exits_.debug.add();
        tell_exit(ExitReason::kDebug);
        return DebugExit{.hsr = exit.debug.syndrome, .far = exit.debug.far};
      case Reason::kInternalError: {
        tell_exit(ExitReason::kError);
        const engine::arm64::CpuState& state = cpu_->state();
        return InternalErrorExit{fmt::format("{} (vCPU {}, pc {:#x})", exit.message, index_, state.pc)};
      }
    }
  }
}

}  // namespace adyton::hypervisor::soft
