#include "vmm/machine.h"

#include <fmt/format.h>
#include <sys/prctl.h>
#include <sys/random.h>

#include <algorithm>
#include <chrono>

#include "base/log/logger.h"
#include "base/thread.h"
#include "vmm/fdt.h"
#include "vmm/image_loader.h"

namespace adyton::vmm {
namespace {

constexpr uint64_t kInitrdAlignment = 64 << 10;
constexpr unsigned long kTimerSlackNanoseconds = 1000;  // guests sleep for short times; the default is 50 us

const log::Logger kLog("machine");

uint64_t align_up(uint64_t value, uint64_t alignment) { return (value + alignment - 1) & ~(alignment - 1); }

// Not by time(), which on a host without a vDSO is a system call of its own.
int64_t wall_clock_seconds() {
  return std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch()).count();
}

Result<void> fill_random(std::span<uint8_t> bytes) {
  if (::getrandom(bytes.data(), bytes.size(), 0) != static_cast<ssize_t>(bytes.size()))
    return fail_errno("cannot get random bytes");
  return {};
}

std::unexpected<Error> in_context(std::string_view what, Error error) {
  error.message = fmt::format("{}: {}", what, error.message);
  return std::unexpected(std::move(error));
}

}  // namespace

std::string_view to_string(Machine::EndReason reason) {
  switch (reason) {
    case Machine::EndReason::kShutdown: return "shutdown";
    case Machine::EndReason::kReset: return "reset";
    case Machine::EndReason::kCrash: return "crash";
    case Machine::EndReason::kInternalError: return "internal error";
    case Machine::EndReason::kStopped: return "stopped";
    case Machine::EndReason::kWatchdog: return "watchdog";
  }
  return "unknown";
}

class Machine::SpiLine final : public IrqLine {
 public:
  SpiLine(hypervisor::Vm& vm, uint32_t intid) : vm_(vm), intid_(intid) {}
  void set(bool level) override {
    // The lock keeps two threads' changes in one order all the way.
    std::lock_guard lock(mutex_);
    if (level == level_) return;
    level_ = level;
    // Cannot fail: the board's interrupts exist.
    (void)vm_.set_irq_line(intid_, level);
  }

 private:
  hypervisor::Vm& vm_;
  const uint32_t intid_;
  std::mutex mutex_;
  bool level_ = false;
};

Result<std::unique_ptr<Machine>> Machine::create(MachineConfig config, std::unique_ptr<hypervisor::Vm> vm) {
  std::unique_ptr<Machine> machine(new Machine(std::move(config), std::move(vm)));
  TRY(machine->assemble());
  return machine;
}

Result<void> Machine::assemble() {
  unsigned max_cpus = std::min(board::kMaxCpus, vm_->capabilities().max_vcpus);
  if (config_.cpus == 0 || config_.cpus > max_cpus) {
    return fail(ErrorCode::kInvalidArgument, fmt::format("{} vCPUs: this machine can have 1 to {}", config_.cpus, max_cpus));
  }
  if (config_.memory_size < board::kMinRamSize || config_.memory_size > board::kMaxRamSize) {
    return fail(ErrorCode::kInvalidArgument,
                fmt::format("{} MiB of memory: this machine can have {} MiB to {} GiB", config_.memory_size >> 20,
                            board::kMinRamSize >> 20, board::kMaxRamSize >> 30));
  }
  config_.memory_size = align_up(config_.memory_size, board::kRamAlignment);
  TRY(memory_.add_ram(board::kRamBase, config_.memory_size));
  if (config_.firmware_memory) TRY(memory_.add_ram(board::kFirmwareBase, board::kFirmwareSize));
  TRY(vm_->set_memory(memory_));
  for (unsigned i = 0; i < config_.cpus; ++i) vcpus_.push_back(TRY(vm_->create_vcpu(i)));
  held_.resize(config_.cpus);
  standing_.resize(config_.cpus);
  TRY(vm_->create_irqchip({board::kGicDistributorBase, board::kGicRedistributorBase, board::kIntidCount}));

  uart_irq_ = std::make_unique<SpiLine>(*vm_, board::kUartIntid);
  rtc_irq_ = std::make_unique<SpiLine>(*vm_, board::kRtcIntid);
  uart_ = std::make_unique<Pl011>(*uart_irq_, config_.console);
  rtc_ = std::make_unique<Pl031>(*rtc_irq_, wall_clock_seconds);
  TRY(bus_.add(board::kUartBase, board::kUartSize, *uart_));
  TRY(bus_.add(board::kRtcBase, board::kRtcSize, *rtc_));
  if (config_.watchdog_seconds == 0) return {};
  watchdog_irq_ = std::make_unique<SpiLine>(*vm_, board::kWatchdogIntid);
  watchdog_ = std::make_unique<SbsaWatchdog>(
      *watchdog_irq_, SbsaWatchdog::Counter{.now = [this] { return vm_->counter(); }, .frequency = vm_->counter_frequency()},
      [this] {
        end({EndReason::kWatchdog, {}});
      });
  TRY(bus_.add(board::kWatchdogRefreshBase, SbsaWatchdog::kFrameSize, watchdog_->refresh_frame()));
  return bus_.add(board::kWatchdogControlBase, SbsaWatchdog::kFrameSize, watchdog_->control_frame());
}

Machine::~Machine() { stop(); }

const GuestRegion* Machine::region_at(GuestPhysAddr base) const {
  auto region = std::ranges::find(memory_.regions(), base, &GuestRegion::base);
  return region == memory_.regions().end() ? nullptr : &*region;
}

Result<unsigned> Machine::add_virtio_slot() {
  if (slots_.size() == board::kVirtioMmioCount) {
    return fail(ErrorCode::kExhausted, fmt::format("the board has only {} virtio slots", board::kVirtioMmioCount));
  }
  unsigned slot = static_cast<unsigned>(slots_.size());
  slots_.push_back({std::make_unique<SpiLine>(*vm_, board::virtio_mmio_intid(slot)), nullptr});
  return slot;
}

IrqLine& Machine::irq(unsigned slot) { return *slots_[slot].irq; }

Result<void> Machine::attach(unsigned slot, std::unique_ptr<MmioDevice> device) {
  if (slot >= slots_.size() || slots_[slot].device)
    return fail(ErrorCode::kInvalidArgument, fmt::format("virtio slot {} is not free", slot));
  TRY(bus_.add(board::virtio_mmio_address(slot), board::kVirtioMmioSize, *device));
  slots_[slot].device = std::move(device);
  return {};
}

Result<void> Machine::add_doorbell(unsigned slot, uint64_t offset, uint32_t value, int eventfd) {
  return vm_->add_ioeventfd(
      {.address = board::virtio_mmio_address(slot) + offset, .length = 4, .match_data = true, .data = value, .eventfd = eventfd});
}

Result<void> Machine::load(const BootConfig& boot) {
  if (!boot.kernel) return fail(ErrorCode::kInvalidArgument, "there is nothing to boot");
  const GuestRegion& ram = *region_at(board::kRamBase);
  // A flat program does not say how much memory it uses, so the device tree goes as far away as possible.
  GuestRegion room = ram;
  if (boot.mode == BootConfig::Mode::kFlat) room.size -= kMaxFdtSize;
  Result<LoadedKernel> kernel;
  switch (boot.mode) {
    case BootConfig::Mode::kKernel: kernel = load_kernel(*boot.kernel, ram); break;
    case BootConfig::Mode::kFlat: kernel = load_flat(*boot.kernel, room); break;
    case BootConfig::Mode::kFirmware: {
      const GuestRegion* rom = region_at(board::kFirmwareBase);
      if (!rom) return fail(ErrorCode::kInvalidArgument, "this machine was made without memory for firmware");
      kernel = load_firmware(*boot.kernel, *rom);
      break;
    }
  }
  if (!kernel) return in_context(boot.mode == BootConfig::Mode::kFirmware ? "firmware" : "kernel", std::move(kernel).error());
  // Firmware finds the device tree where RAM begins; a kernel gets it, and the initrd, behind its own memory.
  uint64_t fdt_base = room.base + room.size, initrd_base = align_up(kernel->end, kInitrdAlignment);
  if (boot.mode != BootConfig::Mode::kFlat) {
    fdt_base = boot.mode == BootConfig::Mode::kFirmware ? ram.base : align_up(kernel->end, kMaxFdtSize);
    initrd_base = fdt_base + kMaxFdtSize;
  }

  FdtConfig fdt{.cpus = config_.cpus, .ram_size = ram.size, .bootargs = boot.command_line, .instance_id = boot.instance_id};
  fdt.watchdog_seconds = config_.watchdog_seconds;
  if (boot.initrd && boot.initrd->size() > 0) {
    if (auto done = load_initrd(*boot.initrd, room, initrd_base); !done) return in_context("initrd", std::move(done).error());
    fdt.initrd = {initrd_base, boot.initrd->size()};
  }
  for (unsigned slot = 0; slot < slots_.size(); ++slot) {
    if (slots_[slot].device) fdt.virtio_slots.push_back(slot);
  }
  TRY(fill_random(fdt.rng_seed));
  TRY(fill_random(std::span(reinterpret_cast<uint8_t*>(&fdt.kaslr_seed), sizeof fdt.kaslr_seed)));
  auto blob = TRY(build_fdt(fdt));
  if (!memory_.write(fdt_base, blob)) {
    return fail(ErrorCode::kExhausted, fmt::format("no room for the device tree in {} MiB of memory", ram.size >> 20));
  }
  boot_ = hypervisor::VcpuInit{.powered_on = true, .entry = kernel->entry, .x0 = fdt_base};
  return {};
}

Result<void> Machine::start(std::function<void(const End&)> ended) {
  if (!boot_) return fail(ErrorCode::kInvalidArgument, "a machine needs something to boot");
  if (!threads_.empty()) return fail(ErrorCode::kInvalidArgument, "the machine has been started already");
  ended_ = std::move(ended);
  for (hypervisor::Vcpu* vcpu : vcpus_) TRY(vcpu->init(vcpu->index() == 0 ? *boot_ : hypervisor::VcpuInit{}));
  TRY(rtc_->start());
  if (watchdog_) {
    watchdog_->arm(config_.watchdog_seconds);
    TRY(watchdog_->start());
    std::lock_guard lock(mutex_);
    tell_watchdog();
  }
  std::lock_guard lock(join_mutex_);
  for (hypervisor::Vcpu* vcpu : vcpus_) {
    {
      std::lock_guard counting(mutex_);
      ++started_;
    }
    threads_.push_back(TRY(start_thread(fmt::format("vcpu{}", vcpu->index()), [this, vcpu] { run_vcpu(*vcpu); })));
  }
  return {};
}

void Machine::run_vcpu(hypervisor::Vcpu& vcpu) {
  ::prctl(PR_SET_TIMERSLACK, kTimerSlackNanoseconds);
  bool go_on = wait_while_paused(vcpu.index());
  while (go_on) {
    auto exit = vcpu.run();
    if (!exit) {
      end({EndReason::kInternalError, std::move(exit).error().message}, vcpu.index());
      break;
    }
    go_on = std::visit([this, &vcpu](auto& reason) { return handle(vcpu.index(), reason); }, *exit);
  }
  std::lock_guard lock(mutex_);
  standing_[vcpu.index()] = true;
  changed_.notify_all();
}

bool Machine::wait_while_paused(unsigned vcpu) {
  std::unique_lock lock(mutex_);
  const auto may_run = [this, vcpu] { return (!paused_ && !held_[vcpu] && frozen_ == 0) || stopping_; };
  if (!may_run()) {
    standing_[vcpu] = true;
    changed_.notify_all();
    changed_.wait(lock, may_run);
    standing_[vcpu] = false;
  }
  return !stopping_;
}

bool Machine::handle(unsigned vcpu, hypervisor::InterruptedExit&) { return wait_while_paused(vcpu); }

bool Machine::handle(unsigned, hypervisor::MmioExit& exit) {
  const bool taken = exit.is_write ? bus_.write(exit.address, exit.data) : bus_.read(exit.address, exit.data);
  if (!taken) {
    kLog.debug(stray_limit_, {{"bytes", exit.data.size()}}, "the guest {} at {:#x}, where no device is",
               exit.is_write ? "writes" : "reads", exit.address);
  }
  return true;
}

bool Machine::handle(unsigned vcpu, hypervisor::SystemEventExit& exit) {
  using Type = hypervisor::SystemEventExit::Type;
  end({exit.type == Type::kShutdown ? EndReason::kShutdown
       : exit.type == Type::kReset  ? EndReason::kReset
                                    : EndReason::kCrash,
       {}},
      vcpu);
  return false;
}

bool Machine::handle(unsigned vcpu, hypervisor::DebugExit& exit) {
  {
    std::lock_guard lock(mutex_);
    // When two vCPUs stop at once, the first one counts: the other one is at its breakpoint, and will be there again.
    if (debugger_ && !debug_stop_ && !held_[vcpu]) {
      debug_stop_ = DebugStop{vcpu, exit};
      held_.assign(held_.size(), true);
      tell_watchdog();
      for (hypervisor::Vcpu* other : vcpus_) {
        if (other->index() != vcpu) other->kick();
      }
      debugger_();
    }
  }
  return wait_while_paused(vcpu);
}

bool Machine::handle(unsigned vcpu, hypervisor::InternalErrorExit& exit) {
  end({EndReason::kInternalError, std::move(exit.message)}, vcpu);
  return false;
}

void Machine::end(End end, std::optional<unsigned> vcpu) {
  {
    std::lock_guard lock(mutex_);
    if (vcpu) {
      standing_[*vcpu] = true;
      changed_.notify_all();
    }
    if (end_) return;
    end_ = std::move(end);
    stopping_ = true;
  }
  for (hypervisor::Vcpu* each : vcpus_) each->kick();
  if (ended_) ended_(*end_);
  std::lock_guard lock(mutex_);
  end_reported_ = true;
  if (debugger_) debugger_();
  changed_.notify_all();
}

// It may take a lock of its own, and end() is called with none of it held.
void Machine::tell_watchdog() {
  if (watchdog_) watchdog_->stand_still(paused_ || frozen_ != 0 || std::ranges::count(held_, true) != 0);
}

void Machine::pause() {
  std::unique_lock lock(mutex_);
  paused_ = true;
  tell_watchdog();
  for (hypervisor::Vcpu* vcpu : vcpus_) vcpu->kick();
  changed_.wait(lock, [this] { return all_stand() || !paused_ || stopping_; });
  if (paused_ && !stopping_ && !std::exchange(counter_stopped_, true)) vm_->stop_counter();
}

void Machine::resume() {
  std::lock_guard lock(mutex_);
  paused_ = false;
  tell_watchdog();
  // While mutex_ is held no vCPU leaves wait_while_paused().
  if (std::exchange(counter_stopped_, false)) vm_->restart_counter();
  changed_.notify_all();
}

void Machine::set_debugger(std::function<void()> stopped) {
  std::lock_guard lock(mutex_);
  debugger_ = std::move(stopped);
  debug_stop_.reset();
}

void Machine::hold() {
  std::unique_lock lock(mutex_);
  held_.assign(held_.size(), true);
  tell_watchdog();
  for (hypervisor::Vcpu* vcpu : vcpus_) vcpu->kick();
  changed_.wait(lock, [this] { return all_stand() || stopping_; });
}

void Machine::release(const std::vector<bool>& which) {
  std::lock_guard lock(mutex_);
  debug_stop_.reset();
  for (size_t i = 0; i < held_.size() && i < which.size(); ++i) {
    if (which[i]) held_[i] = false;
  }
  tell_watchdog();
  changed_.notify_all();
}

std::vector<bool> Machine::freeze(std::chrono::milliseconds patience) {
  std::unique_lock lock(mutex_);
  ++frozen_;
  tell_watchdog();
  for (hypervisor::Vcpu* vcpu : vcpus_) vcpu->kick();
  changed_.wait_for(lock, patience, [this] { return all_stand(); });
  return standing_;
}

void Machine::thaw() {
  std::lock_guard lock(mutex_);
  --frozen_;
  tell_watchdog();
  changed_.notify_all();
}

std::optional<Machine::DebugStop> Machine::debug_stop() {
  std::lock_guard lock(mutex_);
  return debug_stop_;
}

std::optional<Machine::End> Machine::ended() {
  std::lock_guard lock(mutex_);
  return end_;
}

void Machine::stop() {
  end({EndReason::kStopped, {}});
  std::lock_guard lock(join_mutex_);
  for (std::jthread& thread : threads_) {
    if (thread.joinable()) thread.join();
  }
}

Machine::End Machine::wait() {
  {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return end_reported_; });
  }
  stop();
  return *end_;
}

}  // namespace adyton::vmm
