// A count that one thread keeps and any thread may read: an addition is a plain load and store, no locked instruction.
#pragma once
#include <atomic>
#include <cstdint>

namespace adyton {

class Tally {
 public:
  // The owner's thread only (or one thread at a time, under a lock).
  void add(uint64_t n = 1) { value_.store(value_.load(std::memory_order_relaxed) + n, std::memory_order_relaxed); }
  // Any thread; what it reads may be a moment old, and several tallies need not fit together.
  [[nodiscard]] uint64_t value() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<uint64_t> value_{0};
};

}  // namespace adyton
