// Inside of the soft-float library: formats, unpacking, NaN propagation, and the one function that rounds.
#pragma once
#include <bit>
#include <cstdint>

#include "engine/fp/soft_float.h"

namespace adyton::engine::fp {

using Uint128 = unsigned __int128;

template <class T>
struct Format;
template <>
struct Format<uint16_t> {
  static constexpr int kExponentBits = 5, kFractionBits = 10;
};
template <>
struct Format<uint32_t> {
  static constexpr int kExponentBits = 8, kFractionBits = 23;
};
template <>
struct Format<uint64_t> {
  static constexpr int kExponentBits = 11, kFractionBits = 52;
};

template <class T>
constexpr int kFractionBits = Format<T>::kFractionBits;
template <class T>
constexpr int kExponentMax = (1 << Format<T>::kExponentBits) - 1;  // biased
template <class T>
constexpr int kMinimumExponent = 2 - (1 << (Format<T>::kExponentBits - 1));
template <class T>
constexpr T kFractionMask = static_cast<T>((T{1} << kFractionBits<T>)-1);
template <class T>
constexpr T kQuietBit = static_cast<T>(T{1} << (kFractionBits<T> - 1));

template <class T>
constexpr T pack(bool sign, int biased_exponent, uint64_t fraction) {
  return static_cast<T>((sign ? sign_bit<T>() : T{0}) | (static_cast<T>(biased_exponent) << kFractionBits<T>) |
                        static_cast<T>(fraction));
}
template <class T>
constexpr T zero(bool sign) {
  return pack<T>(sign, 0, 0);
}
template <class T>
constexpr T infinity(bool sign) {
  return pack<T>(sign, kExponentMax<T>, 0);
}
template <class T>
constexpr T largest_normal(bool sign) {
  return pack<T>(sign, kExponentMax<T> - 1, kFractionMask<T>);
}
// 2^exponent times (1 + fraction / 2^52), for constants
template <class T>
constexpr T two(bool sign) {
  return pack<T>(sign, 1 - kMinimumExponent<T> + 1, 0);
}
template <class T>
constexpr T one_point_five() {
  return pack<T>(false, 1 - kMinimumExponent<T>, kQuietBit<T>);
}

enum class Kind : uint8_t { kZero, kFinite, kInfinity, kQuietNan, kSignallingNan };

// Finite: +-significand * 2^exponent.
struct Unpacked {
  Kind kind;
  bool sign;
  int exponent;
  uint64_t significand;

  [[nodiscard]] bool nan() const { return kind >= Kind::kQuietNan; }
  [[nodiscard]] bool is_infinity() const { return kind == Kind::kInfinity; }
  [[nodiscard]] bool is_zero() const { return kind == Kind::kZero; }
};

// FPUnpackBase. Subnormals are zeros under FPCR.FZ (Input Denormal is raised), except in half precision.
template <class T>
Unpacked unpack(FpContext& fp, T a) {
  const bool sign = (a & sign_bit<T>()) != 0;
  const int biased = static_cast<int>((a >> kFractionBits<T>)&kExponentMax<T>);
  const uint64_t fraction = a & kFractionMask<T>;
  constexpr int kUnit = kMinimumExponent<T> - kFractionBits<T>;  // weight of the last bit of a subnormal
  if (biased == 0) {
    if (fraction == 0) return {Kind::kZero, sign, 0, 0};
    if (sizeof(T) > 2 && (fp.fpcr & kFpcrFz)) {
      fp.fpsr |= kFpsrIdc;
      return {Kind::kZero, sign, 0, 0};
    }
    return {Kind::kFinite, sign, kUnit, fraction};
  }
  if (biased == kExponentMax<T> && !(sizeof(T) == 2 && (fp.fpcr & kFpcrAhp))) {
    if (fraction == 0) return {Kind::kInfinity, sign, 0, 0};
    return {(fraction & kQuietBit<T>) ? Kind::kQuietNan : Kind::kSignallingNan, sign, 0, 0};
  }
  return {Kind::kFinite, sign, kUnit + biased - 1, fraction | (uint64_t{1} << kFractionBits<T>)};
}

// FPProcessNaN
template <class T>
T propagate_nan(FpContext& fp, const Unpacked& unpacked, T a) {
  if (unpacked.kind == Kind::kSignallingNan) fp.fpsr |= kFpsrIoc;
  return (fp.fpcr & kFpcrDn) ? default_nan<T>() : static_cast<T>(a | kQuietBit<T>);
}

// FPProcessNaNs: the first signalling NaN, else the first quiet one.
template <class T>
bool propagate_nans(FpContext& fp, const Unpacked& ua, const Unpacked& ub, T a, T b, T& result) {
  if (!ua.nan() && !ub.nan()) return false;
  const bool first = ua.kind == Kind::kSignallingNan || (ub.kind != Kind::kSignallingNan && ua.kind == Kind::kQuietNan);
  result = first ? propagate_nan(fp, ua, a) : propagate_nan(fp, ub, b);
  return true;
}

template <class T>
T invalid(FpContext& fp) {
  fp.fpsr |= kFpsrIoc;
  return default_nan<T>();
}

// A real number +-significand * 2^exponent. Bit 0 of the significand may stand for any non-zero amount below it ("sticky"),
// provided that at least two bits lie between it and the last bit of the rounded result.
struct Real {
  bool sign;
  int exponent;
  Uint128 significand;
};

inline int highest_bit(Uint128 v) {
  const auto high = static_cast<uint64_t>(v >> 64);
  return high ? 127 - std::countl_zero(high) : 63 - std::countl_zero(static_cast<uint64_t>(v));
}

inline Uint128 shift_right_sticky(Uint128 v, int count) {
  if (count <= 0) return v;
  if (count >= 128) return v != 0;
  return (v >> count) | ((v & ((Uint128{1} << count) - 1)) != 0);
}

inline Real to_real(const Unpacked& u) { return {u.sign, u.exponent, u.significand}; }
inline Real product(const Unpacked& a, const Unpacked& b) {
  return {a.sign != b.sign, a.exponent + b.exponent, static_cast<Uint128>(a.significand) * b.significand};
}
// Exact but for the sticky bit; significand 0 when the sum is zero.
Real sum(Real a, Real b);

// The integer part of |value| * 2^fraction_bits and what was cut off.
enum class Remainder : uint8_t { kNone, kBelowHalf, kHalf, kAboveHalf };
struct Integral {
  Uint128 magnitude;
  Remainder remainder;
};
// Splits significand * 2^exponent. Magnitudes past 2^127 are given as 2^127.
Integral split(Uint128 significand, int exponent);
// Does `rounding` move the magnitude up? (kOdd: never, see round())
bool rounds_up(Rounding rounding, bool sign, bool odd, Remainder remainder);

// FPRoundBase: rounds a non-zero real to the format and raises Underflow (tininess before rounding), Overflow and Inexact.
template <class T>
T round(FpContext& fp, const Real& value, Rounding rounding);

}  // namespace adyton::engine::fp
