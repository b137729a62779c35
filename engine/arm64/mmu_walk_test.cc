// Where a walk goes: geometry, levels, blocks, address sizes, tags and the controls that switch halves off.
#include <gtest/gtest.h>

#include "engine/arm64/mmu.h"
#include "engine/arm64/sysreg.h"
#include "engine/arm64/testing/translation_tables.h"

namespace adyton::engine::arm64 {
namespace {

using namespace testing;

constexpr uint64_t kUpper = 0xffff000000000000;

class MmuWalkTest : public ::testing::Test {
 protected:
  void SetUp() override {
    reset(cpu, 0);
    cpu.sctlr_el[1] |= 1;
    cpu.mair_el[1] = 0x00ff44;  // 0: Normal Non-cacheable, 1: Normal write-back, 2: Device-nGnRnE
    use({12, 48});
  }
  void use(Geometry geometry) {
    g = geometry;
    cpu.tcr_el[1] = tcr_for(g);
    lower = tables.new_table();
    upper = tables.new_table();
    cpu.ttbr0_el[1] = lower;
    cpu.ttbr1_el1 = upper;
  }
  Translation walk(uint64_t va, AccessKind kind = AccessKind::kRead, AccessContext context = {}) {
    return translate(cpu, tables.memory, va, kind, context);
  }
  void expect_fault(uint64_t va, FaultType type, unsigned level, AccessContext context = {}) {
    const Translation t = walk(va, AccessKind::kRead, context);
    EXPECT_EQ(t.fault.type, type) << std::hex << va;
    EXPECT_EQ(t.fault.level, level) << std::hex << va;
  }
  // The base of the half, as addresses of this geometry have it.
  [[nodiscard]] uint64_t top(bool is_upper) const { return is_upper ? ~0ull << g.input_bits : 0; }

  CpuState cpu{};
  TranslationTables tables;
  Geometry g{};
  uint64_t lower = 0, upper = 0;
};

TEST_F(MmuWalkTest, OffIsFlat) {
  cpu.sctlr_el[1] &= ~1ull;
  const Translation data = walk(0x40001234);
  EXPECT_EQ(data.fault.type, FaultType::kNone);
  EXPECT_EQ(data.pa, 0x40001234u);
  EXPECT_TRUE(data.device);
  EXPECT_TRUE(data.priv_write && data.user_exec && data.user_write && data.priv_exec);
  EXPECT_FALSE(walk(0x40001234, AccessKind::kExecute).device);
  EXPECT_EQ(walk(0x0000ffffffffffff).fault.type, FaultType::kNone);
  expect_fault(0x0001000000000000, FaultType::kAddressSize, 0);
  expect_fault(kUpper, FaultType::kAddressSize, 0);
  // TBI works without the MMU.
  expect_fault(0xaa00000040000000, FaultType::kAddressSize, 0);
  cpu.tcr_el[1] |= 1ull << 37;
  EXPECT_EQ(walk(0xaa00000040000000).pa, 0x40000000u);
}

TEST_F(MmuWalkTest, EveryGranuleSizeAndLeafLevelInBothHalves) {
  for (const unsigned granule : {12u, 14u, 16u}) {
    for (unsigned input_bits = 25; input_bits <= 48; ++input_bits) {
      const Geometry geometry{granule, input_bits};
      for (unsigned level = geometry.start_level(); level <= 3; ++level) {
        const bool leaf = level == 3 || level == 2 || (granule == 12 && level == 1);
        for (const bool is_upper : {false, true}) {
          tables = TranslationTables();
          use(geometry);
          SCOPED_TRACE(::testing::Message() << "granule " << granule << " bits " << input_bits << " level " << level << " upper "
                                            << is_upper);
          const uint64_t size = 1ull << g.shift(level);
          const uint64_t offset = (0x0000a5a5a5a5a5a5ull & ((1ull << input_bits) - 1)) & ~(size - 1);
          const uint64_t va = top(is_upper) | offset;
          const uint64_t pa = 0x0000800000000000ull + (size == 1ull << 39 ? 0 : size);
          tables.map(g, is_upper ? upper : lower, va, pa, level, kAf | attr_index(1) | (3ull << 8));
          const uint64_t inside = 0x123456789abcull & (size - 1);
          const Translation t = walk(va + inside);
          if (leaf) {
            ASSERT_EQ(t.fault.type, FaultType::kNone);
            EXPECT_EQ(t.pa, pa + inside);
            EXPECT_EQ(t.page_size, size);
            EXPECT_EQ(t.upper, is_upper);
            EXPECT_TRUE(t.global);
            EXPECT_FALSE(t.device);
            EXPECT_EQ(t.mair_attr, 0xff);
            EXPECT_EQ(t.shareability, 3);
          } else {
            EXPECT_EQ(t.fault.type, FaultType::kTranslation);  // no blocks at this level
            EXPECT_EQ(t.fault.level, level);
          }
        }
      }
    }
  }
}

TEST_F(MmuWalkTest, TranslationFaultAtEachLevel) {
  for (const unsigned granule : {12u, 14u, 16u}) {
    use({granule, 48});
    const uint64_t va = 0x0000123456780000;
    for (unsigned level = g.start_level(); level <= 3; ++level) {
      const uint64_t entry = tables.entry_address(g, lower, va, level);
      expect_fault(va, FaultType::kTranslation, level);
      EXPECT_EQ(walk(va).fault.status_code(), 4 + level);
      if (level == 3) {
        tables.store(entry, 0x40000000 | kAf | 1);  // a block encoding at level 3 is invalid
        expect_fault(va, FaultType::kTranslation, 3);
      }
    }
  }
}

TEST_F(MmuWalkTest, AddressesOutsideTheHalvesFaultAtLevel0) {
  use({12, 39});
  tables.map(g, lower, 0, 0x40000000, 1, kAf);
  EXPECT_EQ(walk(0).fault.type, FaultType::kNone);
  expect_fault(1ull << 39, FaultType::kTranslation, 0);
  expect_fault(1ull << 54, FaultType::kTranslation, 0);
  expect_fault(1ull << 56, FaultType::kTranslation, 0);
  expect_fault(~(1ull << 39), FaultType::kTranslation, 0);
  expect_fault(~(1ull << 56), FaultType::kTranslation, 0);
}

TEST_F(MmuWalkTest, TagsAreIgnoredHalfByHalf) {
  tables.map(g, lower, 0x1000, 0x40001000, 3, kAf);
  tables.map(g, upper, kUpper + 0x1000, 0x40002000, 3, kAf);
  expect_fault(0x5600000000001000, FaultType::kTranslation, 0);
  EXPECT_EQ(strip_tag(cpu, 0x5600000000001000, false), 0x5600000000001000u);
  cpu.tcr_el[1] |= 1ull << 37;  // TBI0
  EXPECT_EQ(walk(0x5600000000001000).pa, 0x40001000u);
  expect_fault(0x56ff000000001000, FaultType::kTranslation, 0);
  EXPECT_EQ(strip_tag(cpu, 0x5600000000001000, false), 0x1000u);
  cpu.tcr_el[1] |= 1ull << 38;  // TBI1
  EXPECT_EQ(walk(0x56ff000000001000).pa, 0x40002000u);
  EXPECT_TRUE(walk(0x56ff000000001000).upper);
  EXPECT_EQ(strip_tag(cpu, 0x56ff000000001000, true), 0xffff000000001000u);
}

TEST_F(MmuWalkTest, HalvesCanBeSwitchedOff) {
  tables.map(g, lower, 0x1000, 0x40001000, 3, kAf | kUser);
  tables.map(g, upper, kUpper + 0x1000, 0x40002000, 3, kAf | kUser);
  const AccessContext user{.el = 0};
  cpu.tcr_el[1] |= 1ull << 7;  // EPD0
  expect_fault(0x1000, FaultType::kTranslation, 0);
  EXPECT_EQ(walk(kUpper + 0x1000).fault.type, FaultType::kNone);
  cpu.tcr_el[1] = tcr_for(g) | (1ull << 23);  // EPD1
  expect_fault(kUpper + 0x1000, FaultType::kTranslation, 0);
  EXPECT_EQ(walk(0x1000).fault.type, FaultType::kNone);
  cpu.tcr_el[1] = tcr_for(g) | (1ull << 56);  // E0PD1: only EL0 is kept out
  expect_fault(kUpper + 0x1000, FaultType::kTranslation, 0, user);
  EXPECT_EQ(walk(kUpper + 0x1000).fault.type, FaultType::kNone);
  EXPECT_EQ(walk(0x1000, AccessKind::kRead, user).fault.type, FaultType::kNone);
  cpu.tcr_el[1] = tcr_for(g) | (1ull << 55);  // E0PD0
  expect_fault(0x1000, FaultType::kTranslation, 0, user);
  EXPECT_EQ(walk(0x1000).fault.type, FaultType::kNone);
}

TEST_F(MmuWalkTest, OutputAddressesBeyondIpsFault) {
  const uint64_t va = 0x1000;
  tables.map(g, lower, va, 1ull << 36, 3, kAf);
  EXPECT_EQ(walk(va).fault.type, FaultType::kNone);
  const auto set_ips = [&](uint64_t ips) { cpu.tcr_el[1] = (cpu.tcr_el[1] & ~(7ull << 32)) | (ips << 32); };
  set_ips(1);  // 36 bits
  expect_fault(va, FaultType::kAddressSize, 3);
  set_ips(2);
  EXPECT_EQ(walk(va).fault.type, FaultType::kNone);
  set_ips(7);  // reserved: the implemented size
  EXPECT_EQ(walk(va).fault.type, FaultType::kNone);
  // A table pointer, and the base register.
  set_ips(0);
  tables.store(tables.entry_address(g, lower, va, 1), (1ull << 32) | 3);
  expect_fault(va, FaultType::kAddressSize, 1);
  cpu.ttbr0_el[1] = 1ull << 32;
  expect_fault(va, FaultType::kAddressSize, 0);
}

TEST_F(MmuWalkTest, TablesOutsideRamAbortTheWalk) {
  const uint64_t va = 0x1000;
  tables.store(tables.entry_address(g, lower, va, 2), 0x10000000 | 3);
  expect_fault(va, FaultType::kSyncExternalOnWalk, 3);
  EXPECT_EQ(walk(va).fault.status_code(), 0x17u);
  cpu.ttbr0_el[1] = 0x10000000;
  expect_fault(va, FaultType::kSyncExternalOnWalk, 0);
}

TEST_F(MmuWalkTest, ContiguousRunsWidenThePage) {
  struct Case {
    unsigned granule, level;
    uint64_t size;
  };
  for (const Case& c : {Case{12, 3, 64ull << 10}, Case{12, 2, 32ull << 20}, Case{12, 1, 16ull << 30}, Case{14, 3, 2ull << 20},
                        Case{14, 2, 1ull << 30}, Case{16, 3, 2ull << 20}, Case{16, 2, 16ull << 30}}) {
    use({c.granule, 48});
    const uint64_t page = 1ull << g.shift(c.level);
    const uint64_t va = 16ull << 30 | page;  // the second entry of its run
    tables.map(g, lower, va, (32ull << 30) + page, c.level, kAf | kContiguous);
    const Translation t = walk(va + 5);
    EXPECT_EQ(t.fault.type, FaultType::kNone);
    EXPECT_EQ(t.page_size, c.size);
    EXPECT_EQ(t.pa, (32ull << 30) + page + 5);
  }
}

TEST_F(MmuWalkTest, BaseRegisterIgnoresAsidAndCommonBits) {
  tables.map(g, lower, 0x1000, 0x40001000, 3, kAf | kNg);
  cpu.ttbr0_el[1] = lower | (0xabcdull << 48) | 1;  // CnP
  const Translation t = walk(0x1000);
  EXPECT_EQ(t.pa, 0x40001000u);
  EXPECT_FALSE(t.global);
}

TEST_F(MmuWalkTest, MemoryTypeComesFromMair) {
  tables.map(g, lower, 0x1000, 0x40001000, 3, kAf | attr_index(2));
  tables.map(g, lower, 0x2000, 0x40001000, 3, kAf | attr_index(0));
  EXPECT_TRUE(walk(0x1000).device);
  EXPECT_FALSE(walk(0x2000).device);
  EXPECT_EQ(walk(0x2000).mair_attr, 0x44);
}

TEST(MmuSyndromeTest, AbortSyndromes) {
  EXPECT_EQ(data_abort_iss({FaultType::kPermission, 3}, true, false), 0x4fu);
  EXPECT_EQ(data_abort_iss({FaultType::kTranslation, 0}, false, false), 0x04u);
  EXPECT_EQ(data_abort_iss({FaultType::kTranslation, 1}, false, true), 0x145u);
  EXPECT_EQ(data_abort_iss({FaultType::kAlignment, 0}, false, false), 0x21u);
  EXPECT_EQ(data_abort_iss({FaultType::kSyncExternal, 0}, true, false), 0x50u);
  EXPECT_EQ(instruction_abort_iss({FaultType::kAccessFlag, 2}), 0x0au);
}

}  // namespace
}  // namespace adyton::engine::arm64
