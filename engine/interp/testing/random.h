// Small reproducible random numbers for tests (SplitMix64).
#pragma once
#include <cstdint>

namespace adyton::engine::interp::testing {

class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed) {}
  uint64_t next() {
    uint64_t z = (state_ += 0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
  }
  uint64_t below(uint64_t limit) { return next() % limit; }
  bool one_in(unsigned n) { return below(n) == 0; }

 private:
  uint64_t state_;
};

}  // namespace adyton::engine::interp::testing
