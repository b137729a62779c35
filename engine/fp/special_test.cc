// Directed cases where Arm's rules leave a choice to no one: NaN propagation, flush to zero, estimates, the alternative half
// format.
#include <bit>
#include <cmath>
#include <limits>

#include "engine/fp/soft_float.h"
#include "gtest/gtest.h"

namespace adyton::engine::fp {
namespace {

constexpr uint32_t kInf = 0x7f80'0000, kMinusInf = 0xff80'0000, kDefaultNan = 0x7fc0'0000;
constexpr uint32_t kQ1 = 0x7fc0'0001, kQ2 = 0xffc0'0002, kQ3 = 0x7fc0'0003, kS1 = 0x7f80'0011, kS2 = 0xff80'0012,
                   kS3 = 0x7f80'0013;
constexpr uint32_t kQuiet = 0x0040'0000;
constexpr uint32_t kOne = 0x3f80'0000, kTwo = 0x4000'0000, kMinNormal = 0x0080'0000, kMaxNormal = 0x7f7f'ffff;
constexpr uint32_t kMinusZero = 0x8000'0000;

TEST(Nan, TheFirstSignallingNanWinsThenTheFirstQuietOne) {
  struct Case {
    uint32_t a, b, result, fpsr;
  };
  for (const auto& c : {Case{kQ1, kQ2, kQ1, 0}, Case{kQ1, kS2, kS2 | kQuiet, kFpsrIoc}, Case{kS1, kS2, kS1 | kQuiet, kFpsrIoc},
                        Case{kOne, kQ2, kQ2, 0}, Case{kS1, kQ2, kS1 | kQuiet, kFpsrIoc}, Case{kQ1, kOne, kQ1, 0}}) {
    for (auto* operation : {&add<uint32_t>, &subtract<uint32_t>, &multiply<uint32_t>, &multiply_extended<uint32_t>,
                            &divide<uint32_t>, &maximum<uint32_t>, &minimum<uint32_t>}) {
      FpContext fp;
      EXPECT_EQ(operation(fp, c.a, c.b), c.result);
      EXPECT_EQ(fp.fpsr, c.fpsr);
      FpContext dn{kFpcrDn, 0};
      EXPECT_EQ(operation(dn, c.a, c.b), kDefaultNan);
      EXPECT_EQ(dn.fpsr, c.fpsr);
    }
  }
}

TEST(Nan, StepsNegateTheirFirstOperandFirst) {
  FpContext fp;
  EXPECT_EQ(reciprocal_step(fp, kQ1, kOne), negate(kQ1));
  EXPECT_EQ(reciprocal_sqrt_step(fp, kOne, kQ1), kQ1);
  EXPECT_EQ(reciprocal_step(fp, uint32_t{0}, kInf), kTwo);
  EXPECT_EQ(reciprocal_sqrt_step(fp, kMinusInf, uint32_t{0}), 0x3fc0'0000u);
  EXPECT_EQ(fp.fpsr, 0u);
}

TEST(Nan, MultiplyAddPutsTheAddendFirst) {
  struct Case {
    uint32_t addend, a, b, result, fpsr;
  };
  for (const auto& c :
       {Case{kQ3, kQ1, kQ2, kQ3, 0}, Case{kQ3, kS1, kQ2, kS1 | kQuiet, kFpsrIoc}, Case{kS3, kS1, kS2, kS3 | kQuiet, kFpsrIoc},
        Case{kOne, kQ1, kQ2, kQ1, 0}, Case{kOne, kQ1, kS2, kS2 | kQuiet, kFpsrIoc},
        // A quiet addend does not hide that infinity times zero is invalid; a signalling one comes before.
        Case{kQ3, kInf, 0, kDefaultNan, kFpsrIoc}, Case{kQ3, kMinusZero, kInf, kDefaultNan, kFpsrIoc},
        Case{kS3, kInf, 0, kS3 | kQuiet, kFpsrIoc}, Case{kOne, kInf, 0, kDefaultNan, kFpsrIoc},
        Case{kMinusInf, kInf, kOne, kDefaultNan, kFpsrIoc}}) {
    FpContext fp;
    EXPECT_EQ(multiply_add(fp, c.addend, c.a, c.b), c.result) << std::hex << c.addend << ' ' << c.a << ' ' << c.b;
    EXPECT_EQ(fp.fpsr, c.fpsr);
  }
}

TEST(Nan, NumberBeatsQuietNanInMaximumNumber) {
  FpContext fp;
  EXPECT_EQ(maximum_number(fp, kQ1, kOne), kOne);
  EXPECT_EQ(minimum_number(fp, kOne, kQ2), kOne);
  EXPECT_EQ(maximum_number(fp, kQ1, kMinusInf), kMinusInf);
  EXPECT_EQ(maximum_number(fp, kQ1, kQ2), kQ1);
  EXPECT_EQ(fp.fpsr, 0u);
  EXPECT_EQ(maximum_number(fp, kQ1, kS2), kS2 | kQuiet);
  EXPECT_EQ(fp.fpsr, kFpsrIoc);
}

TEST(Nan, CompareRaisesInvalidForTheRightNans) {
  FpContext fp;
  EXPECT_EQ(compare(fp, kQ1, kOne, false), 3u);
  EXPECT_FALSE(compare_equal(fp, kQ1, kQ1));
  EXPECT_EQ(fp.fpsr, 0u);
  FpContext signalling;
  compare(signalling, kOne, kS1, false);
  EXPECT_EQ(signalling.fpsr, kFpsrIoc);
  FpContext all;
  compare(all, kOne, kQ1, true);
  EXPECT_EQ(all.fpsr, kFpsrIoc);
}

TEST(Zero, Signs) {
  FpContext fp, down{2u << kFpcrRModeShift, 0};
  EXPECT_EQ(subtract(fp, kOne, kOne), 0u);
  EXPECT_EQ(subtract(down, kOne, kOne), kMinusZero);
  EXPECT_EQ(add(fp, kMinusZero, uint32_t{0}), 0u);
  EXPECT_EQ(add(down, kMinusZero, uint32_t{0}), kMinusZero);
  EXPECT_EQ(add(fp, kMinusZero, kMinusZero), kMinusZero);
  EXPECT_EQ(maximum(fp, kMinusZero, uint32_t{0}), 0u);
  EXPECT_EQ(minimum(fp, uint32_t{0}, kMinusZero), kMinusZero);
  EXPECT_EQ(multiply_extended(fp, kMinusZero, kInf), 0xc000'0000u);
  EXPECT_EQ(square_root(fp, kMinusZero), kMinusZero);
  EXPECT_EQ(fp.fpsr, 0u);
  EXPECT_EQ(divide(fp, kOne, kMinusZero), kMinusInf);
  EXPECT_EQ(fp.fpsr, kFpsrDzc);
}

TEST(Tininess, IsDetectedBeforeRounding) {
  // (2^-126 + 2^-149) * (1 - 2^-24) lies below the smallest normal number and rounds up to it.
  FpContext fp;
  EXPECT_EQ(multiply(fp, kMinNormal, uint32_t{0x3f7f'ffff}), kMinNormal);
  EXPECT_EQ(fp.fpsr, kFpsrUfc | kFpsrIxc);
  FpContext exact;
  EXPECT_EQ(multiply(exact, kMinNormal, uint32_t{0x3f00'0000}), kMinNormal >> 1);
  EXPECT_EQ(exact.fpsr, 0u) << "an exact subnormal is no underflow";
}

TEST(FlushToZero, OutputsRaiseUnderflowAloneAndInputsInputDenormal) {
  FpContext out{kFpcrFz, 0};
  EXPECT_EQ(multiply(out, kMinNormal, uint32_t{0xbf7f'ffff}), kMinusZero);
  EXPECT_EQ(out.fpsr, kFpsrUfc);
  FpContext in{kFpcrFz, 0};
  EXPECT_EQ(add(in, uint32_t{0x8000'0001}, uint32_t{0x8000'0001}), kMinusZero);
  EXPECT_EQ(in.fpsr, kFpsrIdc);
  EXPECT_EQ(maximum(in, uint32_t{1}, kMinusZero), 0u);
  EXPECT_EQ(compare(in, uint32_t{1}, kMinusZero, false), 6u);
  FpContext division{kFpcrFz, 0};
  EXPECT_EQ(divide(division, kOne, uint32_t{1}), kInf);
  EXPECT_EQ(division.fpsr, kFpsrIdc | kFpsrDzc);
  // A half-precision subnormal is not flushed, neither way; a single one is, on its way to double.
  FpContext half{kFpcrFz, 0};
  EXPECT_EQ(convert<uint32_t>(half, uint16_t{1}), 0x3380'0000u);
  EXPECT_EQ(convert<uint16_t>(half, uint32_t{0x3380'0000}), 1u);
  EXPECT_EQ(half.fpsr, 0u);
  EXPECT_EQ(convert<uint64_t>(half, uint32_t{1}), 0u);
  EXPECT_EQ(half.fpsr, kFpsrIdc);
  FpContext narrow{kFpcrFz, 0};
  EXPECT_EQ(convert<uint32_t>(narrow, uint64_t{0x3800'0000'0000'0000}), 0u);
  EXPECT_EQ(narrow.fpsr, kFpsrUfc);
}

TEST(AlternativeHalf, HasNoInfinityAndNoNan) {
  FpContext fp{kFpcrAhp, 0};
  EXPECT_EQ(convert<uint32_t>(fp, uint16_t{0x7c00}), 0x4780'0000u);  // 65536
  EXPECT_EQ(convert<uint16_t>(fp, uint32_t{0x47ff'e000}), 0x7fffu);  // 131008, the greatest
  EXPECT_EQ(fp.fpsr, 0u);
  EXPECT_EQ(convert<uint16_t>(fp, uint32_t{0xc800'0000}), 0xffffu);  // too big
  EXPECT_EQ(fp.fpsr, kFpsrIoc);
  FpContext infinite{kFpcrAhp, 0};
  EXPECT_EQ(convert<uint16_t>(infinite, kInf), 0x7fffu);
  EXPECT_EQ(infinite.fpsr, kFpsrIoc);
  FpContext nan{kFpcrAhp | kFpcrDn, 0};
  EXPECT_EQ(convert<uint16_t>(nan, kQ2), 0x8000u);
  EXPECT_EQ(nan.fpsr, kFpsrIoc);
}

TEST(Immediates, ExpandAsVfpExpandImm) {
  for (unsigned i = 0; i < 256; ++i) {
    // (-1)^s * 2^(NOT(b6):b5:b4 - 3) * (16 + b3..b0) / 16
    const int exponent = static_cast<int>(((i >> 4) & 7) ^ 4) - 3;
    const double value = (i & 0x80 ? -1 : 1) * std::ldexp((16.0 + (i & 15)) / 16, exponent);
    EXPECT_EQ(std::bit_cast<double>(expand_immediate<uint64_t>(static_cast<uint8_t>(i))), value);
    EXPECT_EQ(std::bit_cast<float>(expand_immediate<uint32_t>(static_cast<uint8_t>(i))), static_cast<float>(value));
  }
}

// Estimates hold 8 bits of fraction and are within 2^-8 of the truth for every normal operand.
TEST(Estimates, AreCloseAndMonotonousTables) {
  for (uint32_t top = 0; top < 512; ++top) {
    const uint32_t a = 0x3f00'0000 + (top << 14);
    FpContext fp;
    const double x = std::bit_cast<float>(a);
    const uint32_t r = reciprocal_estimate(fp, a), s = reciprocal_sqrt_estimate(fp, a);
    EXPECT_EQ(r & 0x7fff, 0u);
    EXPECT_EQ(s & 0x7fff, 0u);
    EXPECT_NEAR(std::bit_cast<float>(r) * x, 1, 0x1p-8);
    EXPECT_NEAR(std::bit_cast<float>(s) * std::sqrt(x), 1, 0x1p-8);
    EXPECT_EQ(fp.fpsr, 0u);
    const uint64_t wide = convert<uint64_t>(fp, a);
    EXPECT_EQ(reciprocal_estimate(fp, wide), convert<uint64_t>(fp, r));
    EXPECT_EQ(reciprocal_sqrt_estimate(fp, wide), convert<uint64_t>(fp, s));
  }
  EXPECT_EQ(unsigned_reciprocal_estimate(0x7fff'ffff), 0xffff'ffffu);
  EXPECT_EQ(unsigned_reciprocal_estimate(0x8000'0000), 0xff80'0000u);
  EXPECT_EQ(unsigned_reciprocal_estimate(0xffff'ffff), 0x8000'0000u);
  EXPECT_EQ(unsigned_reciprocal_sqrt_estimate(0x3fff'ffff), 0xffff'ffffu);
  EXPECT_EQ(unsigned_reciprocal_sqrt_estimate(0xffff'ffff), 0x8000'0000u);
}

TEST(Estimates, EdgesOfTheRange) {
  struct Case {
    uint32_t fpcr, a, result, fpsr;
  };
  constexpr uint32_t kToZero = 3u << kFpcrRModeShift;
  for (const auto& c :
       {Case{0, 0, kInf, kFpsrDzc}, Case{0, kMinusZero, kMinusInf, kFpsrDzc}, Case{0, kInf, 0, 0},
        Case{0, 0x001f'ffff, kInf, kFpsrOfc | kFpsrIxc}, Case{kToZero, 0x801f'ffff, 0xff7f'ffff, kFpsrOfc | kFpsrIxc},
        Case{0, 0x0020'0000, 0x7f7f'8000, 0}, Case{kFpcrFz, 0x7e80'0000, 0, kFpsrUfc}, Case{0, 0x7e80'0000, 0x007f'c000, 0},
        Case{0, kMaxNormal, 0x0020'0000, 0}, Case{0, kS1, kS1 | kQuiet, kFpsrIoc}}) {
    FpContext fp{c.fpcr, 0};
    EXPECT_EQ(reciprocal_estimate(fp, c.a), c.result) << std::hex << c.a;
    EXPECT_EQ(fp.fpsr, c.fpsr) << std::hex << c.a;
  }
  FpContext fp;
  EXPECT_EQ(reciprocal_sqrt_estimate(fp, kInf), 0u);
  EXPECT_EQ(fp.fpsr, 0u);
  EXPECT_EQ(reciprocal_sqrt_estimate(fp, kMinusInf), kDefaultNan);
  EXPECT_EQ(fp.fpsr, kFpsrIoc);
  EXPECT_EQ(reciprocal_exponent(fp, kOne), 0x4000'0000u);
  EXPECT_EQ(reciprocal_exponent(fp, uint32_t{1}), 0x7f00'0000u);
  EXPECT_EQ(reciprocal_exponent(fp, kMinusInf), kMinusZero);
}

}  // namespace
}  // namespace adyton::engine::fp
