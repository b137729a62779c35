// What the unit-cost image has instead of an operating system: a console, a clock, memory regions to measure on, power.
#pragma once
#include <cstdint>

namespace adyton::bench {

// Virtual addresses that make_page_tables() maps to memory of its own.
constexpr uint64_t kSmallPages = 0x8000'0000;  // 128 MiB in 4 KiB pages, non-global
constexpr uint64_t kLargePages = 0x8800'0000;  // 128 MiB in 2 MiB blocks, the same memory
constexpr uint64_t kScratchCode = 0x5000'0000;
constexpr uint64_t kUart = 0x0900'0000;

void print(const char* text);
void print_number(uint64_t value);

// From the virtual counter.
uint64_t now_ns();

// Prints one row: UNIT NAME VALUE. `operations` took `ns`.
void report(const char* name, uint64_t ns, uint64_t operations);

// Finds how often `run` must repeat to take 10 ms, and reports the best of three such repetitions.
template <typename Run>
void measure(const char* name, uint64_t operations, const Run& run) {
  constexpr uint64_t kEnough = 10'000'000;
  uint64_t repeat = 1, elapsed = 0;
  for (;;) {
    const uint64_t start = now_ns();
    run(repeat);
    elapsed = now_ns() - start;
    if (elapsed >= kEnough) break;
    repeat *= 2;
  }
  for (int i = 0; i < 2; ++i) {
    const uint64_t start = now_ns();
    run(repeat);
    const uint64_t again = now_ns() - start;
    if (again < elapsed) elapsed = again;
  }
  report(name, elapsed, repeat * operations);
}

// PSCI by HVC (Arm DEN 0022).
uint64_t psci(uint64_t function, uint64_t a = 0, uint64_t b = 0, uint64_t c = 0);
[[noreturn]] void power_off();

void measure_instructions(bool lse, bool crypto);
void measure_memory_management();
void measure_second_cpu(bool lse);

}  // namespace adyton::bench
