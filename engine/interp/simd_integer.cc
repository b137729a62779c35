// Arithmetic on mathematical integers that several SIMD groups share.
#include <algorithm>

#include "engine/interp/simd.h"

namespace adyton::engine::interp {

uint64_t saturate(FpContext& context, Int128 value, unsigned bits, bool is_unsigned) {
  const Int128 highest = (Int128{1} << (is_unsigned ? bits : bits - 1)) - 1;
  const Int128 lowest = is_unsigned ? 0 : -highest - 1;
  const Int128 clamped = std::clamp(value, lowest, highest);
  if (clamped != value) context.fpsr |= fp::kFpsrQc;
  return static_cast<uint64_t>(clamped) & ones(bits);
}

uint64_t shift_by(FpContext& context, Int128 value, int shift, unsigned esize, bool is_unsigned, bool rounds, bool saturates) {
  const int bits = static_cast<int>(esize);
  if (shift < 0) {
    // Past the width only sign bits are left, and rounding half up of a magnitude below one half gives zero.
    if (rounds) {
      value = -shift > bits ? 0 : (value + (Int128{1} << (-shift - 1))) >> -shift;
    } else {
      value >>= std::min(-shift, bits);
    }
  } else if (value != 0) {
    if (shift >= bits) {
      if (!saturates) return 0;
      // Any value that does not fit will do.
      value = value < 0 ? -(Int128{1} << 100) : Int128{1} << 100;
    } else {
      value *= Int128{1} << shift;
    }
  }
  return saturates ? saturate(context, value, esize, is_unsigned) : static_cast<uint64_t>(value) & ones(esize);
}

uint64_t doubling_multiply_high(FpContext& context, int64_t a, int64_t b, unsigned esize, bool rounds) {
  const Int128 doubled = 2 * static_cast<Int128>(a) * b;
  return saturate(context, (doubled + (rounds ? Int128{1} << (esize - 1) : 0)) >> esize, esize, false);
}

uint64_t doubling_multiply_accumulate_high(FpContext& context, int64_t accumulator, int64_t a, int64_t b, unsigned esize,
                                           bool subtracts) {
  const Int128 doubled = 2 * static_cast<Int128>(a) * b;
  const Int128 wide =
      (static_cast<Int128>(accumulator) * (Int128{1} << esize)) + (subtracts ? -doubled : doubled) + (Int128{1} << (esize - 1));
  return saturate(context, wide >> esize, esize, false);
}

uint64_t doubling_multiply_long(FpContext& context, int64_t accumulator, int64_t a, int64_t b, unsigned esize, int accumulate) {
  const unsigned wide = 2 * esize;
  const uint64_t doubled = saturate(context, 2 * static_cast<Int128>(a) * b, wide, false);
  if (accumulate == 0) return doubled;
  return saturate(context, static_cast<Int128>(accumulator) + static_cast<Int128>(accumulate) * sign_extend(doubled, wide), wide,
                  false);
}

uint32_t dot_product(uint32_t accumulator, uint32_t a, uint32_t b, bool is_unsigned) {
  for (unsigned shift = 0; shift < 32; shift += 8) {
    const auto x = static_cast<uint8_t>(a >> shift), y = static_cast<uint8_t>(b >> shift);
    accumulator +=
        is_unsigned ? static_cast<uint32_t>(x * y) : static_cast<uint32_t>(static_cast<int8_t>(x) * static_cast<int8_t>(y));
  }
  return accumulator;
}

}  // namespace adyton::engine::interp
