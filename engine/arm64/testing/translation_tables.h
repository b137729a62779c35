// Builds VMSAv8-64 translation tables in guest memory, entry by entry, for tests. Knows the format on its own: it shares nothing
// with mmu.cc.
#pragma once
#include <gtest/gtest.h>

#include <cstdint>

#include "base/guest_memory.h"
#include "engine/arm64/cpu_state.h"

namespace adyton::engine::arm64::testing {

constexpr uint64_t kRamBase = 0x40000000, kRamSize = 32 << 20;

// Leaf attributes.
constexpr uint64_t kUser = 1ull << 6, kReadOnly = 1ull << 7, kAf = 1ull << 10, kNg = 1ull << 11, kDbm = 1ull << 51,
                   kContiguous = 1ull << 52, kPxn = 1ull << 53, kUxn = 1ull << 54;
constexpr uint64_t attr_index(uint64_t index) { return index << 2; }
// Table attributes.
constexpr uint64_t kPxnTable = 1ull << 59, kUxnTable = 1ull << 60, kNoUserTable = 1ull << 61, kReadOnlyTable = 1ull << 62;

struct Geometry {
  unsigned granule;     // log2: 12, 14, 16
  unsigned input_bits;  // 64 - TxSZ
  [[nodiscard]] unsigned stride() const { return granule - 3; }
  [[nodiscard]] unsigned shift(unsigned level) const { return granule + (3 - level) * stride(); }
  // The first level whose table resolves all input bits.
  [[nodiscard]] unsigned start_level() const {
    unsigned level = 3;
    while (shift(level) + stride() < input_bits) --level;
    return level;
  }
};

class TranslationTables {
 public:
  TranslationTables() { EXPECT_TRUE(memory.add_ram(kRamBase, kRamSize)); }

  uint64_t new_table() {
    const uint64_t table = next_table_;
    next_table_ += 0x10000;
    EXPECT_LE(next_table_, kRamBase + kRamSize);
    return table;
  }

  // Address of the entry for `va` at `level`, making tables on the way; `table_attributes` go into those made now.
  uint64_t entry_address(Geometry g, uint64_t root, uint64_t va, unsigned level, uint64_t table_attributes = 0) {
    uint64_t table = root;
    for (unsigned l = g.start_level();; ++l) {
      const unsigned bits = l == g.start_level() ? g.input_bits - g.shift(l) : g.stride();
      const uint64_t address = table + ((va >> g.shift(l)) & ((1ull << bits) - 1)) * 8;
      if (l == level) return address;
      uint64_t descriptor = load(address);
      if (!(descriptor & 1)) {
        descriptor = new_table() | table_attributes | 3;
        store(address, descriptor);
      }
      table = descriptor & 0x0000fffffffff000ull & ~((1ull << g.granule) - 1);
    }
  }

  // Maps one leaf; returns the address of its descriptor.
  uint64_t map(Geometry g, uint64_t root, uint64_t va, uint64_t pa, unsigned level, uint64_t attributes,
               uint64_t table_attributes = 0) {
    const uint64_t address = entry_address(g, root, va, level, table_attributes);
    store(address, pa | attributes | (level == 3 ? 3 : 1));
    return address;
  }

  [[nodiscard]] uint64_t load(uint64_t pa) const {
    const auto value = memory.load<uint64_t>(pa);
    EXPECT_TRUE(value);
    return value ? *value : 0;
  }
  void store(uint64_t pa, uint64_t value) { EXPECT_TRUE(memory.store(pa, value)); }

  GuestMemory memory;

 private:
  uint64_t next_table_ = kRamBase;
};

// TCR_EL1 for the same geometry in both halves, 48-bit output.
inline uint64_t tcr_for(Geometry g) {
  const uint64_t size = 64 - g.input_bits;
  const uint64_t tg0 = g.granule == 12 ? 0 : g.granule == 16 ? 1 : 2, tg1 = g.granule == 12 ? 2 : g.granule == 16 ? 3 : 1;
  return size | (size << 16) | (tg0 << 14) | (tg1 << 30) | (5ull << 32);
}

}  // namespace adyton::engine::arm64::testing
