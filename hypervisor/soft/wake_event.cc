#include "hypervisor/soft/wake_event.h"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <climits>
#include <ctime>

namespace adyton::hypervisor::soft {

void WakeEvent::wait(uint32_t ticket, uint64_t nanoseconds) {
  if (nanoseconds == 0) return;
  timespec timeout{static_cast<time_t>(nanoseconds / 1'000'000'000), static_cast<long>(nanoseconds % 1'000'000'000)};
  sleepers_.fetch_add(1);
  // The kernel compares once more under its own lock; all errors (woken, interrupted, changed, timed out) mean "look again".
  ::syscall(SYS_futex, &sequence_, FUTEX_WAIT_PRIVATE, ticket, nanoseconds == kForever ? nullptr : &timeout, nullptr, 0);
  sleepers_.fetch_sub(1);
}

void WakeEvent::wake() {
  sequence_.fetch_add(1);
  if (sleepers_.load()) ::syscall(SYS_futex, &sequence_, FUTEX_WAKE_PRIVATE, INT_MAX, nullptr, nullptr, 0);
}

}  // namespace adyton::hypervisor::soft
