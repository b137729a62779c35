#include "engine/interp/fp_element.h"

#include "engine/interp/operands.h"

namespace adyton::engine::interp {

using fp::FpContext;
using fp::Rounding;

namespace {

// Calls f with a zero of the lane's type.
template <class F>
uint64_t in_format(unsigned esize, F f) {
  return esize == 64 ? f(uint64_t{}) : f(uint32_t{});
}

template <class T>
T binary(FpContext& context, FpBinary operation, T a, T b) {
  const auto mask = [](bool holds) { return holds ? static_cast<T>(~T{0}) : T{0}; };
  switch (operation) {
    case FpBinary::kAdd: return fp::add(context, a, b);
    case FpBinary::kSubtract: return fp::subtract(context, a, b);
    case FpBinary::kMultiply: return fp::multiply(context, a, b);
    case FpBinary::kMultiplyExtended: return fp::multiply_extended(context, a, b);
    case FpBinary::kDivide: return fp::divide(context, a, b);
    case FpBinary::kMaximum: return fp::maximum(context, a, b);
    case FpBinary::kMinimum: return fp::minimum(context, a, b);
    case FpBinary::kMaximumNumber: return fp::maximum_number(context, a, b);
    case FpBinary::kMinimumNumber: return fp::minimum_number(context, a, b);
    case FpBinary::kNegatedMultiply: return fp::negate(fp::multiply(context, a, b));
    case FpBinary::kAbsoluteDifference: return fp::absolute(fp::subtract(context, a, b));
    case FpBinary::kReciprocalStep: return fp::reciprocal_step(context, a, b);
    case FpBinary::kReciprocalSqrtStep: return fp::reciprocal_sqrt_step(context, a, b);
    case FpBinary::kEqual: return mask(fp::compare_equal(context, a, b));
    case FpBinary::kGreaterEqual: return mask(fp::compare_greater_equal(context, a, b));
    case FpBinary::kGreater: return mask(fp::compare_greater(context, a, b));
    case FpBinary::kAbsoluteGreaterEqual: return mask(fp::compare_greater_equal(context, fp::absolute(a), fp::absolute(b)));
    case FpBinary::kAbsoluteGreater: return mask(fp::compare_greater(context, fp::absolute(a), fp::absolute(b)));
  }
  return 0;
}

template <class T>
T unary(FpContext& context, FpUnary operation, T a) {
  switch (operation) {
    case FpUnary::kAbsolute: return fp::absolute(a);
    case FpUnary::kNegate: return fp::negate(a);
    case FpUnary::kSquareRoot: return fp::square_root(context, a);
    case FpUnary::kReciprocalEstimate: return fp::reciprocal_estimate(context, a);
    case FpUnary::kReciprocalSqrtEstimate: return fp::reciprocal_sqrt_estimate(context, a);
    case FpUnary::kReciprocalExponent: return fp::reciprocal_exponent(context, a);
  }
  return 0;
}

}  // namespace

uint64_t fp_binary(FpContext& context, FpBinary operation, unsigned esize, uint64_t a, uint64_t b) {
  return in_format(esize,
                   [&]<class T>(T) -> uint64_t { return binary(context, operation, static_cast<T>(a), static_cast<T>(b)); });
}

uint64_t fp_unary(FpContext& context, FpUnary operation, unsigned esize, uint64_t a) {
  return in_format(esize, [&]<class T>(T) -> uint64_t { return unary(context, operation, static_cast<T>(a)); });
}

uint64_t fp_multiply_add(FpContext& context, unsigned esize, uint64_t addend, uint64_t a, uint64_t b) {
  return in_format(esize, [&]<class T>(T) -> uint64_t {
    return fp::multiply_add(context, static_cast<T>(addend), static_cast<T>(a), static_cast<T>(b));
  });
}

uint64_t fp_negate(unsigned esize, uint64_t a) { return a ^ (uint64_t{1} << (esize - 1)); }

uint64_t fp_round(FpContext& context, unsigned esize, uint64_t a, Rounding rounding, bool exact) {
  return in_format(esize,
                   [&]<class T>(T) -> uint64_t { return fp::round_to_integral(context, static_cast<T>(a), rounding, exact); });
}

uint64_t fp_round_in_range(FpContext& context, unsigned esize, uint64_t a, Rounding rounding, unsigned integer_bits) {
  return in_format(esize, [&]<class T>(T) -> uint64_t {
    return fp::round_to_integral_in_range(context, static_cast<T>(a), rounding, integer_bits);
  });
}

uint64_t fp_to_fixed(FpContext& context, unsigned esize, uint64_t a, unsigned fraction_bits, bool is_unsigned,
                     unsigned integer_bits, Rounding rounding) {
  return in_format(esize, [&]<class T>(T) -> uint64_t {
    return fp::to_fixed(context, static_cast<T>(a), fraction_bits, is_unsigned, integer_bits, rounding);
  });
}

uint64_t fp_from_fixed(FpContext& context, unsigned esize, uint64_t a, unsigned fraction_bits, bool is_unsigned,
                       unsigned integer_bits) {
  return in_format(esize, [&]<class T>(T) -> uint64_t {
    if (is_unsigned) return fp::from_unsigned<T>(context, a & ones(integer_bits), fraction_bits);
    return fp::from_signed<T>(context, sign_extend(a, integer_bits), fraction_bits);
  });
}

uint64_t fp_convert(FpContext& context, unsigned from, unsigned to, uint64_t a, Rounding rounding) {
  const auto half = static_cast<uint16_t>(a);
  const auto single = static_cast<uint32_t>(a);
  if (from == 16)
    return to == 32 ? fp::convert<uint32_t>(context, half, rounding) : fp::convert<uint64_t>(context, half, rounding);
  if (from == 32)
    return to == 16 ? fp::convert<uint16_t>(context, single, rounding) : fp::convert<uint64_t>(context, single, rounding);
  return to == 16 ? fp::convert<uint16_t>(context, a, rounding) : fp::convert<uint32_t>(context, a, rounding);
}

uint32_t fp_compare_flags(FpContext& context, unsigned esize, uint64_t a, uint64_t b, bool signal_all_nans) {
  return static_cast<uint32_t>(in_format(esize, [&]<class T>(T) -> uint64_t {
    return fp::compare(context, static_cast<T>(a), static_cast<T>(b), signal_all_nans);
  }));
}

uint64_t fp_expand_immediate(unsigned esize, uint8_t imm8) {
  return in_format(esize, [&]<class T>(T) -> uint64_t { return fp::expand_immediate<T>(imm8); });
}

}  // namespace adyton::engine::interp
