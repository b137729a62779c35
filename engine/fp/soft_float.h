// IEEE 754 arithmetic exactly as an Arm processing element does it (Arm ARM A1.5 and the shared/functions/float pseudocode), on
// integers only.
//
// A value is its bit pattern: uint16_t is half, uint32_t single, uint64_t double precision. The templates are instantiated for
// uint32_t and uint64_t; half precision exists for conversions only, because FEAT_FP16 is not advertised (so FPCR.FZ16 is RES0
// and ignored). Floating-point exceptions are never trapped: the trap enables of FPCR are RAZ/WI, as on most implementations.
//
// Threading: functions are pure but for the FpContext that they are given.
#pragma once
#include <cstdint>

namespace adyton::engine::fp {

// FPCR (Arm ARM D17.2.49).
constexpr uint32_t kFpcrAhp = 1u << 26, kFpcrDn = 1u << 25, kFpcrFz = 1u << 24;
constexpr unsigned kFpcrRModeShift = 22;
constexpr uint32_t kFpcrRMode = 3u << kFpcrRModeShift;
// FPSR (Arm ARM D17.2.50).
constexpr uint32_t kFpsrIoc = 1u << 0, kFpsrDzc = 1u << 1, kFpsrOfc = 1u << 2, kFpsrUfc = 1u << 3, kFpsrIxc = 1u << 4,
                   kFpsrIdc = 1u << 7, kFpsrQc = 1u << 27;

// The first four have the encoding of FPCR.RMode.
enum class Rounding : uint8_t { kTieEven = 0, kPlusInfinity = 1, kMinusInfinity = 2, kZero = 3, kTieAway = 4, kOdd = 5 };

struct FpContext {
  uint32_t fpcr = 0;
  uint32_t fpsr = 0;  // cumulative bits are ORed in, nothing is ever cleared

  [[nodiscard]] Rounding rounding() const { return static_cast<Rounding>((fpcr >> kFpcrRModeShift) & 3); }
};

// --- sign and constants (never raise anything)
template <class T>
constexpr T sign_bit() {
  return static_cast<T>(T{1} << (sizeof(T) * 8 - 1));
}
template <class T>
constexpr T negate(T a) {
  return static_cast<T>(a ^ sign_bit<T>());
}
template <class T>
constexpr T absolute(T a) {
  return static_cast<T>(a & static_cast<T>(~sign_bit<T>()));
}
template <class T>
T default_nan();
// VFPExpandImm: the 8-bit immediate of FMOV.
template <class T>
T expand_immediate(uint8_t imm8);

// --- arithmetic
template <class T>
T add(FpContext& fp, T a, T b);
template <class T>
T subtract(FpContext& fp, T a, T b);
template <class T>
T multiply(FpContext& fp, T a, T b);
template <class T>
T multiply_extended(FpContext& fp, T a, T b);  // FMULX: 0 * infinity is 2
template <class T>
T divide(FpContext& fp, T a, T b);
template <class T>
T square_root(FpContext& fp, T a);
template <class T>
T multiply_add(FpContext& fp, T addend, T a, T b);  // addend + a * b, rounded once
template <class T>
T maximum(FpContext& fp, T a, T b);
template <class T>
T minimum(FpContext& fp, T a, T b);
template <class T>
T maximum_number(FpContext& fp, T a, T b);  // FMAXNM: a quiet NaN loses against a number
template <class T>
T minimum_number(FpContext& fp, T a, T b);

// --- estimates and Newton-Raphson steps
template <class T>
T reciprocal_estimate(FpContext& fp, T a);
template <class T>
T reciprocal_sqrt_estimate(FpContext& fp, T a);
template <class T>
T reciprocal_step(FpContext& fp, T a, T b);  // FRECPS: 2 - a * b
template <class T>
T reciprocal_sqrt_step(FpContext& fp, T a, T b);  // FRSQRTS: (3 - a * b) / 2
template <class T>
T reciprocal_exponent(FpContext& fp, T a);               // FRECPX
uint32_t unsigned_reciprocal_estimate(uint32_t a);       // URECPE
uint32_t unsigned_reciprocal_sqrt_estimate(uint32_t a);  // URSQRTE

// --- comparison
// N, Z, C, V in bits 3..0. `signal_all_nans` makes quiet NaNs raise Invalid Operation too (FCMPE).
template <class T>
uint32_t compare(FpContext& fp, T a, T b, bool signal_all_nans);
template <class T>
bool compare_equal(FpContext& fp, T a, T b);  // quiet
template <class T>
bool compare_greater_equal(FpContext& fp, T a, T b);  // signalling
template <class T>
bool compare_greater(FpContext& fp, T a, T b);  // signalling

// --- rounding to an integral value in the same format
// `exact` raises Inexact when the value changes (FRINTX).
template <class T>
T round_to_integral(FpContext& fp, T a, Rounding rounding, bool exact);
// FRINT32Z/X and FRINT64Z/X: what does not fit `integer_bits` (32 or 64) becomes the most negative integer.
template <class T>
T round_to_integral_in_range(FpContext& fp, T a, Rounding rounding, unsigned integer_bits);

// --- conversion between formats: To and From are different ones of uint16_t, uint32_t and uint64_t. FPCR.AHP selects the
// alternative half-precision format.
template <class To, class From>
To convert(FpContext& fp, From a, Rounding rounding);
template <class To, class From>
To convert(FpContext& fp, From a) {
  return convert<To, From>(fp, a, fp.rounding());
}

// --- conversion to and from integers and fixed-point numbers with `fraction_bits` (0..64)
// Saturates to `integer_bits` (16, 32 or 64); the result is zero-extended from that width.
template <class T>
uint64_t to_fixed(FpContext& fp, T a, unsigned fraction_bits, bool is_unsigned, unsigned integer_bits, Rounding rounding);
template <class T>
T from_signed(FpContext& fp, int64_t a, unsigned fraction_bits);
template <class T>
T from_unsigned(FpContext& fp, uint64_t a, unsigned fraction_bits);
// FJCVTZS: modulo 2^32. `nzcv` receives Z (bit 2) when the conversion was exact.
uint32_t to_javascript_int32(FpContext& fp, uint64_t a, uint32_t& nzcv);

}  // namespace adyton::engine::fp
