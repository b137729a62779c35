#include "engine/fp/unpacked.h"

namespace adyton::engine::fp {

template <class T>
T round_to_integral(FpContext& fp, T a, Rounding rounding, bool exact) {
  const Unpacked ua = unpack(fp, a);
  if (ua.nan()) return propagate_nan(fp, ua, a);
  if (ua.is_infinity()) return a;
  if (ua.is_zero()) return zero<T>(ua.sign);
  if (ua.exponent >= 0) return a;
  auto [magnitude, remainder] = split(ua.significand, ua.exponent);
  if (rounds_up(rounding, ua.sign, magnitude & 1, remainder)) ++magnitude;
  if (exact && remainder != Remainder::kNone) fp.fpsr |= kFpsrIxc;
  if (magnitude == 0) return zero<T>(ua.sign);
  return round<T>(fp, {ua.sign, 0, magnitude}, Rounding::kZero);
}

template <class T>
T round_to_integral_in_range(FpContext& fp, T a, Rounding rounding, unsigned integer_bits) {
  const Unpacked ua = unpack(fp, a);
  if (ua.is_zero()) return zero<T>(ua.sign);
  const Uint128 limit = Uint128{1} << (integer_bits - 1);
  if (!ua.nan() && !ua.is_infinity()) {
    auto [magnitude, remainder] = split(ua.significand, ua.exponent);
    if (rounds_up(rounding, ua.sign, magnitude & 1, remainder)) ++magnitude;
    if (magnitude < limit || (ua.sign && magnitude == limit)) {
      if (remainder != Remainder::kNone) fp.fpsr |= kFpsrIxc;
      return magnitude == 0 ? zero<T>(ua.sign) : round<T>(fp, {ua.sign, 0, magnitude}, Rounding::kZero);
    }
  }
  fp.fpsr |= kFpsrIoc;
  return round<T>(fp, {true, 0, limit}, Rounding::kZero);
}

template <class To, class From>
To convert(FpContext& fp, From a, Rounding rounding) {
  const Unpacked ua = unpack(fp, a);
  const bool alternative_half = sizeof(To) == 2 && (fp.fpcr & kFpcrAhp);
  if (ua.nan()) {
    if (alternative_half || ua.kind == Kind::kSignallingNan) fp.fpsr |= kFpsrIoc;
    if (alternative_half) return zero<To>(ua.sign);
    if (fp.fpcr & kFpcrDn) return default_nan<To>();
    // FPConvertNaN: the top bits of the fraction are kept.
    constexpr int kNarrowing = kFractionBits<From> - kFractionBits<To>;
    const uint64_t fraction = a & kFractionMask<From>;
    return pack<To>(ua.sign, kExponentMax<To>,
                    (kNarrowing > 0 ? fraction >> (kNarrowing & 63) : fraction << (-kNarrowing & 63)) | kQuietBit<To>);
  }
  if (ua.is_infinity()) {
    if (!alternative_half) return infinity<To>(ua.sign);
    fp.fpsr |= kFpsrIoc;
    return pack<To>(ua.sign, kExponentMax<To>, kFractionMask<To>);
  }
  if (ua.is_zero()) return zero<To>(ua.sign);
  return round<To>(fp, to_real(ua), rounding);
}

template <class T>
uint64_t to_fixed(FpContext& fp, T a, unsigned fraction_bits, bool is_unsigned, unsigned integer_bits, Rounding rounding) {
  const Unpacked ua = unpack(fp, a);
  if (ua.nan()) {
    fp.fpsr |= kFpsrIoc;
    return 0;
  }
  if (ua.is_zero()) return 0;
  Integral value{Uint128{1} << 127, Remainder::kNone};
  if (!ua.is_infinity()) value = split(ua.significand, ua.exponent + static_cast<int>(fraction_bits));
  if (rounds_up(rounding, ua.sign, value.magnitude & 1, value.remainder)) ++value.magnitude;

  const Uint128 mask = (Uint128{1} << integer_bits) - 1;
  const Uint128 positive_limit = is_unsigned ? mask : mask >> 1;
  const Uint128 negative_limit = is_unsigned ? 0 : positive_limit + 1;
  const Uint128 limit = ua.sign ? negative_limit : positive_limit;
  if (value.magnitude > limit) {
    fp.fpsr |= kFpsrIoc;
    value.magnitude = limit;
  } else if (value.remainder != Remainder::kNone) {
    fp.fpsr |= kFpsrIxc;
  }
  return static_cast<uint64_t>((ua.sign ? -value.magnitude : value.magnitude) & mask);
}

template <class T>
T from_unsigned(FpContext& fp, uint64_t a, unsigned fraction_bits) {
  return a == 0 ? zero<T>(false) : round<T>(fp, {false, -static_cast<int>(fraction_bits), a}, fp.rounding());
}

template <class T>
T from_signed(FpContext& fp, int64_t a, unsigned fraction_bits) {
  if (a >= 0) return from_unsigned<T>(fp, static_cast<uint64_t>(a), fraction_bits);
  return round<T>(fp, {true, -static_cast<int>(fraction_bits), uint64_t{0} - static_cast<uint64_t>(a)}, fp.rounding());
}

uint32_t to_javascript_int32(FpContext& fp, uint64_t a, uint32_t& nzcv) {
  // FPToFixedJS. Z means that the result is the value: -0 and a flushed subnormal do not count as exact.
  constexpr uint32_t kZ = 0b0100;
  nzcv = 0;
  const Unpacked ua = unpack(fp, a);
  if (ua.nan() || ua.is_infinity()) {
    fp.fpsr |= kFpsrIoc;
    return 0;
  }
  if (ua.is_zero()) {
    if (a == 0) nzcv = kZ;
    return 0;
  }
  // Past 2^84 the low 32 bits are zero, and split() would saturate.
  const bool huge = ua.exponent >= 32;
  const Integral value = huge ? Integral{Uint128{1} << 127, Remainder::kNone} : split(ua.significand, ua.exponent);
  const auto low = static_cast<uint32_t>(value.magnitude);
  const Uint128 limit = (Uint128{1} << 31) - (ua.sign ? 0 : 1);
  if (value.magnitude > limit) {
    fp.fpsr |= kFpsrIoc;
  } else if (value.remainder != Remainder::kNone) {
    fp.fpsr |= kFpsrIxc;
  } else {
    nzcv = kZ;
  }
  return ua.sign ? 0 - low : low;
}

#define ADYTON_INSTANTIATE(T)                                                       \
  template T round_to_integral<T>(FpContext&, T, Rounding, bool);                   \
  template T round_to_integral_in_range<T>(FpContext&, T, Rounding, unsigned);      \
  template uint64_t to_fixed<T>(FpContext&, T, unsigned, bool, unsigned, Rounding); \
  template T from_unsigned<T>(FpContext&, uint64_t, unsigned);                      \
  template T from_signed<T>(FpContext&, int64_t, unsigned);
ADYTON_INSTANTIATE(uint32_t)
ADYTON_INSTANTIATE(uint64_t)
#undef ADYTON_INSTANTIATE
template uint16_t convert<uint16_t, uint32_t>(FpContext&, uint32_t, Rounding);
template uint16_t convert<uint16_t, uint64_t>(FpContext&, uint64_t, Rounding);
template uint32_t convert<uint32_t, uint16_t>(FpContext&, uint16_t, Rounding);
template uint32_t convert<uint32_t, uint64_t>(FpContext&, uint64_t, Rounding);
template uint64_t convert<uint64_t, uint16_t>(FpContext&, uint16_t, Rounding);
template uint64_t convert<uint64_t, uint32_t>(FpContext&, uint32_t, Rounding);

}  // namespace adyton::engine::fp
