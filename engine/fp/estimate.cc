// Reciprocal estimates: the tables of the Arm ARM, computed as its functions RecipEstimate and RecipSqrtEstimate define them.
#include "engine/fp/unpacked.h"

namespace adyton::engine::fp {

namespace {

// a in 256..511 stands for [0.5, 1.0); the result in 256..511 for [1.0, 2.0).
unsigned table_reciprocal(unsigned a) {
  const unsigned b = (1u << 19) / (a * 2 + 1);
  return (b + 1) / 2;
}

// a in 128..511 stands for [0.25, 1.0); the result in 256..511 for [1.0, 2.0).
unsigned table_reciprocal_sqrt(unsigned a) {
  a = a < 256 ? a * 2 + 1 : (((a >> 1) << 1) + 1) * 2;
  unsigned b = 512;
  while (static_cast<uint64_t>(a) * (b + 1) * (b + 1) < (uint64_t{1} << 28)) ++b;
  return (b + 1) / 2;
}

template <class T>
int biased_exponent(T a) {
  return static_cast<int>((a >> kFractionBits<T>)&kExponentMax<T>);
}
// The fraction, aligned to 52 bits.
template <class T>
uint64_t fraction52(T a) {
  return static_cast<uint64_t>(a & kFractionMask<T>) << (52 - kFractionBits<T>);
}
constexpr uint64_t kFractionTop = uint64_t{1} << 51;
constexpr uint64_t kMask52 = (uint64_t{1} << 52) - 1;

template <class T>
T assemble(bool sign, int exponent, uint64_t fraction) {
  return pack<T>(sign, exponent, fraction >> (52 - kFractionBits<T>));
}

constexpr bool overflow_gives_infinity(Rounding rounding, bool sign) {
  return rounding == Rounding::kTieEven || (rounding == Rounding::kPlusInfinity && !sign) ||
         (rounding == Rounding::kMinusInfinity && sign);
}

}  // namespace

template <class T>
T reciprocal_estimate(FpContext& fp, T a) {
  const Unpacked ua = unpack(fp, a);
  if (ua.nan()) return propagate_nan(fp, ua, a);
  if (ua.is_infinity()) return zero<T>(ua.sign);
  if (ua.is_zero()) {
    fp.fpsr |= kFpsrDzc;
    return infinity<T>(ua.sign);
  }
  int exponent = biased_exponent(a);
  uint64_t fraction = fraction52(a);
  constexpr int kBias = 1 - kMinimumExponent<T>;
  // |a| < 2^(minimum exponent - 2): the reciprocal does not fit.
  if (exponent == 0 && (fraction >> 50) == 0) {
    fp.fpsr |= kFpsrOfc | kFpsrIxc;
    return overflow_gives_infinity(fp.rounding(), ua.sign) ? infinity<T>(ua.sign) : largest_normal<T>(ua.sign);
  }
  // |a| >= 2^(bias - 1): the reciprocal is subnormal.
  if ((fp.fpcr & kFpcrFz) && exponent >= 2 * kBias - 1) {
    fp.fpsr |= kFpsrUfc;
    return zero<T>(ua.sign);
  }
  if (exponent == 0) {
    if (fraction & kFractionTop) {
      fraction = (fraction << 1) & kMask52;
    } else {
      exponent = -1;
      fraction = (fraction << 2) & kMask52;
    }
  }
  int result_exponent = 2 * kBias - 1 - exponent;
  fraction = static_cast<uint64_t>(table_reciprocal(256 | static_cast<unsigned>(fraction >> 44)) & 0xff) << 44;
  if (result_exponent == 0) {
    fraction = kFractionTop | (fraction >> 1);
  } else if (result_exponent == -1) {
    fraction = (kFractionTop >> 1) | (fraction >> 2);
    result_exponent = 0;
  }
  return assemble<T>(ua.sign, result_exponent, fraction);
}

template <class T>
T reciprocal_sqrt_estimate(FpContext& fp, T a) {
  const Unpacked ua = unpack(fp, a);
  if (ua.nan()) return propagate_nan(fp, ua, a);
  if (ua.is_zero()) {
    fp.fpsr |= kFpsrDzc;
    return infinity<T>(ua.sign);
  }
  if (ua.sign) return invalid<T>(fp);
  if (ua.is_infinity()) return zero<T>(false);
  int exponent = biased_exponent(a);
  uint64_t fraction = fraction52(a);
  if (exponent == 0) {
    while (!(fraction & kFractionTop)) {
      fraction <<= 1;
      --exponent;
    }
    fraction = (fraction << 1) & kMask52;
  }
  const unsigned scaled =
      (exponent & 1) ? 128 | static_cast<unsigned>(fraction >> 45) : 256 | static_cast<unsigned>(fraction >> 44);
  constexpr int kBias = 1 - kMinimumExponent<T>;
  const int result_exponent = (3 * kBias - 1 - exponent) / 2;
  return assemble<T>(false, result_exponent, static_cast<uint64_t>(table_reciprocal_sqrt(scaled) & 0xff) << 44);
}

template <class T>
T reciprocal_exponent(FpContext& fp, T a) {
  const Unpacked ua = unpack(fp, a);
  if (ua.nan()) return propagate_nan(fp, ua, a);
  const int exponent = biased_exponent(a);
  return pack<T>(ua.sign, exponent == 0 ? kExponentMax<T> - 1 : exponent ^ kExponentMax<T>, 0);
}

uint32_t unsigned_reciprocal_estimate(uint32_t a) { return (a >> 31) == 0 ? ~uint32_t{0} : table_reciprocal(a >> 23) << 23; }

uint32_t unsigned_reciprocal_sqrt_estimate(uint32_t a) {
  return (a >> 30) == 0 ? ~uint32_t{0} : table_reciprocal_sqrt(a >> 23) << 23;
}

template uint32_t reciprocal_estimate<uint32_t>(FpContext&, uint32_t);
template uint64_t reciprocal_estimate<uint64_t>(FpContext&, uint64_t);
template uint32_t reciprocal_sqrt_estimate<uint32_t>(FpContext&, uint32_t);
template uint64_t reciprocal_sqrt_estimate<uint64_t>(FpContext&, uint64_t);
template uint32_t reciprocal_exponent<uint32_t>(FpContext&, uint32_t);
template uint64_t reciprocal_exponent<uint64_t>(FpContext&, uint64_t);

}  // namespace adyton::engine::fp
