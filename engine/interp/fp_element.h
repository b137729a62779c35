// Floating-point operations on a lane whose format (single or double) is known at run time. Internal to the interpreter.
#pragma once
#include <cstdint>

#include "engine/fp/soft_float.h"

namespace adyton::engine::interp {

enum class FpBinary : uint8_t {
  kAdd,
  kSubtract,
  kMultiply,
  kMultiplyExtended,
  kDivide,
  kMaximum,
  kMinimum,
  kMaximumNumber,
  kMinimumNumber,
  kNegatedMultiply,
  kAbsoluteDifference,
  kReciprocalStep,
  kReciprocalSqrtStep,
  // These give all ones or zero.
  kEqual,
  kGreaterEqual,
  kGreater,
  kAbsoluteGreaterEqual,
  kAbsoluteGreater,
};
enum class FpUnary : uint8_t {
  kAbsolute,
  kNegate,
  kSquareRoot,
  kReciprocalEstimate,
  kReciprocalSqrtEstimate,
  kReciprocalExponent
};

uint64_t fp_binary(fp::FpContext& context, FpBinary operation, unsigned esize, uint64_t a, uint64_t b);
uint64_t fp_unary(fp::FpContext& context, FpUnary operation, unsigned esize, uint64_t a);
uint64_t fp_multiply_add(fp::FpContext& context, unsigned esize, uint64_t addend, uint64_t a, uint64_t b);
uint64_t fp_negate(unsigned esize, uint64_t a);
uint64_t fp_round(fp::FpContext& context, unsigned esize, uint64_t a, fp::Rounding rounding, bool exact);
uint64_t fp_round_in_range(fp::FpContext& context, unsigned esize, uint64_t a, fp::Rounding rounding, unsigned integer_bits);
uint64_t fp_to_fixed(fp::FpContext& context, unsigned esize, uint64_t a, unsigned fraction_bits, bool is_unsigned,
                     unsigned integer_bits, fp::Rounding rounding);
// `a` has `integer_bits` significant bits.
uint64_t fp_from_fixed(fp::FpContext& context, unsigned esize, uint64_t a, unsigned fraction_bits, bool is_unsigned,
                       unsigned integer_bits);
// Between formats of 16, 32 and 64 bits
uint64_t fp_convert(fp::FpContext& context, unsigned from, unsigned to, uint64_t a, fp::Rounding rounding);
uint32_t fp_compare_flags(fp::FpContext& context, unsigned esize, uint64_t a, uint64_t b, bool signal_all_nans);
uint64_t fp_expand_immediate(unsigned esize, uint8_t imm8);

}  // namespace adyton::engine::interp
