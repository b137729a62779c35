// The generic timers of one vCPU (Arm ARM D11.2): the EL1 virtual timer on PPI 27 and the EL1 physical timer on PPI 30. Their
// registers live in the CPU's state; this class keeps a copy from which it derives the interrupt lines and the next deadline.
//
// Threading: update(), begin_idle() and end_idle() belong to the vCPU's thread; expire() to the timer queue's.
#pragma once
#include <cstdint>
#include <mutex>

#include "engine/arm64/cpu_state.h"
#include "hypervisor/soft/counter.h"

namespace adyton::hypervisor::soft {

constexpr uint32_t kVirtualTimerPpi = 27, kPhysicalTimerPpi = 30;

class GenericTimer {
 public:
  // Where lines and deadlines go. Called with the timer's lock held.
  class Sink {
   public:
    virtual ~Sink() = default;
    virtual void set_timer_line(uint32_t ppi, bool level) = 0;
    virtual void arm_timer(uint64_t deadline) = 0;
  };

  GenericTimer(Counter counter, Sink& sink) : counter_(counter), sink_(sink) {}

  // The timer registers may have changed.
  void update(const engine::arm64::CpuState& state);
  // The deadline passed.
  void expire();

  // The vCPU is about to sleep and will itself look after the deadline that is returned (in counts, or kNever)...
  uint64_t begin_idle();
  // ...until here.
  void end_idle();

 private:
  struct Timer {
    uint32_t ppi;
    uint64_t deadline = kNever;  // physical count at which the condition is met
    bool enabled = false;        // and not masked
    bool line = false;
  };
  void evaluate();
  static void configure(Timer& timer, uint32_t ctl, uint64_t cval, uint64_t offset);

  const Counter counter_;
  Sink& sink_;
  std::mutex mutex_;
  Timer virtual_{kVirtualTimerPpi}, physical_{kPhysicalTimerPpi};
  uint64_t next_ = kNever;
  uint64_t armed_ = kNever;
  bool idle_ = false;
};

}  // namespace adyton::hypervisor::soft
