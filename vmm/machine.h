// One VM on the board: memory, interrupt controller, UART, clock, virtio slots, the boot program, and a thread for each vCPU.
//
//   auto machine = TRY(Machine::create(config, std::move(vm)));
//   auto slot = TRY(machine->add_virtio_slot());
//   machine->attach(slot, std::make_unique<...>(machine->memory(), machine->irq(slot)));
//   TRY(machine->load(boot));
//   TRY(machine->start());
//   Machine::End end = machine->wait();
//
// Threading: everything up to start() on one thread; afterwards the methods below start() may be called from any thread that is
// not a vCPU's.
#pragma once
#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "base/guest_memory.h"
#include "base/log/rate_limit.h"
#include "hypervisor/hypervisor.h"
#include "vmm/board.h"
#include "vmm/byte_source.h"
#include "vmm/irq_line.h"
#include "vmm/mmio_bus.h"
#include "vmm/pl011.h"
#include "vmm/pl031.h"
#include "vmm/sbsa_watchdog.h"

namespace adyton::vmm {

struct MachineConfig {
  unsigned cpus = 1;
  uint64_t memory_size = 256ull << 20;  // bytes; rounded up to board::kRamAlignment
  // Maps memory where firmware expects its flash.
  bool firmware_memory = false;
  // A watchdog (sbsa_watchdog.h) that runs from the start on: so long without a refresh by the guest end the VM as kWatchdog. 0:
  // it has none.
  uint32_t watchdog_seconds = 0;
  // The UART's side of the outside. `output` is required; runs on vCPU threads.
  Pl011::Callbacks console;
};

struct BootConfig {
  enum class Mode : uint8_t {
    kKernel,    // an arm64 Linux Image, compressed or not
    kFlat,      // any program, run from RAM at load_flat's offset with x0 = device tree
    kFirmware,  // runs from address 0, device tree at the start of RAM; needs MachineConfig::firmware_memory
  } mode = Mode::kKernel;
  const ByteSource* kernel = nullptr;
  const ByteSource* initrd = nullptr;  // optional
  std::string command_line;
  std::string instance_id;  // bytes that the device tree tells the guest; empty: none
};

class Machine {
 public:
  enum class EndReason : uint8_t { kShutdown, kReset, kCrash, kInternalError, kStopped, kWatchdog };
  struct End {
    EndReason reason = EndReason::kStopped;
    std::string message;  // for kInternalError
  };

  static Result<std::unique_ptr<Machine>> create(MachineConfig config, std::unique_ptr<hypervisor::Vm> vm);
  ~Machine();  // stops it

  [[nodiscard]] const GuestMemory& memory() const { return memory_; }
  [[nodiscard]] hypervisor::Vm& vm() { return *vm_; }

  // --- Before start().
  // Reserves the next virtio-mmio slot.
  Result<unsigned> add_virtio_slot();
  [[nodiscard]] IrqLine& irq(unsigned slot);
  // The device's registers appear in the slot; the machine owns it from now on and destroys it after the vCPUs have stopped.
  Result<void> attach(unsigned slot, std::unique_ptr<MmioDevice> device);
  // Writes of `value`, 4 bytes wide, to `offset` in the slot signal `eventfd` without reaching the device.
  Result<void> add_doorbell(unsigned slot, uint64_t offset, uint32_t value, int eventfd);
  // Puts the boot program, the initrd and the device tree into memory, after all slots were added.
  Result<void> load(const BootConfig& boot);
  // Powers vCPU 0 on. `ended` runs once, on a vCPU's thread (or stop()'s), after which wait() returns; it must not call stop() or
  // wait().
  Result<void> start(std::function<void(const End&)> ended = {});

  // --- While it runs.
  [[nodiscard]] Pl011& uart() { return *uart_; }
  [[nodiscard]] const std::vector<hypervisor::Vcpu*>& vcpus() const { return vcpus_; }
  // All vCPUs stand still outside guest code when pause() returns, and the guest's virtual counter does until resume(). Not
  // counted: one resume() undoes any number.
  void pause();
  void resume();
  // --- For a debugger, of which there is one at a time.
  struct DebugStop {
    unsigned vcpu = 0;
    hypervisor::DebugExit exit;
  };
  // From now on a DebugExit holds every vCPU. `stopped` is called, on any thread and with locks held, when that happened and when
  // the machine has ended: it may do no more than wake somebody up, who asks debug_stop() and ended(). Empty: nobody debugs any
  // more.
  void set_debugger(std::function<void()> stopped);
  // Holds every vCPU until release(), whether it is paused or not; before start() too. Returns when all stand still (or the
  // machine ends): their registers may then be used on this thread.
  void hold();
  // Lets those of the vCPUs go on whose entry is true.
  void release(const std::vector<bool>& which);
  // The first DebugExit since the last release().
  [[nodiscard]] std::optional<DebugStop> debug_stop();
  [[nodiscard]] std::optional<End> ended();
  // Makes every vCPU stand still, whoever else lets it go on, until thaw(); as often as freeze() was called. Says which stand: a
  // vCPU that waits for a device, longer than `patience`, does not. Their registers may be used on this thread meanwhile. The
  // vCPU on whose thread this is called (that of `ended`) stands.
  std::vector<bool> freeze(std::chrono::milliseconds patience);
  void thaw();

  // Ends it as kStopped; unlike stop() it does not wait for the threads.
  void end_now() { end({EndReason::kStopped, {}}); }

  // Ends it, as kStopped unless it has ended already. Returns when no vCPU runs any more.
  void stop();
  // Until the guest or stop() ends it.
  End wait();

 private:
  class SpiLine;
  explicit Machine(MachineConfig config, std::unique_ptr<hypervisor::Vm> vm) : config_(std::move(config)), vm_(std::move(vm)) {}
  Result<void> assemble();
  [[nodiscard]] const GuestRegion* region_at(GuestPhysAddr base) const;
  void run_vcpu(hypervisor::Vcpu& vcpu);
  // Deals with an exit; false when the vCPU is done.
  bool handle(unsigned vcpu, hypervisor::InterruptedExit& exit);
  bool handle(unsigned vcpu, hypervisor::MmioExit& exit);
  bool handle(unsigned vcpu, hypervisor::SystemEventExit& exit);
  bool handle(unsigned vcpu, hypervisor::DebugExit& exit);
  bool handle(unsigned vcpu, hypervisor::InternalErrorExit& exit);
  bool wait_while_paused(unsigned vcpu);
  // Under mutex_: somebody may have halted or released the vCPUs.
  void tell_watchdog();
  // `vcpu`: on whose thread this is called; it does not run any more.
  void end(End end, std::optional<unsigned> vcpu = std::nullopt);
  // Under mutex_.
  [[nodiscard]] bool all_stand() const { return static_cast<size_t>(std::ranges::count(standing_, true)) == started_; }

  struct Slot {
    std::unique_ptr<IrqLine> irq;
    std::unique_ptr<MmioDevice> device;
  };

  // Destroyed in reverse: devices before the lines and the VM that they use, the VM before its memory.
  MachineConfig config_;
  GuestMemory memory_;
  std::unique_ptr<hypervisor::Vm> vm_;
  std::vector<hypervisor::Vcpu*> vcpus_;
  MmioBus bus_;
  std::unique_ptr<IrqLine> uart_irq_, rtc_irq_, watchdog_irq_;
  std::unique_ptr<Pl011> uart_;
  std::unique_ptr<Pl031> rtc_;
  std::unique_ptr<SbsaWatchdog> watchdog_;  // may be none
  std::vector<Slot> slots_;

  log::RateLimit stray_limit_;  // accesses to where nothing is

  std::optional<hypervisor::VcpuInit> boot_;
  std::function<void(const End&)> ended_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::function<void()> debugger_;
  std::optional<DebugStop> debug_stop_;
  std::vector<bool> held_;  // by the debugger, each vCPU
  bool paused_ = false, stopping_ = false, end_reported_ = false;
  unsigned started_ = 0;        // vCPU threads
  std::vector<bool> standing_;  // those that wait or have finished
  unsigned frozen_ = 0;
  bool counter_stopped_ = false;
  std::optional<End> end_;
  std::mutex join_mutex_;
  std::vector<std::jthread> threads_;
};

std::string_view to_string(Machine::EndReason reason);

}  // namespace adyton::vmm
