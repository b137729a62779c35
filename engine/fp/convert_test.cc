// Conversions against the host's FPU and C library.
#include <fenv.h>
#include <immintrin.h>

#include <bit>
#include <cmath>
#include <limits>
#include <random>

#include "engine/fp/soft_float.h"
#include "gtest/gtest.h"

namespace adyton::engine::fp {
namespace {

constexpr int kHostRounding[] = {FE_TONEAREST, FE_UPWARD, FE_DOWNWARD, FE_TOWARDZERO};

class Rounded {
 public:
  explicit Rounded(unsigned mode) : saved_(fegetround()) { fesetround(kHostRounding[mode]); }
  ~Rounded() { fesetround(saved_); }
  Rounded(const Rounded&) = delete;
  Rounded& operator=(const Rounded&) = delete;

 private:
  int saved_;
};

class Conversion : public testing::Test {
 protected:
  Conversion() : seed_(std::random_device{}()), random_(seed_) { RecordProperty("seed", std::to_string(seed_)); }
  void TearDown() override {
    if (HasFailure()) fprintf(stderr, "seed %lu\n", static_cast<unsigned long>(seed_));
  }

  // Doubles whose exponent lies in [low, high], some with few significant bits.
  uint64_t near(int low, int high) {
    const uint64_t r = random_();
    const int exponent = low + static_cast<int>(random_() % static_cast<uint64_t>(high - low + 1));
    const uint64_t fraction = (r & 3) == 0 ? (r >> 2) & 0xfull << 48 : (r & 3) == 1 ? (r >> 2) & 0xfffffull << 29 : r >> 12;
    return (random_() << 63) | (static_cast<uint64_t>(exponent + 1023) << 52) | (fraction & ((uint64_t{1} << 52) - 1));
  }

  uint64_t seed_;
  std::mt19937_64 random_;
};

TEST_F(Conversion, DoubleToSingleAgreesWithTheHost) {
  for (int i = 0; i < 400'000; ++i) {
    const uint64_t a = near(-152, 130);
    const unsigned mode = i & 3;
    FpContext fp{mode << kFpcrRModeShift, 0};
    const uint32_t got = convert<uint32_t>(fp, a);
    volatile double x = std::bit_cast<double>(a);
    Rounded rounded(mode);
    feclearexcept(FE_ALL_EXCEPT);
    volatile float y = static_cast<float>(x);
    ASSERT_EQ(got, std::bit_cast<uint32_t>(static_cast<float>(y))) << std::hex << a;
    ASSERT_EQ((fp.fpsr & kFpsrIxc) != 0, fetestexcept(FE_INEXACT) != 0) << std::hex << a;
    ASSERT_EQ((fp.fpsr & kFpsrOfc) != 0, fetestexcept(FE_OVERFLOW) != 0) << std::hex << a;
  }
}

TEST_F(Conversion, EveryHalfWidensExactlyAndComesBack) {
  for (uint32_t h = 0; h < 0x10000; ++h) {
    FpContext fp;
    const auto half = static_cast<uint16_t>(h);
    const uint32_t single = convert<uint32_t>(fp, half);
    const uint64_t wide = convert<uint64_t>(fp, half);
    const unsigned exponent = (h >> 10) & 31, fraction = h & 0x3ff;
    if (exponent == 31) {
      if (fraction == 0) {
        EXPECT_TRUE(std::isinf(std::bit_cast<float>(single)));
      } else {
        EXPECT_TRUE(std::isnan(std::bit_cast<float>(single)) && std::isnan(std::bit_cast<double>(wide)));
        EXPECT_EQ(fp.fpsr != 0, (fraction & 0x200) == 0);
        EXPECT_EQ(convert<uint16_t>(fp, single), h | 0x200);
        EXPECT_EQ(convert<uint16_t>(fp, wide), h | 0x200);
      }
      continue;
    }
    const double value = (h & 0x8000 ? -1 : 1) *
                         std::ldexp(exponent ? 1024.0 + fraction : fraction, exponent ? static_cast<int>(exponent) - 25 : -24);
    ASSERT_EQ(std::bit_cast<double>(wide), value);
    ASSERT_EQ(std::bit_cast<float>(single), static_cast<float>(value));
    ASSERT_EQ(convert<uint16_t>(fp, single), half);
    ASSERT_EQ(convert<uint16_t>(fp, wide), half);
    ASSERT_EQ(fp.fpsr, 0u);
  }
}

__attribute__((target("f16c"))) uint16_t host_half(float x) {
  return static_cast<uint16_t>(_cvtss_sh(x, _MM_FROUND_CUR_DIRECTION));
}

TEST_F(Conversion, SingleToHalfAgreesWithTheHost) {
  if (!__builtin_cpu_supports("f16c")) GTEST_SKIP() << "the host has no F16C";
  for (int i = 0; i < 400'000; ++i) {
    FpContext scratch;
    const uint32_t a = convert<uint32_t>(scratch, near(-28, 18));
    const unsigned mode = i & 3;
    FpContext fp{mode << kFpcrRModeShift, 0};
    const uint16_t got = convert<uint16_t>(fp, a);
    Rounded rounded(mode);
    ASSERT_EQ(got, host_half(std::bit_cast<float>(a))) << std::hex << a;
  }
}

TEST_F(Conversion, IntegersBecomeFloatsAsOnTheHost) {
  for (int i = 0; i < 300'000; ++i) {
    const uint64_t a = random_() >> (random_() % 64);
    const unsigned mode = i & 3, fraction_bits = static_cast<unsigned>(random_() % 65);
    FpContext fp{mode << kFpcrRModeShift, 0};
    const auto s = static_cast<int64_t>(random_() & 1 ? a : 0 - a);
    const uint64_t u = a;
    const uint64_t from_s = from_signed<uint64_t>(fp, s, fraction_bits), from_u = from_unsigned<uint64_t>(fp, u, fraction_bits);
    const uint32_t from_s32 = from_signed<uint32_t>(fp, s, fraction_bits),
                   from_u32 = from_unsigned<uint32_t>(fp, u, fraction_bits);
    Rounded rounded(mode);
    volatile int64_t vs = s;
    const volatile long double vl = static_cast<long double>(u);  // exact
    const int down = -static_cast<int>(fraction_bits);
    ASSERT_EQ(std::bit_cast<double>(from_s), std::ldexp(static_cast<double>(vs), down));
    ASSERT_EQ(std::bit_cast<double>(from_u), std::ldexp(static_cast<double>(vl), down));
    ASSERT_EQ(std::bit_cast<float>(from_s32), std::ldexp(static_cast<float>(vs), down));
    ASSERT_EQ(std::bit_cast<float>(from_u32), std::ldexp(static_cast<float>(vl), down));
  }
}

long double rounded_to_integral(long double x, Rounding rounding) {
  switch (rounding) {
    case Rounding::kTieEven: return std::nearbyint(x);
    case Rounding::kTieAway: return std::round(x);
    case Rounding::kPlusInfinity: return std::ceil(x);
    case Rounding::kMinusInfinity: return std::floor(x);
    default: return std::trunc(x);
  }
}

TEST_F(Conversion, FloatsBecomeSaturatedIntegers) {
  for (int i = 0; i < 400'000; ++i) {
    const unsigned fraction_bits = i & 1 ? static_cast<unsigned>(random_() % 65) : 0;
    const uint64_t a = near(-4 - static_cast<int>(fraction_bits), 66 - static_cast<int>(fraction_bits));
    const auto rounding = static_cast<Rounding>(i % 5);
    const unsigned width = i & 8 ? 32 : 64;
    const bool is_unsigned = i & 16;
    FpContext fp;
    const uint64_t got = to_fixed(fp, a, fraction_bits, is_unsigned, width, rounding);
    const long double scaled = std::ldexp(static_cast<long double>(std::bit_cast<double>(a)), static_cast<int>(fraction_bits));
    const long double want = rounded_to_integral(scaled, rounding);
    const long double lowest = is_unsigned ? 0.0L : -std::ldexp(1.0L, static_cast<int>(width) - 1);
    const long double highest = std::ldexp(1.0L, static_cast<int>(is_unsigned ? width : width - 1)) - 1;
    const long double clamped = std::min(std::max(want, lowest), highest);
    const uint64_t mask = width == 64 ? ~uint64_t{0} : 0xffffffffu;
    const uint64_t expected =
        (clamped < 0 ? static_cast<uint64_t>(static_cast<int64_t>(clamped)) : static_cast<uint64_t>(clamped)) & mask;
    ASSERT_EQ(got, expected) << std::hex << a << std::dec << " fraction bits " << fraction_bits << " mode "
                             << static_cast<int>(rounding);
    ASSERT_EQ(fp.fpsr, clamped != want ? kFpsrIoc : want != scaled ? kFpsrIxc : 0) << std::hex << a;

    // The same for the roundings that stay in the format.
    FpContext quiet, exact;
    const long double x = std::bit_cast<double>(a);
    const long double integral = rounded_to_integral(x, rounding);
    const uint64_t got_integral = round_to_integral(quiet, a, rounding, false);
    ASSERT_EQ(got_integral, std::bit_cast<uint64_t>(static_cast<double>(integral))) << std::hex << a;
    ASSERT_EQ(round_to_integral(exact, a, rounding, true), got_integral);
    ASSERT_EQ(quiet.fpsr, 0u);
    ASSERT_EQ(exact.fpsr, integral != x ? kFpsrIxc : 0);
    for (const unsigned bits : {32u, 64u}) {
      FpContext ranged;
      const long double limit = std::ldexp(1.0L, static_cast<int>(bits) - 1);
      const bool fits = integral >= -limit && integral < limit;
      ASSERT_EQ(round_to_integral_in_range(ranged, a, rounding, bits),
                fits ? got_integral : std::bit_cast<uint64_t>(static_cast<double>(-limit)));
      ASSERT_EQ(ranged.fpsr, !fits ? kFpsrIoc : integral != x ? kFpsrIxc : 0);
    }
  }
}

TEST_F(Conversion, JavascriptConversionWrapsAndTellsExactness) {
  for (int i = 0; i < 200'000; ++i) {
    const uint64_t a = near(-3, 90);
    const long double x = std::trunc(static_cast<long double>(std::bit_cast<double>(a)));
    const long double wrapped = x - std::floor(x / 0x1p32L) * 0x1p32L;
    FpContext fp;
    uint32_t nzcv;
    ASSERT_EQ(to_javascript_int32(fp, a, nzcv), static_cast<uint32_t>(static_cast<uint64_t>(wrapped))) << std::hex << a;
    const bool in_range = x >= -0x1p31L && x < 0x1p31L, exact = x == static_cast<long double>(std::bit_cast<double>(a));
    ASSERT_EQ(nzcv, in_range && exact ? 4u : 0u);
    ASSERT_EQ(fp.fpsr, !in_range ? kFpsrIoc : !exact ? kFpsrIxc : 0);
  }
  const auto run = [](uint64_t a, uint32_t fpcr, uint32_t& fpsr) {
    FpContext fp{fpcr, 0};
    uint32_t nzcv;
    EXPECT_EQ(to_javascript_int32(fp, a, nzcv), 0u);
    fpsr = fp.fpsr;
    return nzcv;
  };
  uint32_t fpsr;
  EXPECT_EQ(run(0, 0, fpsr), 4u);
  EXPECT_EQ(run(uint64_t{1} << 63, 0, fpsr), 0u);  // -0
  EXPECT_EQ(run(1, kFpcrFz, fpsr), 0u);            // flushed
  EXPECT_EQ(fpsr, kFpsrIdc);
  EXPECT_EQ(run(0x7ff0'0000'0000'0000, 0, fpsr), 0u);  // infinity
  EXPECT_EQ(fpsr, kFpsrIoc);
  EXPECT_EQ(run(0x7ff8'0000'0000'0000, 0, fpsr), 0u);  // NaN
  EXPECT_EQ(fpsr, kFpsrIoc);
}

TEST_F(Conversion, RoundToOddKeepsDoubleRoundingHarmless) {
  for (int i = 0; i < 200'000; ++i) {
    const uint64_t a = near(-14, 14);
    FpContext fp;
    const uint32_t odd = convert<uint32_t>(fp, a, Rounding::kOdd);
    ASSERT_EQ(convert<uint16_t>(fp, odd), convert<uint16_t>(fp, a)) << std::hex << a;
  }
  FpContext fp;
  EXPECT_EQ(convert<uint32_t>(fp, 0x7fe0'0000'0000'0000u, Rounding::kOdd), 0x7f7f'ffffu);  // overflow stays finite
  EXPECT_EQ(fp.fpsr, kFpsrOfc | kFpsrIxc);
}

}  // namespace
}  // namespace adyton::engine::fp
