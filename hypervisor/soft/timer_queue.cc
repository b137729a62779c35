#include "hypervisor/soft/timer_queue.h"

#include <sys/prctl.h>

#include <algorithm>

#include "base/thread.h"

namespace adyton::hypervisor::soft {

TimerQueue::TimerQueue(unsigned count, Counter counter, std::function<void(unsigned)> expired)
    : count_(count), counter_(counter), expired_(std::move(expired)), deadlines_(new std::atomic<uint64_t>[count]) {
  for (unsigned i = 0; i < count; ++i) deadlines_[i] = kNever;
}

Result<void> TimerQueue::start() {
  thread_ = TRY(start_thread("timers", [this](const std::stop_token& stop) { run(stop); }));
  return {};
}

TimerQueue::~TimerQueue() {
  thread_.request_stop();
  wake_.wake();
}

void TimerQueue::arm(unsigned index, uint64_t deadline) {
  deadlines_[index].store(deadline);
  if (deadline < target_.load()) wake_.wake();
}

void TimerQueue::run(const std::stop_token& stop) {
  ::prctl(PR_SET_TIMERSLACK, 1000ul);  // nanoseconds; the default of 50 us would be added to every tick
  while (true) {
    uint32_t ticket = wake_.ticket();
    if (stop.stop_requested()) return;
    // While the deadlines are being read every arm() must wake: it may come behind the reading.
    target_.store(kNever);
    uint64_t now = counter_.now(), next = kNever;
    for (unsigned i = 0; i < count_; ++i) {
      uint64_t deadline = deadlines_[i].load();
      if (deadline <= now) {
        // Only if nobody replaced it meanwhile: the newer deadline has its own expiry.
        if (deadlines_[i].compare_exchange_strong(deadline, kNever)) expired_(i);
        deadline = deadlines_[i].load();
      }
      next = std::min(next, deadline);
    }
    target_.store(next);
    wake_.wait(ticket, next == kNever ? WakeEvent::kForever : counter_.nanoseconds_until(next));
  }
}

}  // namespace adyton::hypervisor::soft
