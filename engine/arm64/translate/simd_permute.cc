// Advanced SIMD instructions that move elements about or fold them: copy, permute, extract, table lookup, across lanes.
#include <bit>

#include "engine/arm64/translate/translator.h"

namespace adyton::engine::arm64 {

using ir::Opcode;

Translator::Flow Translator::simd_copy(uint32_t insn) {
  // imm5: the lowest set bit tells the size, the bits above it the index.
  const unsigned imm5 = bits(insn, 20, 16), imm4 = bits(insn, 14, 11), d = bits(insn, 4, 0), n = bits(insn, 9, 5);
  const auto log2 = static_cast<unsigned>(std::countr_zero(imm5 | 16));
  const unsigned index = imm5 >> (log2 + 1);
  const bool q = bit(insn, 30), u = bit(insn, 29);
  if (log2 > 3) return Flow::kInterpretExit;
  const auto bytes = static_cast<uint8_t>(1u << log2);
  if (simd_is_scalar(insn)) {  // DUP (element)
    if (u || imm4) return Flow::kInterpretExit;
    const Value a = b_.get_vec(n);
    b_.set_vec(d, vec_low(index ? vec_imm(Opcode::kVecShiftBytesRight, 0, a, index * bytes) : a, bytes));
    return Flow::kNext;
  }
  if (u) {  // INS (element)
    if (!q) return Flow::kInterpretExit;
    b_.set_vec(d, vec(Opcode::kVecInsertElement, log2, b_.get_vec(d), b_.get_vec(n), ir::kNoValue, index | (imm4 >> log2) << 8));
    return Flow::kNext;
  }
  switch (imm4) {
    case 0b0000:
    case 0b0001:  // DUP
      if (log2 == 3 && !q) return Flow::kInterpretExit;
      b_.set_vec(d, vec_low(imm4 ? vec(Opcode::kVecBroadcastInt, log2, reg(n))
                                 : vec_imm(Opcode::kVecBroadcastElement, log2, b_.get_vec(n), index),
                            q ? 16 : 8));
      return Flow::kNext;
    case 0b0011:  // INS (general)
      if (!q) return Flow::kInterpretExit;
      b_.set_vec(d, vec(Opcode::kVecInsert, log2, b_.get_vec(d), reg(n), ir::kNoValue, index));
      return Flow::kNext;
    case 0b0101:  // SMOV
      if (log2 > (q ? 2u : 1u)) return Flow::kInterpretExit;
      set_reg(d, b_.emit(Opcode::kVecToIntSigned, q ? Type::kI64 : Type::kI32, bytes, index, b_.get_vec(n)));
      return Flow::kNext;
    case 0b0111:  // UMOV
      if (q != (log2 == 3)) return Flow::kInterpretExit;
      set_reg(d, b_.emit(Opcode::kVecToInt, Type::kI64, bytes, index,
                         index ? b_.get_vec(n) : vec_before_zeroing(b_.get_vec(n), bytes)));
      return Flow::kNext;
    default: return Flow::kInterpretExit;
  }
}

Translator::Flow Translator::simd_permute(uint32_t insn) {
  const unsigned log2 = bits(insn, 23, 22);
  const bool q = bit(insn, 30), second = bit(insn, 14);
  if (log2 == 3 && !q) return Flow::kInterpretExit;
  const Value a = b_.get_vec(bits(insn, 9, 5)), b = b_.get_vec(bits(insn, 20, 16));
  Value v;
  switch (bits(insn, 13, 12)) {
    case 0b01: {  // UZP
      const Value low = q ? a : vec_join(a, b), high = q ? b : low;
      v = vec(second ? Opcode::kVecUnzipOdd : Opcode::kVecUnzipEven, log2, low, high);
      break;
    }
    case 0b10: v = vec(second ? Opcode::kVecTransposeOdd : Opcode::kVecTransposeEven, log2, a, b); break;  // TRN
    case 0b11:                                                                                             // ZIP
      if (q) {
        v = vec(second ? Opcode::kVecZipHigh : Opcode::kVecZipLow, log2, a, b);
      } else {
        v = vec(Opcode::kVecZipLow, log2, a, b);
        if (second) v = vec_imm(Opcode::kVecShiftBytesRight, 0, v, 8);
      }
      break;
    default: return Flow::kInterpretExit;
  }
  set_simd(insn, log2, v);
  return Flow::kNext;
}

Translator::Flow Translator::simd_extract(uint32_t insn) {
  const unsigned position = bits(insn, 14, 11);
  const bool q = bit(insn, 30);
  if (!q && position >= 8) return Flow::kInterpretExit;
  const Value a = b_.get_vec(bits(insn, 9, 5)), b = b_.get_vec(bits(insn, 20, 16));
  Value v = a;
  if (position) {
    v = q ? vec(Opcode::kVecExtractBytes, 0, a, b, ir::kNoValue, position)
          : vec_imm(Opcode::kVecShiftBytesRight, 0, vec_join(a, b), position);
  }
  set_simd(insn, 0, v);
  return Flow::kNext;
}

// TBL, TBX: one register at a time; indices outside its sixteen bytes give zero.
Translator::Flow Translator::simd_table(uint32_t insn) {
  if (bits(insn, 23, 22)) return Flow::kInterpretExit;
  const unsigned count = bits(insn, 14, 13) + 1, n = bits(insn, 9, 5);
  const Value indices = b_.get_vec(bits(insn, 20, 16));
  Value v = vec(Opcode::kVecTable1, 0, b_.get_vec(n), indices);
  for (unsigned i = 1; i < count; ++i) {
    const Value moved = vec(Opcode::kVecSub, 0, indices, vec_constant(0, 16 * i));
    v = vec(Opcode::kVecOr, 4, v, vec(Opcode::kVecTable1, 0, b_.get_vec((n + i) % 32), moved));
  }
  if (bit(insn, 12)) {
    const Value outside = vec(Opcode::kVecCmpGeU, 0, indices, vec_constant(0, 16 * count));
    v = vec(Opcode::kVecOr, 4, v, vec(Opcode::kVecAnd, 4, b_.get_vec(bits(insn, 4, 0)), outside));
  }
  set_simd(insn, 0, v);
  return Flow::kNext;
}

Translator::Flow Translator::simd_across_lanes(uint32_t insn) {
  const unsigned opcode = bits(insn, 16, 12), log2 = bits(insn, 23, 22), d = bits(insn, 4, 0);
  const bool q = bit(insn, 30), u = bit(insn, 29);
  if (opcode == 0b01100 || opcode == 0b01111) return vector_fp_across_lanes(insn);
  if (log2 == 3 || (log2 == 2 && !q)) return Flow::kInterpretExit;
  const Value a = b_.get_vec(bits(insn, 9, 5));
  const unsigned bytes = q ? 16 : 8;
  switch (opcode) {
    case 0b00011: {  // SADDLV, UADDLV
      Value v;
      if (log2 == 0 && u) {
        v = vec_sum_elements(3, vec(Opcode::kVecSumBytes, 0, a), bytes);
      } else {
        v = vec_sum_elements(log2 + 1, vec(u ? Opcode::kVecPairAddLongU : Opcode::kVecPairAddLongS, log2, a), bytes);
      }
      b_.set_vec(d, vec_low(v, 2u << log2));
      return Flow::kNext;
    }
    case 0b01010:
    case 0b11010: {  // SMAXV, UMAXV, SMINV, UMINV
      const Opcode op = opcode == 0b01010 ? (u ? Opcode::kVecReduceMaxU : Opcode::kVecReduceMaxS)
                                          : (u ? Opcode::kVecReduceMinU : Opcode::kVecReduceMinS);
      b_.set_vec(d, vec_low(vec(op, log2, q ? a : vec_join(a, a)), 1u << log2));
      return Flow::kNext;
    }
    case 0b11011: {  // ADDV
      if (u) return Flow::kInterpretExit;
      const Value v = log2 == 0 ? vec_sum_elements(3, vec(Opcode::kVecSumBytes, 0, a), bytes) : vec_sum_elements(log2, a, bytes);
      b_.set_vec(d, vec_low(v, 1u << log2));
      return Flow::kNext;
    }
    default: return Flow::kInterpretExit;
  }
}

Translator::Flow Translator::simd_pairwise_scalar(uint32_t insn) {
  if (bit(insn, 29) || bits(insn, 16, 12) != 0b11011) return vector_fp_pairwise_scalar(insn);
  if (bits(insn, 23, 22) != 3) return Flow::kInterpretExit;
  set_simd(insn, 3, vec_sum_elements(3, b_.get_vec(bits(insn, 9, 5)), 16));  // ADDP
  return Flow::kNext;
}

}  // namespace adyton::engine::arm64
