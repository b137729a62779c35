#include "engine/arm64/tlbi.h"

#include <gtest/gtest.h>

#include "engine/arm64/sysreg.h"

namespace adyton::engine::arm64 {
namespace {

using Scope = TlbInvalidation::Scope;

constexpr uint64_t kAs = 1ull << 36;
constexpr uint64_t kTg1Of4k = 2ull << 30, kTg1Of16k = 1ull << 30, kTg0Of64k = 1ull << 14;
constexpr unsigned kNonShareable = 7, kInner = 3, kOuter = 1, kRangeLocal = 6, kRangeInner = 2, kRangeOuter = 5;

TlbInvalidation decode(unsigned crm, unsigned op2, uint64_t value, uint64_t tcr) {
  return decode_tlbi(sysreg_encoding(1, 0, 8, crm, op2), value, tcr);
}

uint64_t range_operand(uint64_t base_granules, unsigned granule_code, unsigned scale, unsigned num, uint64_t asid) {
  return (asid << 48) | (static_cast<uint64_t>(granule_code) << 46) | (static_cast<uint64_t>(scale) << 44) |
         (static_cast<uint64_t>(num) << 39) | (base_granules & ((1ull << 37) - 1));
}

TEST(TlbiTest, ShareabilityMeansBroadcast) {
  for (const unsigned crm : {kInner, kOuter, kRangeInner, kRangeOuter}) EXPECT_TRUE(decode(crm, 1, 0, 0).broadcast) << crm;
  for (const unsigned crm : {kNonShareable, kRangeLocal}) EXPECT_FALSE(decode(crm, 1, 0, 0).broadcast) << crm;
}

TEST(TlbiTest, WholeRegimeAndAsid) {
  EXPECT_EQ(decode(kInner, 0, ~0ull, kAs).scope, Scope::kEverything);
  const auto asid = decode(kInner, 2, 0xabcd000000000000, kAs);
  EXPECT_EQ(asid.scope, Scope::kAsid);
  EXPECT_EQ(asid.asid, 0xabcd);
  EXPECT_EQ(decode(kInner, 2, 0xabcd000000000000, 0).asid, 0xcd);  // TCR_EL1.AS = 0: eight bits
}

TEST(TlbiTest, ByAddress) {
  // VA 0xffff_8000_1234_5000 of ASID 7, with a TTL hint.
  const uint64_t operand = (7ull << 48) | (0xbull << 44) | ((0xffff800012345000ull >> 12) & ((1ull << 44) - 1));
  const auto one = decode(kInner, 1, operand, kTg1Of4k);
  EXPECT_EQ(one.scope, Scope::kVaAsid);
  EXPECT_EQ(one.va, 0xffff800012345000u);
  EXPECT_EQ(one.size, 4096u);
  EXPECT_EQ(one.asid, 7);
  EXPECT_FALSE(one.last_level_only);
  const auto all = decode(kInner, 3, operand, kTg1Of4k);
  EXPECT_EQ(all.scope, Scope::kVaAllAsid);
  EXPECT_TRUE(decode(kInner, 5, operand, kTg1Of4k).last_level_only);
  EXPECT_EQ(decode(kInner, 5, operand, kTg1Of4k).scope, Scope::kVaAsid);
  EXPECT_TRUE(decode(kInner, 7, operand, kTg1Of4k).last_level_only);
  EXPECT_EQ(decode(kInner, 7, operand, kTg1Of4k).scope, Scope::kVaAllAsid);
  // The granule of the half that the address lies in widens and aligns it.
  const auto wide = decode(kInner, 1, operand, kTg1Of16k);
  EXPECT_EQ(wide.va, 0xffff800012344000u);
  EXPECT_EQ(wide.size, 16384u);
  const auto lower = decode(kInner, 1, 0x12345, kTg0Of64k);
  EXPECT_EQ(lower.va, 0x12340000u);
  EXPECT_EQ(lower.size, 65536u);
}

TEST(TlbiTest, RangesScale) {
  for (unsigned code = 1; code <= 3; ++code) {
    const unsigned bits = 10 + 2 * code;
    for (unsigned scale = 0; scale <= 3; ++scale) {
      for (const unsigned num : {0u, 1u, 31u}) {
        const auto range = decode(kRangeInner, 1, range_operand(0x1000, code, scale, num, 9), kAs);
        EXPECT_EQ(range.scope, Scope::kRange);
        EXPECT_EQ(range.va, 0x1000ull << bits);
        EXPECT_EQ(range.size, (num + 1ull) << (5 * scale + 1) << bits);
        EXPECT_EQ(range.asid, 9);
        EXPECT_FALSE(range.all_asids);
      }
    }
  }
  EXPECT_TRUE(decode(kRangeInner, 3, range_operand(1, 1, 0, 0, 0), 0).all_asids);
  EXPECT_TRUE(decode(kRangeInner, 5, range_operand(1, 1, 0, 0, 0), 0).last_level_only);
}

TEST(TlbiTest, RangeOfTheUpperHalfIsSignExtendedAndStopsAtTheTop) {
  const auto upper = decode(kRangeInner, 1, range_operand(0xffff800000000000 >> 12, 1, 0, 0, 0), 0);
  EXPECT_EQ(upper.va, 0xffff800000000000u);
  const auto top = decode(kRangeInner, 1, range_operand(0xfffffffffffff000 >> 12, 1, 3, 31, 0), 0);
  EXPECT_EQ(top.va, 0xfffffffffffff000u);
  EXPECT_EQ(top.size, 4096u);
}

TEST(TlbiTest, ReservedGranuleAsksForEverything) {
  const auto range = decode(kRangeInner, 1, range_operand(1, 0, 0, 0, 0), 0);
  EXPECT_EQ(range.scope, Scope::kEverything);
  EXPECT_TRUE(range.broadcast);
}

}  // namespace
}  // namespace adyton::engine::arm64
