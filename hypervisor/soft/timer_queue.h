// One thread per VM that calls back when a vCPU's timer deadline passes while the vCPU is busy with guest code.
//
// Arming is a store and a compare: the thread is only woken for a deadline that is earlier than the one it sleeps for. Deadlines
// that moved later cost one early wake-up of the thread, never a system call of the vCPU. Threading: arm() from any thread.
#pragma once
#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <thread>

#include "base/result.h"
#include "hypervisor/soft/counter.h"
#include "hypervisor/soft/wake_event.h"

namespace adyton::hypervisor::soft {

class TimerQueue {
 public:
  // `expired(index)` runs on the queue's thread, once for each armed deadline that passed.
  TimerQueue(unsigned count, Counter counter, std::function<void(unsigned)> expired);
  ~TimerQueue();
  // Before it nothing expires.
  Result<void> start();

  // Replaces the deadline of `index`; kNever for none.
  void arm(unsigned index, uint64_t deadline);

 private:
  void run(const std::stop_token& stop);

  const unsigned count_;
  const Counter counter_;
  const std::function<void(unsigned)> expired_;
  std::unique_ptr<std::atomic<uint64_t>[]> deadlines_;
  std::atomic<uint64_t> target_ = 0;  // when the thread will look by itself
  WakeEvent wake_;
  std::jthread thread_;
};

}  // namespace adyton::hypervisor::soft
