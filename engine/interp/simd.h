// Inside of the FP and SIMD part of the interpreter: vector elements, widths, saturation, and the groups of encodings.
//
// Element sizes are in bits (8, 16, 32, 64) and chosen at run time; a lane is a uint64_t with zero bits above its size. A group
// computes its result in a zeroed Vector and stores it last, which also gives the architecture's zeroing of the bits above the
// result.
#pragma once
#include <cstdint>

#include "engine/arm64/cpu_state.h"
#include "engine/fp/soft_float.h"
#include "engine/interp/operands.h"

namespace adyton::engine::interp {

using arm64::Vector;
using fp::FpContext;

using Int128 = __int128;

// --- elements
inline uint64_t lane(const Vector& v, unsigned index, unsigned esize) {
  const unsigned position = index * esize;
  return (v.d[position / 64] >> (position % 64)) & ones(esize);
}
inline int64_t signed_lane(const Vector& v, unsigned index, unsigned esize) { return sign_extend(lane(v, index, esize), esize); }
// Sign- or zero-extended, for arithmetic on mathematical integers
inline Int128 integer_lane(const Vector& v, unsigned index, unsigned esize, bool is_unsigned) {
  return is_unsigned ? static_cast<Int128>(lane(v, index, esize)) : signed_lane(v, index, esize);
}
inline void set_lane(Vector& v, unsigned index, unsigned esize, uint64_t value) {
  const unsigned position = index * esize;
  uint64_t& word = v.d[position / 64];
  const uint64_t mask = ones(esize) << (position % 64);
  word = (word & ~mask) | ((value << (position % 64)) & mask);
}
inline void set_lane(Vector& v, unsigned index, unsigned esize, Int128 value) {
  set_lane(v, index, esize, static_cast<uint64_t>(value));
}

// --- fields that most encodings share
inline bool is_q(uint32_t insn) { return bit(insn, 30); }
inline bool is_u(uint32_t insn) { return bit(insn, 29); }
inline unsigned size_field(uint32_t insn) { return field(insn, 23, 22); }
// Lanes of a vector operation, or the single one of a scalar operation
inline unsigned lanes(uint32_t insn, unsigned esize, bool scalar) { return scalar ? 1 : (is_q(insn) ? 128 : 64) / esize; }

inline Vector scalar_vector(uint64_t value) { return {{value, 0}}; }
// Vpart[d, part]: the low half clears the high one, the high half keeps the low one.
inline void write_half(CpuState& cpu, unsigned d, bool high, uint64_t value) {
  if (high) {
    cpu.v[d].d[1] = value;
  } else {
    cpu.v[d] = scalar_vector(value);
  }
}

// --- integer helpers
// SatQ(): records saturation in FPSR.QC.
uint64_t saturate(FpContext& context, Int128 value, unsigned bits, bool is_unsigned);
// The shift of SSHL, SQRSHL and so on: left by `shift`, or right when negative, of a mathematical integer.
uint64_t shift_by(FpContext& context, Int128 value, int shift, unsigned esize, bool is_unsigned, bool rounds, bool saturates);
// SQDMULH, SQRDMULH
uint64_t doubling_multiply_high(FpContext& context, int64_t a, int64_t b, unsigned esize, bool rounds);
// SQRDMLAH, SQRDMLSH
uint64_t doubling_multiply_accumulate_high(FpContext& context, int64_t accumulator, int64_t a, int64_t b, unsigned esize,
                                           bool subtracts);
// SQDMULL, and SQDMLAL and SQDMLSL when `accumulate` is 1 or -1. `accumulator` has twice `esize` bits.
uint64_t doubling_multiply_long(FpContext& context, int64_t accumulator, int64_t a, int64_t b, unsigned esize, int accumulate);
// One 32-bit lane of SDOT and UDOT
uint32_t dot_product(uint32_t accumulator, uint32_t a, uint32_t b, bool is_unsigned);

// --- the groups of Arm ARM C4.1.95: false when the encoding is unallocated, and then nothing has changed
bool simd_three_same(CpuState& cpu, uint32_t insn, bool scalar);
bool simd_three_same_extra(CpuState& cpu, uint32_t insn, bool scalar);
bool simd_three_different(CpuState& cpu, uint32_t insn, bool scalar);
bool simd_two_reg_misc(CpuState& cpu, uint32_t insn, bool scalar);
bool simd_by_element(CpuState& cpu, uint32_t insn, bool scalar);
bool simd_shift_immediate(CpuState& cpu, uint32_t insn, bool scalar);
bool simd_modified_immediate(CpuState& cpu, uint32_t insn);
bool simd_across_lanes(CpuState& cpu, uint32_t insn);
bool simd_scalar_pairwise(CpuState& cpu, uint32_t insn);
bool simd_permute(CpuState& cpu, uint32_t insn);
bool simd_extract(CpuState& cpu, uint32_t insn);
bool simd_table(CpuState& cpu, uint32_t insn);
bool simd_copy(CpuState& cpu, uint32_t insn);
bool simd_scalar_copy(CpuState& cpu, uint32_t insn);
bool crypto_aes(CpuState& cpu, uint32_t insn);
bool crypto_sha_three_reg(CpuState& cpu, uint32_t insn);
bool crypto_sha_two_reg(CpuState& cpu, uint32_t insn);

bool fp_fixed_conversion(CpuState& cpu, uint32_t insn);
bool fp_integer_conversion(CpuState& cpu, uint32_t insn);
bool fp_one_source(CpuState& cpu, uint32_t insn);
bool fp_two_source(CpuState& cpu, uint32_t insn);
bool fp_three_source(CpuState& cpu, uint32_t insn);
bool fp_compare(CpuState& cpu, uint32_t insn);
bool fp_conditional_compare(CpuState& cpu, uint32_t insn);
bool fp_conditional_select(CpuState& cpu, uint32_t insn);
bool fp_immediate(CpuState& cpu, uint32_t insn);

}  // namespace adyton::engine::interp
