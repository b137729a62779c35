#include "engine/fp/unpacked.h"

#include <algorithm>

namespace adyton::engine::fp {

Real sum(Real a, Real b) {
  if (a.significand == 0) return b;
  if (b.significand == 0) return a;
  // Both get their highest bit at 125, so that a carry fits and the sticky bit of the smaller one stays far below the result's
  // last bit: more than one bit cancels only when the exponents differ by at most one, and then nothing was shifted out.
  constexpr int kTop = 125;
  for (Real* r : {&a, &b}) {
    const int shift = kTop - highest_bit(r->significand);
    r->significand = shift >= 0 ? r->significand << shift : shift_right_sticky(r->significand, -shift);
    r->exponent -= shift;
  }
  if (a.exponent < b.exponent) std::swap(a, b);
  b.significand = shift_right_sticky(b.significand, a.exponent - b.exponent);
  if (a.sign == b.sign) return {a.sign, a.exponent, a.significand + b.significand};
  if (a.significand >= b.significand) return {a.sign, a.exponent, a.significand - b.significand};
  return {b.sign, a.exponent, b.significand - a.significand};
}

Integral split(Uint128 significand, int exponent) {
  if (significand == 0) return {0, Remainder::kNone};
  if (exponent >= 0) {
    if (highest_bit(significand) + exponent >= 127) return {Uint128{1} << 127, Remainder::kNone};
    return {significand << exponent, Remainder::kNone};
  }
  const int shift = -exponent;
  if (shift > 127) return {0, Remainder::kBelowHalf};
  const Uint128 rest = significand & ((Uint128{1} << shift) - 1);
  const Uint128 half = Uint128{1} << (shift - 1);
  const Remainder remainder = rest == 0     ? Remainder::kNone
                              : rest < half ? Remainder::kBelowHalf
                              : rest > half ? Remainder::kAboveHalf
                                            : Remainder::kHalf;
  return {significand >> shift, remainder};
}

bool rounds_up(Rounding rounding, bool sign, bool odd, Remainder remainder) {
  switch (rounding) {
    case Rounding::kTieEven: return remainder == Remainder::kAboveHalf || (remainder == Remainder::kHalf && odd);
    case Rounding::kTieAway: return remainder >= Remainder::kHalf;
    case Rounding::kPlusInfinity: return remainder != Remainder::kNone && !sign;
    case Rounding::kMinusInfinity: return remainder != Remainder::kNone && sign;
    case Rounding::kZero:
    case Rounding::kOdd: break;
  }
  return false;
}

namespace {

bool overflows_to_infinity(Rounding rounding, bool sign) {
  switch (rounding) {
    case Rounding::kPlusInfinity: return !sign;
    case Rounding::kMinusInfinity: return sign;
    case Rounding::kZero:
    case Rounding::kOdd: return false;
    case Rounding::kTieEven:
    case Rounding::kTieAway: break;
  }
  return true;
}

}  // namespace

template <class T>
T round(FpContext& fp, const Real& value, Rounding rounding) {
  const int exponent = value.exponent + highest_bit(value.significand);
  if (sizeof(T) > 2 && (fp.fpcr & kFpcrFz) && exponent < kMinimumExponent<T>) {
    fp.fpsr |= kFpsrUfc;
    return zero<T>(value.sign);
  }
  const int unit = std::max(exponent, kMinimumExponent<T>) - kFractionBits<T>;
  auto [wide, remainder] = split(value.significand, value.exponent - unit);
  auto mantissa = static_cast<uint64_t>(wide);
  int biased = std::max(exponent - kMinimumExponent<T> + 1, 0);
  if (biased == 0 && remainder != Remainder::kNone) fp.fpsr |= kFpsrUfc;
  if (rounds_up(rounding, value.sign, mantissa & 1, remainder)) {
    ++mantissa;
    if (mantissa == uint64_t{1} << kFractionBits<T>) biased = 1;  // from subnormal to normal
    if (mantissa == uint64_t{1} << (kFractionBits<T> + 1)) {
      ++biased;
      mantissa >>= 1;
    }
  }
  if (rounding == Rounding::kOdd && remainder != Remainder::kNone) mantissa |= 1;

  const bool alternative_half = sizeof(T) == 2 && (fp.fpcr & kFpcrAhp);
  if (alternative_half && biased > kExponentMax<T>) {
    fp.fpsr |= kFpsrIoc;  // and not Inexact
    return pack<T>(value.sign, kExponentMax<T>, kFractionMask<T>);
  }
  if (!alternative_half && biased >= kExponentMax<T>) {
    fp.fpsr |= kFpsrOfc | kFpsrIxc;
    return overflows_to_infinity(rounding, value.sign) ? infinity<T>(value.sign) : largest_normal<T>(value.sign);
  }
  if (remainder != Remainder::kNone) fp.fpsr |= kFpsrIxc;
  return pack<T>(value.sign, biased, mantissa & kFractionMask<T>);
}

template uint16_t round<uint16_t>(FpContext&, const Real&, Rounding);
template uint32_t round<uint32_t>(FpContext&, const Real&, Rounding);
template uint64_t round<uint64_t>(FpContext&, const Real&, Rounding);

template <class T>
T default_nan() {
  return pack<T>(false, kExponentMax<T>, kQuietBit<T>);
}
template uint16_t default_nan<uint16_t>();
template uint32_t default_nan<uint32_t>();
template uint64_t default_nan<uint64_t>();

template <class T>
T expand_immediate(uint8_t imm8) {
  // exponent = NOT(b6) : Replicate(b6, E - 3) : imm8<5:4>
  constexpr int kExponentBits = Format<T>::kExponentBits;
  const bool b6 = imm8 & 0x40;
  const int replicated = b6 ? (1 << (kExponentBits - 3)) - 1 : 0;
  const int biased = ((b6 ? 0 : 1) << (kExponentBits - 1)) | (replicated << 2) | ((imm8 >> 4) & 3);
  return pack<T>(imm8 & 0x80, biased, static_cast<uint64_t>(imm8 & 0xf) << (kFractionBits<T> - 4));
}
template uint32_t expand_immediate<uint32_t>(uint8_t);
template uint64_t expand_immediate<uint64_t>(uint8_t);

}  // namespace adyton::engine::fp
