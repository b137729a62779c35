// How the guest's benchmarks are written, timed and reported.
//
// A benchmark is a function that does its work `iterations` times. The harness finds a number of iterations that takes a good
// part of the time budget, repeats that, and reports the fastest repetition, because everything that disturbs a measurement makes
// it slower. Each benchmark runs in a process of its own, so that one that crashes or hangs costs its own row only.
#pragma once
#include <cstdint>
#include <span>

namespace adyton::bench {

struct Benchmark {
  const char* name;                      // CLASS.WHAT
  const char* unit;                      // "ns" per operation (less is better) or "MB/s" (more is better)
  double amount;                         // operations, or bytes, in one iteration
  uint64_t (*run)(uint64_t iterations);  // returns a digest of its results, 0 where there is nothing to compare
  void (*prepare)() = nullptr;           // not timed
  bool (*available)() = nullptr;         // whether this CPU and system can run it
};

std::span<const Benchmark> integer_benchmarks();
std::span<const Benchmark> interpreter_benchmarks();
std::span<const Benchmark> float_benchmarks();
std::span<const Benchmark> neon_benchmarks();
std::span<const Benchmark> memory_benchmarks();
std::span<const Benchmark> crypto_benchmarks();
std::span<const Benchmark> system_benchmarks();
std::span<const Benchmark> switch_benchmarks();

// Runs `benchmark` in a child process for about `budget_ms` and prints one line:
//   result NAME VALUE UNIT DIGEST   or   skip NAME REASON   or   fail NAME REASON
// DIGEST is of the first iteration after prepare(): the same on every correct machine. Returns false for `fail`.
bool measure(const Benchmark& benchmark, unsigned budget_ms);

// Ends the running benchmark with a `skip` or `fail` line.
[[noreturn]] void skip(const char* reason);
[[noreturn]] void fail(const char* reason);

// The value cannot be computed at compile time or dropped.
template <typename T>
inline void keep(T& value) {
  asm volatile("" : "+r"(value) : : "memory");
}

// xorshift: the same sequence on every machine.
class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed) {}
  uint64_t next() {
    state_ ^= state_ << 13;
    state_ ^= state_ >> 7;
    state_ ^= state_ << 17;
    return state_;
  }
  uint32_t below(uint32_t bound) { return static_cast<uint32_t>((next() >> 32) * bound >> 32); }

 private:
  uint64_t state_;
};

// FNV-1a.
inline uint64_t digest(const void* data, uint64_t size, uint64_t hash = 0xcbf29ce484222325) {
  const auto* bytes = static_cast<const uint8_t*>(data);
  for (uint64_t i = 0; i < size; ++i) hash = (hash ^ bytes[i]) * 0x100000001b3;
  return hash;
}

}  // namespace adyton::bench
