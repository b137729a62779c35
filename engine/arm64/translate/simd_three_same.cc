// Advanced SIMD "three same" and "three same extra": three operands of one shape.
#include "engine/arm64/translate/translator.h"

namespace adyton::engine::arm64 {

using ir::Opcode;

Translator::Flow Translator::simd_logical(uint32_t insn) {
  const unsigned d = bits(insn, 4, 0), n = bits(insn, 9, 5), m = bits(insn, 20, 16);
  const unsigned operation = (bit(insn, 29) ? 4 : 0) | bits(insn, 23, 22);
  const Value a = b_.get_vec(n), b = b_.get_vec(m);
  Value v;
  switch (operation) {
    case 0: v = a == b ? a : vec(Opcode::kVecAnd, 4, a, b); break;
    case 1: v = vec(Opcode::kVecAndNot, 4, a, b); break;
    case 2: v = a == b ? a : vec(Opcode::kVecOr, 4, a, b); break;  // MOV
    case 3: v = vec(Opcode::kVecOrNot, 4, a, b); break;
    case 4: v = a == b ? vec_zero() : vec(Opcode::kVecXor, 4, a, b); break;
    case 5: v = vec(Opcode::kVecSelect, 4, b_.get_vec(d), a, b); break;   // BSL
    case 6: v = vec(Opcode::kVecSelect, 4, b, a, b_.get_vec(d)); break;   // BIT
    default: v = vec(Opcode::kVecSelect, 4, b, b_.get_vec(d), a); break;  // BIF
  }
  set_simd(insn, 3, v);
  return Flow::kNext;
}

Translator::Flow Translator::simd_three_same(uint32_t insn) {
  const unsigned opcode = bits(insn, 15, 11), log2 = bits(insn, 23, 22);
  const bool scalar = simd_is_scalar(insn), q = bit(insn, 30), u = bit(insn, 29);
  if (opcode == 0b00011) return scalar ? Flow::kInterpretExit : simd_logical(insn);
  if (opcode >= 0b11000) return vector_fp_three_same(insn);
  if (!scalar && log2 == 3 && !q) return Flow::kInterpretExit;
  const bool saturating = opcode == 0b00001 || opcode == 0b00101 || opcode == 0b01001 || opcode == 0b01011 || opcode == 0b10110;
  if (scalar && log2 != 3 && !saturating) return Flow::kInterpretExit;

  const Value a = b_.get_vec(bits(insn, 9, 5)), b = b_.get_vec(bits(insn, 20, 16));
  const unsigned bytes = simd_bytes(insn, log2);
  const auto accumulator = [&] { return b_.get_vec(bits(insn, 4, 0)); };
  // Of pairs: the operands' even and odd elements.
  const auto pairwise = [&](Opcode op) {
    const Value low = q ? a : vec_join(a, b), high = q ? b : low;
    return vec(op, log2, vec(Opcode::kVecUnzipEven, log2, low, high), vec(Opcode::kVecUnzipOdd, log2, low, high));
  };
  Value v;
  switch (opcode) {
    case 0b00001: v = vec_saturating_add(false, u, log2, a, b, bytes); break;
    case 0b00101: v = vec_saturating_add(true, u, log2, a, b, bytes); break;
    case 0b00110: v = vec(u ? Opcode::kVecCmpGtU : Opcode::kVecCmpGtS, log2, a, b); break;
    case 0b00111: v = vec(u ? Opcode::kVecCmpGeU : Opcode::kVecCmpGeS, log2, a, b); break;
    case 0b01000: v = vec_shift_variable(u, log2, a, b); break;
    case 0b01001:    // SQSHL, UQSHL
    case 0b01010:    // SRSHL, URSHL
    case 0b01011: {  // SQRSHL, UQRSHL
      v = vec_shift_variable(u, log2, a, b);
      if (opcode & 2) {
        // Rounding, of shifts to the right: the last bit shifted out is added.
        const Value last = vec_shift_variable(u, log2, a, vec(Opcode::kVecAdd, log2, b, vec_constant(log2, 1)));
        const unsigned unused = (8u << log2) - 8;  // the amount is the signed low byte
        const Value amount = unused ? vec_imm(Opcode::kVecShlImm, log2, b, unused) : b;
        const Value to_right = vec(Opcode::kVecCmpGtS, log2, vec_zero(), amount);
        const Value carry = vec(Opcode::kVecAnd, 4, vec(Opcode::kVecAnd, 4, last, vec_constant(log2, 1)), to_right);
        v = vec(Opcode::kVecAdd, log2, v, carry);
      }
      if (opcode & 1) {
        // Saturation, of shifts to the left: when shifting back gives something else.
        const unsigned width = 8u << log2;
        const Value amount = width > 8 ? vec_imm(Opcode::kVecShlImm, log2, b, width - 8) : b;
        const Value to_left = vec(Opcode::kVecCmpGtS, log2, amount, vec_zero());
        const Value shifted = vec_shift_variable(u, log2, a, b);
        const Value back = vec_shift_variable(u, log2, shifted, vec(Opcode::kVecNeg, log2, b));
        const Value same = vec(Opcode::kVecCmpEq, log2, back, a);
        const Value saturates = vec(Opcode::kVecAndNot, 4, to_left, same);
        if (u) {
          v = vec(Opcode::kVecOr, 4, v, saturates);
        } else {
          const Value limit = vec(Opcode::kVecXor, 4, vec_imm(Opcode::kVecSarImm, log2, a, width - 1),
                                  vec_constant(log2, (uint64_t{1} << (width - 1)) - 1));
          v = vec(Opcode::kVecBlend, 4, saturates, limit, v);
        }
        mark_saturation(bytes, saturates, vec_zero());
      }
      break;
    }
    case 0b10000: v = vec(u ? Opcode::kVecSub : Opcode::kVecAdd, log2, a, b); break;
    case 0b10001:
      if (u) {
        v = vec(Opcode::kVecCmpEq, log2, a, b);
      } else if (a == b) {
        v = vec(Opcode::kVecNot, 4, vec(Opcode::kVecCmpEq, log2, a, vec_zero()));
      } else {
        v = vec(Opcode::kVecTest, log2, a, b);
      }
      break;
    case 0b10110:
      if (log2 == 0 || log2 == 3) return Flow::kInterpretExit;
      v = vec_doubling_multiply_high(u, log2, a, b, bytes);
      break;
    case 0b10111:
      if (u || scalar) return Flow::kInterpretExit;
      if (q) {
        v = vec(Opcode::kVecPairAdd, log2, a, b);
      } else {
        const Value joined = vec_join(a, b);
        v = vec(Opcode::kVecPairAdd, log2, joined, joined);
      }
      break;
    default:
      if (log2 == 3) return Flow::kInterpretExit;
      switch (opcode) {
        // Halving: the carry-free sum and the carries, a + b = (a ^ b) + 2 (a & b) = 2 (a | b) - (a ^ b).
        case 0b00000:
          v = vec(Opcode::kVecAdd, log2, vec(Opcode::kVecAnd, 4, a, b),
                  vec_shift_right(u, log2, vec(Opcode::kVecXor, 4, a, b), 1));
          break;
        case 0b00010:
          if (u && log2 < 2)
            v = vec(Opcode::kVecAverageU, log2, a, b);
          else
            v = vec(Opcode::kVecSub, log2, vec(Opcode::kVecOr, 4, a, b),
                    vec_shift_right(u, log2, vec(Opcode::kVecXor, 4, a, b), 1));
          break;
        case 0b00100:
          v = vec(Opcode::kVecSub, log2, vec_shift_right(u, log2, vec(Opcode::kVecXor, 4, a, b), 1),
                  vec(Opcode::kVecAndNot, 4, b, a));
          break;
        case 0b01100: v = vec(u ? Opcode::kVecMaxU : Opcode::kVecMaxS, log2, a, b); break;
        case 0b01101: v = vec(u ? Opcode::kVecMinU : Opcode::kVecMinS, log2, a, b); break;
        case 0b01110: v = vec_absolute_difference(u, log2, a, b); break;
        case 0b01111: v = vec(Opcode::kVecAdd, log2, accumulator(), vec_absolute_difference(u, log2, a, b)); break;
        case 0b10010:
          v = vec(u ? Opcode::kVecSub : Opcode::kVecAdd, log2, accumulator(), vec(Opcode::kVecMul, log2, a, b));
          break;
        case 0b10011:
          if (u && log2) return Flow::kInterpretExit;
          v = u ? vec_polynomial_product(a, b, false) : vec(Opcode::kVecMul, log2, a, b);
          break;
        case 0b10100: v = pairwise(u ? Opcode::kVecMaxU : Opcode::kVecMaxS); break;
        case 0b10101: v = pairwise(u ? Opcode::kVecMinU : Opcode::kVecMinS); break;
        default: return Flow::kInterpretExit;
      }
  }
  set_simd(insn, log2, v);
  return Flow::kNext;
}

Translator::Flow Translator::simd_three_same_extra(uint32_t insn) {
  const unsigned opcode = bits(insn, 14, 11);
  if (opcode >= 8) return simd_is_scalar(insn) ? Flow::kInterpretExit : vector_fp_three_same_extra(insn);
  const unsigned log2 = bits(insn, 23, 22);
  const bool u = bit(insn, 29);
  const Value d = b_.get_vec(bits(insn, 4, 0)), n = b_.get_vec(bits(insn, 9, 5)), m = b_.get_vec(bits(insn, 20, 16));
  if (opcode <= 1) {  // SQRDMLAH, SQRDMLSH
    if (!u || log2 == 0 || log2 == 3) return Flow::kInterpretExit;
    set_simd(insn, log2, vec_rounding_doubling_accumulate(opcode == 1, log2, d, n, m, simd_bytes(insn, log2)));
    return Flow::kNext;
  }
  if (opcode != 2 || simd_is_scalar(insn) || log2 != 2) return Flow::kInterpretExit;
  set_simd(insn, 2, vec_dot(u, d, n, m));
  return Flow::kNext;
}

}  // namespace adyton::engine::arm64
