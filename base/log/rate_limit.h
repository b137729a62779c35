// Bounds how often something is logged that a guest, a client or another peer can make happen: a token bucket.
#pragma once
#include <atomic>
#include <chrono>
#include <cstdint>
#include <optional>

namespace adyton::log {

// One for each kind of message and each peer who can cause it: a member of whatever stands for the peer, or a static where the
// process has one guest only. `burst` messages at once, then one per `interval`.
//
// Threading: any thread, no lock, no allocation.
class RateLimit {
 public:
  using Clock = std::chrono::steady_clock;

  static constexpr uint32_t kBurst = 10;
  static constexpr std::chrono::milliseconds kInterval{10'000};

  constexpr explicit RateLimit(uint32_t burst = kBurst, std::chrono::milliseconds interval = kInterval)
      : interval_(std::chrono::nanoseconds(interval).count()), tolerance_(interval_ * (int64_t{burst} - 1)) {}
  RateLimit(const RateLimit&) = delete;
  RateLimit& operator=(const RateLimit&) = delete;

  // Whether a message may pass now; then how many have not since the last one that did.
  std::optional<uint64_t> admit(Clock::time_point now);
  // Those that have not passed and that nobody has told of; they are told of then.
  uint64_t take_suppressed() { return suppressed_.exchange(0, std::memory_order_relaxed); }

 private:
  const int64_t interval_;   // nanoseconds
  const int64_t tolerance_;  // how far ahead of the time the next message's turn may be: a bucket that is not empty
  std::atomic<int64_t> next_turn_ = INT64_MIN;
  std::atomic<uint64_t> suppressed_ = 0;
};

}  // namespace adyton::log
