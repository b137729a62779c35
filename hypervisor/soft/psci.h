// PSCI 1.1 (DEN 0022) and SMCCC 1.1 (DEN 0028): the firmware calls that a guest makes by HVC.
#pragma once
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <vector>

namespace adyton::hypervisor::soft {

// Which vCPUs are powered. Threading: any thread.
class PowerController {
 public:
  struct Start {
    uint64_t entry = 0;
    uint64_t context = 0;  // x0
  };

  // `wake(index)` makes the vCPU's thread look at take_start(); called without the lock.
  PowerController(std::function<void(unsigned)> wake) : wake_(std::move(wake)) {}

  void add_cpu(uint64_t affinity);
  void set_powered(unsigned cpu, bool on);

  // PSCI calls; they return PSCI status codes.
  int64_t cpu_on(uint64_t affinity, const Start& start);
  int64_t affinity_info(uint64_t affinity, uint64_t lowest_level);

  // For the vCPU's own thread: the start that someone asked for; the vCPU is on from then.
  std::optional<Start> take_start(unsigned cpu);

 private:
  enum class State : uint8_t { kOff, kOnPending, kOn };
  struct Cpu {
    uint64_t affinity = 0;
    State state = State::kOff;
    Start start;
  };
  const std::function<void(unsigned)> wake_;
  std::mutex mutex_;
  std::vector<Cpu> cpus_;
};

// What the caller's vCPU does after a firmware call.
struct FirmwareOutcome {
  enum class Action : uint8_t {
    kReturn,   // x0 = value, go on
    kStandby,  // the same, but wait for an interrupt first
    kCpuOff,
    kSystemOff,
    kSystemReset,
  } action = Action::kReturn;
  int64_t value = 0;
  uint64_t detail = 0;
};

// `x` are x0..x3 of the caller; 32-bit functions read only the lower halves.
FirmwareOutcome firmware_call(const uint64_t (&x)[4], PowerController& power);

}  // namespace adyton::hypervisor::soft
