// Advanced SIMD "modified immediate" and "shift by immediate".
#include <bit>

#include "engine/arm64/translate/translator.h"

namespace adyton::engine::arm64 {

using ir::Opcode;

namespace {

// AdvSIMDExpandImm and VFPExpandImm (Arm ARM J1.1).
uint64_t expand_immediate(bool op, unsigned cmode, uint64_t imm8) {
  const auto twice = [](uint64_t word) { return word | word << 32; };
  if (cmode < 8) return twice(imm8 << (8 * (cmode >> 1)));
  if (cmode < 12) return twice((imm8 | imm8 << 16) << (cmode & 2 ? 8 : 0));
  if (cmode < 14) return twice(cmode & 1 ? imm8 << 16 | 0xffff : imm8 << 8 | 0xff);
  if (cmode == 14) {
    uint64_t value = 0;
    if (!op) return imm8 * 0x0101'0101'0101'0101u;
    for (unsigned i = 0; i < 8; ++i) value |= imm8 >> i & 1 ? uint64_t{0xff} << (8 * i) : 0;
    return value;
  }
  const uint64_t sign = imm8 >> 7, exponent_high = imm8 >> 6 & 1, low = imm8 & 0x3f;
  if (op) return sign << 63 | (exponent_high ? 0x3fc0ull : 0x4000ull) << 48 | low << 48;
  return twice(sign << 31 | (exponent_high ? 0x3e00'0000u : 0x4000'0000u) | low << 19);
}

}  // namespace

Translator::Flow Translator::simd_modified_immediate(uint32_t insn) {
  const bool q = bit(insn, 30), op = bit(insn, 29);
  const unsigned cmode = bits(insn, 15, 12), d = bits(insn, 4, 0);
  if (bit(insn, 11) || (cmode == 15 && op && !q)) return Flow::kInterpretExit;
  uint64_t value = expand_immediate(op, cmode, bits(insn, 18, 16) << 5 | bits(insn, 9, 5));
  if (cmode < 12 && (cmode & 1)) {
    const Value constant = vec_constant(3, value);
    b_.set_vec(d, vec_low(vec(op ? Opcode::kVecAndNot : Opcode::kVecOr, 4, b_.get_vec(d), constant), q ? 16 : 8));
    return Flow::kNext;
  }
  if (op && cmode < 14) value = ~value;
  if (q || value == 0)
    b_.set_vec(d, vec_constant(3, value));
  else
    b_.set_vec(d, b_.emit(Opcode::kVecFromInt, Type::kV128, 8, 0, b_.constant(value)));
  return Flow::kNext;
}

Translator::Flow Translator::simd_shift_immediate(uint32_t insn) {
  const unsigned opcode = bits(insn, 15, 11), immediate = bits(insn, 22, 16);
  if (opcode >= 0b11100) return vector_fp_shift_imm(insn);
  const bool scalar = simd_is_scalar(insn), q = bit(insn, 30), u = bit(insn, 29);
  const auto log2 = static_cast<unsigned>(std::bit_width(immediate >> 3)) - 1;  // of the narrower operand
  const unsigned width = 8u << log2, right = 2 * width - immediate, left = immediate - width, bytes = simd_bytes(insn, log2);
  const uint64_t ones = ~uint64_t{0} >> (64 - width);
  const unsigned d = bits(insn, 4, 0);
  const Value a = b_.get_vec(bits(insn, 9, 5));

  if (opcode >= 0b10000 && opcode <= 0b10011) {  // [S|U]Q[R]SHR[U]N
    const bool keeps_sign = opcode & 2, rounds = opcode & 1, saturates = keeps_sign || u, unsigned_source = u && keeps_sign;
    if (log2 == 3 || (scalar && !saturates)) return Flow::kInterpretExit;
    const Value source = scalar ? vec_low(a, 2u << log2) : a;
    if (saturates) {
      const Value shifted = rounds ? vec_rounding_shift_right(unsigned_source, log2 + 1, source, right)
                                   : vec_shift_right(unsigned_source, log2 + 1, source, right);
      set_narrow(insn, log2, vec_saturating_narrow(unsigned_source, u, log2, shifted));
    } else {
      Value sum = source;
      if (rounds) sum = vec(Opcode::kVecAdd, log2 + 1, source, vec_constant(log2 + 1, uint64_t{1} << (right - 1)));
      set_narrow(insn, log2, vec(Opcode::kVecNarrow, log2, vec_imm(Opcode::kVecShrImm, log2 + 1, sum, right)));
    }
    return Flow::kNext;
  }
  if (opcode == 0b10100) {  // SSHLL, USHLL
    if (scalar || log2 == 3) return Flow::kInterpretExit;
    Value v = vec_widen(u, q, log2, a);
    if (left) v = vec_imm(Opcode::kVecShlImm, log2 + 1, v, left);
    b_.set_vec(d, v);
    return Flow::kNext;
  }
  if (!scalar && log2 == 3 && !q) return Flow::kInterpretExit;
  Value v;
  switch (opcode) {
    case 0b00000:
    case 0b00010:
    case 0b00100:
    case 0b00110:  // [S|U][R]SHR, [S|U][R]SRA
      if (scalar && log2 != 3) return Flow::kInterpretExit;
      v = opcode & 4 ? vec_rounding_shift_right(u, log2, a, right) : vec_shift_right(u, log2, a, right);
      if (opcode & 2) v = vec(Opcode::kVecAdd, log2, b_.get_vec(d), v);
      break;
    case 0b01000: {  // SRI
      if (!u || (scalar && log2 != 3)) return Flow::kInterpretExit;
      const uint64_t taken = right == width ? 0 : ones >> right;
      v = vec(Opcode::kVecOr, 4, vec(Opcode::kVecAnd, 4, b_.get_vec(d), vec_constant(log2, ~taken)),
              vec_imm(Opcode::kVecShrImm, log2, a, right));
      break;
    }
    case 0b01010:  // SHL, SLI
      if (scalar && log2 != 3) return Flow::kInterpretExit;
      v = left ? vec_imm(Opcode::kVecShlImm, log2, a, left) : a;
      if (u)
        v = left ? vec(Opcode::kVecOr, 4, vec(Opcode::kVecAnd, 4, b_.get_vec(d), vec_constant(log2, ~(ones << left))), v) : a;
      break;
    case 0b01100:
    case 0b01110: {  // SQSHLU, SQSHL, UQSHL
      const bool unsigned_source = u && opcode == 0b01110;
      if (!u && opcode == 0b01100) return Flow::kInterpretExit;
      const Value sign = unsigned_source ? ir::kNoValue : vec_imm(Opcode::kVecSarImm, log2, a, width - 1);
      const Value source = u && !unsigned_source ? vec(Opcode::kVecAndNot, 4, a, sign) : a;  // negative numbers become zero
      const Value shifted = vec_imm(Opcode::kVecShlImm, log2, source, left);
      const Value back = left ? vec_shift_right(u, log2, shifted, left) : source;
      const Value fits = vec(Opcode::kVecCmpEq, log2, back, source);
      if (u) {
        v = vec(Opcode::kVecOrNot, 4, shifted, fits);
      } else {
        v = vec(Opcode::kVecBlend, 4, fits, shifted, vec(Opcode::kVecXor, 4, sign, vec_constant(log2, ones >> 1)));
      }
      mark_saturation(bytes, back, a);
      break;
    }
    default: return Flow::kInterpretExit;
  }
  set_simd(insn, log2, v);
  return Flow::kNext;
}

}  // namespace adyton::engine::arm64
