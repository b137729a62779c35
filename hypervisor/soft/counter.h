// The system counter that generic timers compare with.
#pragma once
#include <cstdint>

namespace adyton::hypervisor::soft {

struct Counter {
  uint64_t (*now)() = nullptr;  // monotonic, the same on all threads
  uint64_t frequency = 0;       // Hz

  // Nanoseconds until the counter reaches `deadline`, rounded up; 0 when it has.
  [[nodiscard]] uint64_t nanoseconds_until(uint64_t deadline) const {
    uint64_t count = now();
    if (deadline <= count) return 0;
    unsigned __int128 ns = (static_cast<unsigned __int128>(deadline - count) * 1'000'000'000 + frequency - 1) / frequency;
    constexpr uint64_t kLong = 3'600'000'000'000;  // an hour: whoever sleeps looks again then
    return ns > kLong ? kLong : static_cast<uint64_t>(ns);
  }
};

constexpr uint64_t kNever = UINT64_MAX;  // no deadline

}  // namespace adyton::hypervisor::soft
