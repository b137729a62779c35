#include "base/log/rate_limit.h"

#include <algorithm>

namespace adyton::log {

// The bucket is kept as the time at which it would be full again (the "generic cell rate algorithm" of ATM, ITU-T I.371): one
// number, so that one compare-and-swap is all the locking there is.
std::optional<uint64_t> RateLimit::admit(Clock::time_point now) {
  const int64_t at = std::chrono::nanoseconds(now.time_since_epoch()).count();
  int64_t turn = next_turn_.load(std::memory_order_relaxed);
  for (;;) {
    const int64_t begin = std::max(turn, at);
    if (begin - at > tolerance_) {
      suppressed_.fetch_add(1, std::memory_order_relaxed);
      return std::nullopt;
    }
    if (next_turn_.compare_exchange_weak(turn, begin + interval_, std::memory_order_relaxed)) return take_suppressed();
  }
}

}  // namespace adyton::log
