// Arithmetic against the host's FPU: results in the four rounding modes, and the exception flags, whose x86 definition differs
// from Arm's only in tininess (after rounding) and where NaNs are involved.
#include <immintrin.h>

#include <bit>
#include <cmath>
#include <limits>
#include <random>
#include <string>

#include "engine/fp/soft_float.h"
#include "gtest/gtest.h"

namespace adyton::engine::fp {
namespace {

template <class T>
struct Host;
template <>
struct Host<uint32_t> {
  using Type = float;
};
template <>
struct Host<uint64_t> {
  using Type = double;
};

uint64_t seed() {
  static const uint64_t value = std::random_device{}();
  return value;
}

template <class T>
class ValueSource {
 public:
  using Float = typename Host<T>::Type;
  explicit ValueSource(uint64_t s) : engine_(s) {}

  T next() {
    static const T kSpecial[] = {bits(0),
                                 bits(-Float{0}),
                                 bits(1),
                                 bits(-1),
                                 bits(2),
                                 bits(Float{1.5}),
                                 bits(Float{0.5}),
                                 bits(std::numeric_limits<Float>::min()),
                                 bits(std::numeric_limits<Float>::max()),
                                 bits(-std::numeric_limits<Float>::max()),
                                 bits(std::numeric_limits<Float>::denorm_min()),
                                 static_cast<T>(bits(std::numeric_limits<Float>::min()) - 1),
                                 bits(std::numeric_limits<Float>::infinity()),
                                 bits(-std::numeric_limits<Float>::infinity()),
                                 bits(std::numeric_limits<Float>::epsilon())};
    const uint64_t r = engine_();
    switch (r % 8) {
      case 0: return kSpecial[(r >> 8) % std::size(kSpecial)];
      case 1: return static_cast<T>(kSpecial[(r >> 8) % std::size(kSpecial)] + (r >> 40) % 7 - 3);
      case 2: return static_cast<T>((engine_() & mask(mantissa())) | (r & sign_bit<T>()));      // subnormal
      case 3: return bits(static_cast<Float>(static_cast<int64_t>(r >> 8) % 4096 - 2048) / 8);  // few bits: ties
      case 4: {                                                                                 // near one: cancellation
        const T one = bits(1);
        return static_cast<T>((one ^ (engine_() & mask(mantissa() + 2))) ^ (r & sign_bit<T>()));
      }
      default: return static_cast<T>(engine_());
    }
  }

  static T bits(Float f) { return std::bit_cast<T>(f); }

 private:
  static constexpr unsigned mantissa() { return sizeof(T) == 4 ? 23 : 52; }
  static T mask(unsigned n) { return static_cast<T>((T{1} << n) - 1); }
  std::mt19937_64 engine_;
};

constexpr uint32_t kMxcsrRounding[] = {_MM_ROUND_NEAREST, _MM_ROUND_UP, _MM_ROUND_DOWN, _MM_ROUND_TOWARD_ZERO};

uint32_t flags_of_mxcsr(uint32_t mxcsr) {
  uint32_t flags = 0;
  if (mxcsr & _MM_EXCEPT_INVALID) flags |= kFpsrIoc;
  if (mxcsr & _MM_EXCEPT_DIV_ZERO) flags |= kFpsrDzc;
  if (mxcsr & _MM_EXCEPT_OVERFLOW) flags |= kFpsrOfc;
  if (mxcsr & _MM_EXCEPT_UNDERFLOW) flags |= kFpsrUfc;
  if (mxcsr & _MM_EXCEPT_INEXACT) flags |= kFpsrIxc;
  return flags;
}

// Runs `operation` on the FPU under the rounding mode and returns its flags.
template <class Operation>
uint32_t on_host(unsigned rounding, Operation operation) {
  const uint32_t saved = _mm_getcsr();
  _mm_setcsr(0x1f80 | kMxcsrRounding[rounding]);
  operation();
  const uint32_t flags = flags_of_mxcsr(_mm_getcsr());
  _mm_setcsr(saved);
  return flags;
}

template <class T>
bool is_nan(T a) {
  return std::isnan(std::bit_cast<typename Host<T>::Type>(a));
}

// Tiny results that round up to the smallest normal number: Underflow on Arm, none on x86.
template <class T>
bool smallest_normal(T a) {
  return absolute(a) == std::bit_cast<T>(std::numeric_limits<typename Host<T>::Type>::min());
}

template <class T, class Soft, class Hard>
void check(const char* name, unsigned arity, int iterations, Soft soft, Hard hard) {
  using Float = typename Host<T>::Type;
  ValueSource<T> source(seed() ^ std::hash<std::string>{}(name));
  for (int i = 0; i < iterations; ++i) {
    T in[3] = {source.next(), arity > 1 ? source.next() : 0, arity > 2 ? source.next() : 0};
    if (is_nan(in[0]) || is_nan(in[1]) || is_nan(in[2])) continue;  // propagation differs: see special_test.cc
    const auto rounding = static_cast<unsigned>(i & 3);
    FpContext fp{rounding << kFpcrRModeShift, 0};
    const T got = soft(fp, in);
    volatile Float x = std::bit_cast<Float>(in[0]), y = std::bit_cast<Float>(in[1]), z = std::bit_cast<Float>(in[2]);
    volatile Float result;
    const uint32_t host_flags = on_host(rounding, [&] { result = hard(x, y, z); });
    const Float host_result = result;
    T want = std::bit_cast<T>(host_result);
    if (is_nan(want)) want = default_nan<T>();
    uint32_t got_flags = fp.fpsr;
    if (smallest_normal(want)) got_flags &= ~kFpsrUfc;
    uint32_t want_flags = host_flags;
    if (smallest_normal(want)) want_flags &= ~kFpsrUfc;
    ASSERT_EQ(got, want) << name << std::hex << " of " << +in[0] << ", " << +in[1] << ", " << +in[2] << " rounding " << rounding
                         << " seed 0x" << seed();
    ASSERT_EQ(got_flags, want_flags) << name << std::hex << " of " << +in[0] << ", " << +in[1] << ", " << +in[2] << " rounding "
                                     << rounding << " seed 0x" << seed();
  }
}

template <class T>
class Arithmetic : public testing::Test {};
using Formats = testing::Types<uint32_t, uint64_t>;
TYPED_TEST_SUITE(Arithmetic, Formats);

constexpr int kIterations = 300'000;

TYPED_TEST(Arithmetic, AddAgreesWithTheHost) {
  check<TypeParam>(
      "add", 2, kIterations, [](FpContext& fp, auto* in) { return add<TypeParam>(fp, in[0], in[1]); },
      [](auto x, auto y, auto) { return x + y; });
}
TYPED_TEST(Arithmetic, SubtractAgreesWithTheHost) {
  check<TypeParam>(
      "subtract", 2, kIterations, [](FpContext& fp, auto* in) { return subtract<TypeParam>(fp, in[0], in[1]); },
      [](auto x, auto y, auto) { return x - y; });
}
TYPED_TEST(Arithmetic, MultiplyAgreesWithTheHost) {
  check<TypeParam>(
      "multiply", 2, kIterations, [](FpContext& fp, auto* in) { return multiply<TypeParam>(fp, in[0], in[1]); },
      [](auto x, auto y, auto) { return x * y; });
}
TYPED_TEST(Arithmetic, DivideAgreesWithTheHost) {
  check<TypeParam>(
      "divide", 2, kIterations, [](FpContext& fp, auto* in) { return divide<TypeParam>(fp, in[0], in[1]); },
      [](auto x, auto y, auto) { return x / y; });
}

float host_sqrt(float x) { return _mm_cvtss_f32(_mm_sqrt_ss(_mm_set_ss(x))); }
double host_sqrt(double x) { return _mm_cvtsd_f64(_mm_sqrt_sd(_mm_set_sd(x), _mm_set_sd(x))); }
TYPED_TEST(Arithmetic, SquareRootAgreesWithTheHost) {
  check<TypeParam>(
      "square_root", 1, kIterations, [](FpContext& fp, auto* in) { return square_root<TypeParam>(fp, in[0]); },
      [](auto x, auto, auto) { return host_sqrt(x); });
}

__attribute__((target("fma"))) float host_fma(float x, float y, float z) {
  return _mm_cvtss_f32(_mm_fmadd_ss(_mm_set_ss(x), _mm_set_ss(y), _mm_set_ss(z)));
}
__attribute__((target("fma"))) double host_fma(double x, double y, double z) {
  return _mm_cvtsd_f64(_mm_fmadd_sd(_mm_set_sd(x), _mm_set_sd(y), _mm_set_sd(z)));
}
TYPED_TEST(Arithmetic, MultiplyAddAgreesWithTheHost) {
  if (!__builtin_cpu_supports("fma")) GTEST_SKIP() << "the host has no FMA";
  check<TypeParam>(
      "multiply_add", 3, 2 * kIterations,
      [](FpContext& fp, auto* in) { return multiply_add<TypeParam>(fp, in[2], in[0], in[1]); },
      [](auto x, auto y, auto z) { return host_fma(x, y, z); });
}

TYPED_TEST(Arithmetic, ComparisonAgreesWithTheHost) {
  using Float = typename Host<TypeParam>::Type;
  ValueSource<TypeParam> source(seed());
  for (int i = 0; i < kIterations; ++i) {
    const TypeParam a = source.next(), b = (i % 8) ? source.next() : a;
    const auto x = std::bit_cast<Float>(a), y = std::bit_cast<Float>(b);
    FpContext fp;
    const uint32_t want = std::isunordered(x, y) ? 0b0011 : x == y ? 0b0110 : x < y ? 0b1000 : 0b0010;
    ASSERT_EQ(compare(fp, a, b, false), want) << std::hex << a << " and " << b;
    ASSERT_EQ(compare_equal(fp, a, b), x == y);
    ASSERT_EQ(compare_greater(fp, a, b), std::isgreater(x, y));
    ASSERT_EQ(compare_greater_equal(fp, a, b), std::isgreaterequal(x, y));
    if (want == 0b0011) continue;
    FpContext quiet;
    const TypeParam greater = maximum(quiet, a, b), lesser = minimum(quiet, a, b);
    ASSERT_EQ(std::bit_cast<Float>(greater), std::max(x, y)) << std::hex << a << " and " << b;
    ASSERT_EQ(std::bit_cast<Float>(lesser), std::min(x, y)) << std::hex << a << " and " << b;
    ASSERT_EQ(maximum_number(quiet, a, b), greater);
    ASSERT_EQ(minimum_number(quiet, a, b), lesser);
    ASSERT_EQ(quiet.fpsr, 0u);
  }
}

// The steps are fused: with operands of few bits, long double holds the exact value.
TEST(Steps, AreRoundedOnce) {
  ValueSource<uint32_t> source(seed());
  for (int i = 0; i < kIterations; ++i) {
    const uint32_t a = source.next(), b = source.next();
    const float x = std::bit_cast<float>(a), y = std::bit_cast<float>(b);
    if (!std::isfinite(x) || !std::isfinite(y)) continue;
    const double exact_product = -static_cast<double>(x) * y;  // 48 bits: exact
    if (exact_product != 0 && (std::abs(exact_product) < 0x1p-28 || std::abs(exact_product) > 0x1p60)) continue;
    // 2 + p needs at most 64 bits here only when p is not far from 2; long double is exact then.
    if (exact_product != 0 && std::abs(exact_product) < 0x1p-13) continue;
    FpContext fp;
    const auto step = static_cast<float>(2.0L + exact_product), sqrt_step = static_cast<float>((3.0L + exact_product) / 2);
    ASSERT_EQ(reciprocal_step(fp, a, b), std::bit_cast<uint32_t>(step)) << std::hex << a << " and " << b;
    ASSERT_EQ(reciprocal_sqrt_step(fp, a, b), std::bit_cast<uint32_t>(sqrt_step)) << std::hex << a << " and " << b;
  }
}

}  // namespace
}  // namespace adyton::engine::fp
