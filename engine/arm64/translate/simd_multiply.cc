// Advanced SIMD "three different" (operands and result of different widths) and "by element".
#include "engine/arm64/translate/translator.h"

namespace adyton::engine::arm64 {

using ir::Opcode;

void Translator::multiply_long(uint32_t insn, unsigned log2, bool is_unsigned, bool doubling, unsigned operation, Value n,
                               Value m) {
  const unsigned d = bits(insn, 4, 0), wide = log2 + 1, bytes = simd_is_scalar(insn) ? 1u << wide : 16;
  const bool high = bit(insn, 30) && !simd_is_scalar(insn);
  Value v = vec(is_unsigned ? Opcode::kVecMulLongU : Opcode::kVecMulLongS, log2, n, m, ir::kNoValue, high);
  if (doubling) {
    v = vec_saturating_add(false, false, wide, v, v, bytes);
    if (operation) v = vec_saturating_add(operation == 2, false, wide, b_.get_vec(d), v, bytes);
  } else if (operation) {
    v = vec(operation == 2 ? Opcode::kVecSub : Opcode::kVecAdd, wide, b_.get_vec(d), v);
  }
  b_.set_vec(d, vec_low(v, bytes));
}

Translator::Flow Translator::simd_three_different(uint32_t insn) {
  const unsigned opcode = bits(insn, 15, 12), log2 = bits(insn, 23, 22), d = bits(insn, 4, 0);
  const bool scalar = simd_is_scalar(insn), q = bit(insn, 30), u = bit(insn, 29);
  const Value n = b_.get_vec(bits(insn, 9, 5)), m = b_.get_vec(bits(insn, 20, 16));
  if (opcode == 0b1110) {  // PMULL
    if (scalar || u || (log2 != 0 && log2 != 3)) return Flow::kInterpretExit;
    if (log2 == 0) {
      const auto half = [&](Value v) { return q ? vec_imm(Opcode::kVecShiftBytesRight, 0, v, 8) : v; };
      b_.set_vec(d, vec_polynomial_product(half(n), half(m), true));
    } else {
      b_.set_vec(d, vec(Opcode::kVecCarrylessMul64, 3, n, m, ir::kNoValue, q));
    }
    return Flow::kNext;
  }
  const bool doubling = (opcode & 0b1001) == 0b1001;
  if (log2 == 3 || opcode == 0b1111 || (doubling ? u || log2 == 0 : scalar)) return Flow::kInterpretExit;
  const unsigned wide = log2 + 1;
  const auto widen = [&](Value v) { return vec_widen(u, q, log2, v); };
  Value v;
  switch (opcode) {
    case 0b0000: v = vec(Opcode::kVecAdd, wide, widen(n), widen(m)); break;
    case 0b0001: v = vec(Opcode::kVecAdd, wide, n, widen(m)); break;
    case 0b0010: v = vec(Opcode::kVecSub, wide, widen(n), widen(m)); break;
    case 0b0011: v = vec(Opcode::kVecSub, wide, n, widen(m)); break;
    case 0b0100:
    case 0b0110: {  // [R]ADDHN, [R]SUBHN
      v = vec(opcode == 0b0110 ? Opcode::kVecSub : Opcode::kVecAdd, wide, n, m);
      if (u) v = vec(Opcode::kVecAdd, wide, v, vec_constant(wide, uint64_t{1} << ((8u << log2) - 1)));
      set_narrow(insn, log2, vec(Opcode::kVecNarrow, log2, vec_imm(Opcode::kVecShrImm, wide, v, 8u << log2)));
      return Flow::kNext;
    }
    case 0b0101:
    case 0b0111: {  // ABAL, ABDL: the difference's magnitude fits as an unsigned number
      v = vec_widen(true, q, log2, vec_absolute_difference(u, log2, n, m));
      if (opcode == 0b0101) v = vec(Opcode::kVecAdd, wide, b_.get_vec(d), v);
      break;
    }
    case 0b1000: multiply_long(insn, log2, u, false, 1, n, m); return Flow::kNext;
    case 0b1010: multiply_long(insn, log2, u, false, 2, n, m); return Flow::kNext;
    case 0b1100: multiply_long(insn, log2, u, false, 0, n, m); return Flow::kNext;
    case 0b1001: multiply_long(insn, log2, false, true, 1, n, m); return Flow::kNext;
    case 0b1011: multiply_long(insn, log2, false, true, 2, n, m); return Flow::kNext;
    default: multiply_long(insn, log2, false, true, 0, n, m); return Flow::kNext;
  }
  b_.set_vec(d, v);
  return Flow::kNext;
}

Translator::Flow Translator::simd_by_element(uint32_t insn) {
  const unsigned opcode = bits(insn, 15, 12), log2 = bits(insn, 23, 22), d = bits(insn, 4, 0);
  const bool scalar = simd_is_scalar(insn), u = bit(insn, 29);
  if (opcode == 0b1001 || (!u && (opcode == 0b0001 || opcode == 0b0101)) || (u && (opcode & 0b1001) == 0b0001))
    return vector_fp_by_element(insn);
  if (log2 != 1 && log2 != 2) return Flow::kInterpretExit;
  // H:L:M with a 4-bit register for halfwords, H:L with a 5-bit register for words.
  const unsigned h = bit(insn, 11), l = bit(insn, 21);
  const unsigned index = log2 == 1 ? h << 2 | l << 1 | bit(insn, 20) : h << 1 | l;
  const Value n = b_.get_vec(bits(insn, 9, 5));
  const auto element = [&] {
    return vec_imm(Opcode::kVecBroadcastElement, log2, b_.get_vec(bits(insn, log2 == 1 ? 19 : 20, 16)), index);
  };
  const unsigned bytes = simd_bytes(insn, log2), selector = (u ? 0x10 : 0) | opcode;
  switch (selector) {
    case 0x02:
    case 0x12:
    case 0x06:
    case 0x16:
    case 0x0a:
    case 0x1a:  // SMLAL, SMLSL, SMULL and unsigned
      if (scalar) return Flow::kInterpretExit;
      multiply_long(insn, log2, u, false, opcode == 0b1010 ? 0 : opcode == 0b0010 ? 1 : 2, n, element());
      return Flow::kNext;
    case 0x03:
    case 0x07:
    case 0x0b:  // SQDMLAL, SQDMLSL, SQDMULL
      multiply_long(insn, log2, false, true, opcode == 0b1011 ? 0 : opcode == 0b0011 ? 1 : 2, n, element());
      return Flow::kNext;
    case 0x08:
    case 0x10:
    case 0x14: {  // MUL, MLA, MLS
      if (scalar) return Flow::kInterpretExit;
      Value v = vec(Opcode::kVecMul, log2, n, element());
      if (u) v = vec(opcode == 0b0100 ? Opcode::kVecSub : Opcode::kVecAdd, log2, b_.get_vec(d), v);
      set_simd(insn, log2, v);
      return Flow::kNext;
    }
    case 0x0c:
    case 0x0d:  // SQDMULH, SQRDMULH
      set_simd(insn, log2, vec_doubling_multiply_high(opcode & 1, log2, n, element(), bytes));
      return Flow::kNext;
    case 0x0e:
    case 0x1e:  // SDOT, UDOT
      if (scalar || log2 != 2) return Flow::kInterpretExit;
      set_simd(insn, 2, vec_dot(u, b_.get_vec(d), n, element()));
      return Flow::kNext;
    case 0x1d:
    case 0x1f:  // SQRDMLAH, SQRDMLSH
      set_simd(insn, log2, vec_rounding_doubling_accumulate(opcode == 0b1111, log2, b_.get_vec(d), n, element(), bytes));
      return Flow::kNext;
    default: return Flow::kInterpretExit;
  }
}

}  // namespace adyton::engine::arm64
