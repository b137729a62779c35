// The system counter is the host's invariant TSC: CNTFRQ is its rate, the physical count its value.
#include <cpuid.h>
#include <time.h>
#include <x86intrin.h>

#include <cstdint>

#include "engine/engine.h"
#include "engine/jit/exec_state.h"

namespace adyton::engine {
namespace {

uint64_t frequency_from_cpuid() {
  unsigned a, b, c, d;
  if (__get_cpuid(0x15, &a, &b, &c, &d) && a && b && c) return static_cast<uint64_t>(c) * b / a;
  return 0;
}

uint64_t nanoseconds() {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC_RAW, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(now.tv_nsec);
}

// Compares the TSC with the kernel's clock over a few milliseconds; rounded to 100 kHz, as TSC rates are.
uint64_t measured_frequency() {
  constexpr uint64_t kWindow = 5'000'000;  // ns
  const uint64_t t0 = nanoseconds(), c0 = __rdtsc();
  uint64_t t1 = t0;
  while (t1 - t0 < kWindow) t1 = nanoseconds();
  const uint64_t hz = static_cast<uint64_t>(static_cast<unsigned __int128>(__rdtsc() - c0) * 1'000'000'000 / (t1 - t0));
  return (hz + 50'000) / 100'000 * 100'000;
}

}  // namespace

uint64_t counter_frequency() {
  static const uint64_t frequency = [] {
    const uint64_t hz = frequency_from_cpuid();
    return hz ? hz : measured_frequency();
  }();
  return frequency;
}

namespace jit {

uint64_t counter_origin() {
  // Near zero at the first use in this process, as a board's counter is at power-on.
  static const uint64_t origin = __rdtsc();
  return origin;
}

}  // namespace jit

uint64_t physical_count() { return __rdtsc() - jit::counter_origin(); }

}  // namespace adyton::engine
