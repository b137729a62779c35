// Copying, filling and reading memory, from a cache line to more than the caches hold.
#include <algorithm>
#include <cstring>
#include <vector>

#include "bench/guest/harness.h"

namespace adyton::bench {
namespace {

constexpr uint64_t kLarge = 16 << 20;
std::vector<uint8_t> from, to;

void prepare() {
  from.resize(kLarge + 64);
  to.resize(kLarge + 64);
  Random random(41);
  for (uint64_t i = 0; i < from.size(); i += 64) from[i] = static_cast<uint8_t>(random.next() >> 40);
}

// The same buffers again and again, at offsets that change the alignment.
template <uint64_t kSize>
uint64_t run_copy(uint64_t iterations) {
  for (uint64_t i = 0; i < iterations; ++i) {
    uint64_t size = kSize;
    keep(size);
    std::memcpy(to.data() + i % 16, from.data() + i % 48, size);
    asm volatile("" : : : "memory");
  }
  return digest(to.data(), std::min<uint64_t>(kSize, 4096));
}

template <uint64_t kSize>
uint64_t run_fill(uint64_t iterations) {
  for (uint64_t i = 0; i < iterations; ++i) {
    uint64_t size = kSize;
    keep(size);
    std::memset(to.data() + i % 16, static_cast<int>(i & 1), size);
    asm volatile("" : : : "memory");
  }
  return to[100];
}

uint64_t run_move(uint64_t iterations) {
  for (uint64_t i = 0; i < iterations; ++i) {
    std::memmove(from.data() + i % 2 * 24, from.data() + (i + 1) % 2 * 24, 8192);
    asm volatile("" : : : "memory");
  }
  return digest(from.data(), 4096);
}

template <uint64_t kSize>
uint64_t run_read(uint64_t iterations) {
  uint64_t sum = 0;
  for (uint64_t i = 0; i < iterations; ++i) {
    for (uint64_t at = 0; at < kSize; at += 8) {
      uint64_t word;
      std::memcpy(&word, &from[at], 8);
      sum += word;
    }
    keep(sum);
  }
  return sum;
}

// One byte in each page: the cost of translating addresses.
uint64_t run_pages(uint64_t iterations) {
  uint64_t sum = 0;
  for (uint64_t i = 0; i < iterations; ++i) {
    for (uint64_t at = 0; at < kLarge; at += 4096 + 64) sum += from[at];
    keep(sum);
  }
  return sum;
}

}  // namespace

std::span<const Benchmark> memory_benchmarks() {
  static const Benchmark all[] = {
      {"mem.copy_64B", "MB/s", 64, run_copy<64>, prepare},
      {"mem.copy_4K", "MB/s", 4096, run_copy<4096>, prepare},
      {"mem.copy_256K", "MB/s", 256 << 10, run_copy<256 << 10>, prepare},
      {"mem.copy_16M", "MB/s", kLarge, run_copy<kLarge>, prepare},
      {"mem.move_8K", "MB/s", 8192, run_move, prepare},
      {"mem.fill_64K", "MB/s", 64 << 10, run_fill<64 << 10>, prepare},
      {"mem.read_64K", "MB/s", 64 << 10, run_read<64 << 10>, prepare},
      {"mem.read_16M", "MB/s", kLarge, run_read<kLarge>, prepare},
      {"mem.page_walk", "ns", kLarge / (4096 + 64) + 1, run_pages, prepare},
  };
  return all;
}

}  // namespace adyton::bench
