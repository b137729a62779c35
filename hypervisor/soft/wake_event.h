// A sleeping place for one thread that any thread may end: an event count on a futex. The sleeper reads the ticket, looks at its
// conditions, then waits; a wake() after the ticket was read is never lost.
#pragma once
#include <atomic>
#include <cstdint>

namespace adyton::hypervisor::soft {

class WakeEvent {
 public:
  static constexpr uint64_t kForever = UINT64_MAX;

  [[nodiscard]] uint32_t ticket() const { return sequence_.load(); }
  // Until wake() or about `nanoseconds`; may return early.
  void wait(uint32_t ticket, uint64_t nanoseconds);
  void wake();

 private:
  std::atomic<uint32_t> sequence_ = 0;
  std::atomic<uint32_t> sleepers_ = 0;
};

}  // namespace adyton::hypervisor::soft
