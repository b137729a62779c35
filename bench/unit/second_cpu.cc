// Rows that involve a second CPU. Without one (--smp 1) they are left out.
#include "bench/unit/bare_metal.h"

extern "C" {
void secondary_start();
[[noreturn]] void secondary_main();
}

namespace adyton::bench {
namespace {

enum class Task : uint64_t { kWait, kSpin, kAdd, kAnswer };

Task task;
uint64_t secondary_up;
alignas(128) uint64_t shared_counter;
alignas(128) uint64_t ball;
alignas(16) uint8_t secondary_stack[16384];

void give(Task next) {
  __atomic_store_n(&task, next, __ATOMIC_SEQ_CST);
  asm volatile("dsb ish\n sev" : : : "memory");
  const uint64_t until = now_ns() + 1'000'000;  // it has arrived
  while (now_ns() < until) {}
}

template <uint64_t kAddresses>
void invalidate(uint64_t n) {
  for (; n > 0; --n) {
    for (uint64_t i = 0; i < kAddresses; ++i) asm volatile("tlbi vae1is, %0" : : "r"((kSmallPages >> 12) + i) : "memory");
    asm volatile("dsb ish\n isb" : : : "memory");
    [[maybe_unused]] const uint8_t touched = *reinterpret_cast<const volatile uint8_t*>(kSmallPages);
  }
}

}  // namespace

void measure_second_cpu(bool lse) {
  constexpr uint64_t kCpuOn = 0xC400'0003;
  if (psci(kCpuOn, 1, reinterpret_cast<uint64_t>(secondary_start),
           reinterpret_cast<uint64_t>(secondary_stack + sizeof(secondary_stack))) != 0)
    return;
  while (__atomic_load_n(&secondary_up, __ATOMIC_ACQUIRE) == 0) {}
  give(Task::kSpin);
  measure("tlbi_broadcast_other_busy", 1, invalidate<1>);
  measure("tlbi_broadcast_x16_other_busy", 1, invalidate<16>);
  give(Task::kWait);
  measure("tlbi_broadcast_other_waiting", 1, invalidate<1>);
  if (lse) {
    give(Task::kAdd);
    measure("ldadd_contended", 1, [](uint64_t n) {
      for (; n > 0; --n) asm volatile("ldadd %1, xzr, [%0]" : : "r"(&shared_counter), "r"(uint64_t{1}) : "memory");
    });
  }
  give(Task::kAnswer);
  measure("ping_pong", 1, [](uint64_t n) {
    for (; n > 0; --n) {
      __atomic_store_n(&ball, 1, __ATOMIC_RELEASE);
      while (__atomic_load_n(&ball, __ATOMIC_ACQUIRE) != 0) {}
    }
  });
  give(Task::kWait);
}

}  // namespace adyton::bench

void secondary_main() {
  using namespace adyton::bench;
  __atomic_store_n(&secondary_up, 1, __ATOMIC_RELEASE);
  for (;;) {
    switch (__atomic_load_n(&task, __ATOMIC_ACQUIRE)) {
      case Task::kWait: asm volatile("wfe"); break;
      case Task::kSpin:
        for (int i = 0; i < 1000; ++i) asm volatile("nop");
        break;
      case Task::kAdd:
        for (int i = 0; i < 1000; ++i) asm volatile("ldadd %1, xzr, [%0]" : : "r"(&shared_counter), "r"(uint64_t{1}) : "memory");
        break;
      case Task::kAnswer:
        if (__atomic_load_n(&ball, __ATOMIC_ACQUIRE) == 1) __atomic_store_n(&ball, 0, __ATOMIC_RELEASE);
        break;
    }
  }
}
