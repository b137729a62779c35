#include "hypervisor/soft/generic_timer.h"

#include <algorithm>

namespace adyton::hypervisor::soft {
namespace {
constexpr uint32_t kCtlEnable = 1, kCtlImask = 2;
}

void GenericTimer::configure(Timer& timer, uint32_t ctl, uint64_t cval, uint64_t offset) {
  timer.enabled = (ctl & (kCtlEnable | kCtlImask)) == kCtlEnable;
  // count - offset >= cval, as unsigned 64-bit numbers; a sum past 2^64 is centuries away.
  timer.deadline = cval > UINT64_MAX - offset ? kNever : cval + offset;
}

void GenericTimer::update(const engine::arm64::CpuState& state) {
  std::lock_guard lock(mutex_);
  configure(virtual_, state.cntv_ctl, state.cntv_cval, state.cntvoff);
  configure(physical_, state.cntp_ctl, state.cntp_cval, 0);
  evaluate();
}

void GenericTimer::expire() {
  std::lock_guard lock(mutex_);
  armed_ = kNever;  // the queue forgets a deadline that passed
  evaluate();
}

void GenericTimer::evaluate() {
  uint64_t now = counter_.now();
  next_ = kNever;
  for (Timer* timer : {&virtual_, &physical_}) {
    bool line = timer->enabled && now >= timer->deadline;
    if (line != timer->line) {
      timer->line = line;
      sink_.set_timer_line(timer->ppi, line);
    }
    if (timer->enabled && !line) next_ = std::min(next_, timer->deadline);
  }
  if (!idle_ && next_ != armed_) {
    armed_ = next_;
    sink_.arm_timer(next_);
  }
}

uint64_t GenericTimer::begin_idle() {
  std::lock_guard lock(mutex_);
  idle_ = true;
  evaluate();
  if (armed_ != kNever) {
    armed_ = kNever;
    sink_.arm_timer(kNever);
  }
  return next_;
}

void GenericTimer::end_idle() {
  std::lock_guard lock(mutex_);
  idle_ = false;
  evaluate();
}

}  // namespace adyton::hypervisor::soft
