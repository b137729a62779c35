// Advanced SIMD "two-register miscellaneous".
#include "engine/arm64/translate/translator.h"

namespace adyton::engine::arm64 {

using ir::Opcode;

Translator::Flow Translator::simd_two_reg_misc(uint32_t insn) {
  const unsigned opcode = bits(insn, 16, 12), log2 = bits(insn, 23, 22);
  if ((opcode >= 0b01100 && opcode <= 0b01111) || opcode >= 0b10110) return vector_fp_two_reg_misc(insn);
  const bool scalar = simd_is_scalar(insn), q = bit(insn, 30), u = bit(insn, 29);
  const unsigned width = 8u << log2, bytes = simd_bytes(insn, log2);
  const Value a = b_.get_vec(bits(insn, 9, 5));

  // Narrowing and widening, and what works on other elements than `size` says.
  switch (opcode) {
    case 0b10010:
    case 0b10100: {
      const bool saturates = opcode == 0b10100 || u;
      if (log2 == 3 || (scalar && !saturates)) return Flow::kInterpretExit;
      if (!saturates) {
        set_narrow(insn, log2, vec(Opcode::kVecNarrow, log2, a));
      } else {
        const Value source = scalar ? vec_low(a, 2u << log2) : a;
        set_narrow(insn, log2, vec_saturating_narrow(u && opcode == 0b10100, u, log2, source));
      }
      return Flow::kNext;
    }
    case 0b10011:  // SHLL
      if (!u || scalar || log2 == 3) return Flow::kInterpretExit;
      b_.set_vec(bits(insn, 4, 0), vec_imm(Opcode::kVecShlImm, log2 + 1, vec_widen(true, q, log2, a), width));
      return Flow::kNext;
    case 0b00000:
    case 0b00001: {
      const unsigned group = opcode ? 1 : u ? 2 : 3;  // REV16, REV32, REV64
      if (scalar || log2 >= group || (opcode && u)) return Flow::kInterpretExit;
      set_simd(insn, log2, vec_imm(Opcode::kVecReverse, log2, a, 1u << group));
      return Flow::kNext;
    }
    case 0b00010:
    case 0b00110: {
      if (scalar || log2 == 3) return Flow::kInterpretExit;
      Value v = vec(u ? Opcode::kVecPairAddLongU : Opcode::kVecPairAddLongS, log2, a);
      if (opcode == 0b00110) v = vec(Opcode::kVecAdd, log2 + 1, b_.get_vec(bits(insn, 4, 0)), v);
      set_simd(insn, log2, v);
      return Flow::kNext;
    }
    case 0b00101: {
      if (scalar || log2 > 1 || (!u && log2)) return Flow::kInterpretExit;
      set_simd(insn, log2, vec(!u ? Opcode::kVecCountBits : log2 ? Opcode::kVecReverseBits : Opcode::kVecNot, 0, a));
      return Flow::kNext;
    }
    default: break;
  }

  if (!scalar && log2 == 3 && !q) return Flow::kInterpretExit;
  if (scalar && log2 != 3 && opcode != 0b00111 && opcode != 0b00011) return Flow::kInterpretExit;
  Value v;
  switch (opcode) {
    case 0b00111: {
      // SQABS, SQNEG: only the most negative number saturates, and it is what the wrapping operation leaves as it is.
      Value wrapped = vec(u ? Opcode::kVecNeg : Opcode::kVecAbs, log2, a);
      if (u) {
        v = vec(Opcode::kVecSubSatS, log2, vec_zero(), a);
      } else {
        v = vec(Opcode::kVecXor, 4, wrapped, vec_imm(Opcode::kVecSarImm, log2, wrapped, width - 1));
      }
      mark_saturation(bytes, v, wrapped);
      break;
    }
    case 0b01000: v = vec(u ? Opcode::kVecCmpGeS : Opcode::kVecCmpGtS, log2, a, vec_zero()); break;
    case 0b01001: v = u ? vec(Opcode::kVecCmpGeS, log2, vec_zero(), a) : vec(Opcode::kVecCmpEq, log2, a, vec_zero()); break;
    case 0b01010:
      if (u) return Flow::kInterpretExit;
      v = vec(Opcode::kVecCmpGtS, log2, vec_zero(), a);
      break;
    case 0b01011: v = vec(u ? Opcode::kVecNeg : Opcode::kVecAbs, log2, a); break;
    case 0b00011: {
      const Value d = b_.get_vec(bits(insn, 4, 0));
      if (u) {  // USQADD: what is positive of the operand is added, what is negative subtracted
        const Value sign = vec_imm(Opcode::kVecSarImm, log2, a, width - 1);
        v = vec(Opcode::kVecAddSatU, log2, d, vec(Opcode::kVecAndNot, 4, a, sign));
        v = vec(Opcode::kVecSubSatU, log2, v, vec(Opcode::kVecAnd, 4, vec(Opcode::kVecNeg, log2, a), sign));
      } else {  // SUQADD: with an offset that makes the accumulator unsigned
        const Value offset = vec_constant(log2, uint64_t{1} << (width - 1));
        v = vec(Opcode::kVecXor, 4, vec(Opcode::kVecAddSatU, log2, vec(Opcode::kVecXor, 4, d, offset), a), offset);
      }
      mark_saturation(bytes, v, vec(Opcode::kVecAdd, log2, d, a));
      break;
    }
    case 0b00100:  // CLS, CLZ
      if (scalar || log2 == 3) return Flow::kInterpretExit;
      if (u) {
        v = vec_count_leading_zeros(log2, a);
      } else {
        v = vec_count_leading_zeros(log2, vec(Opcode::kVecXor, 4, a, vec_imm(Opcode::kVecSarImm, log2, a, 1)));
        v = vec(Opcode::kVecSub, log2, v, vec_constant(log2, 1));
      }
      break;
    default: return Flow::kInterpretExit;
  }
  set_simd(insn, log2, v);
  return Flow::kNext;
}

}  // namespace adyton::engine::arm64
