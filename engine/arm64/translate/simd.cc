// Advanced SIMD and cryptography: the choice of the class (Arm ARM C4.1.90), and what the classes share.
#include "engine/arm64/translate/translator.h"

namespace adyton::engine::arm64 {

using ir::Opcode;

Translator::Flow Translator::simd(uint32_t insn) {
  // Bit 31 is 0 and bits 27:25 are 111; bit 28 tells scalar forms.
  const bool scalar = simd_is_scalar(insn), u = bit(insn, 29);
  if (!bit(insn, 24)) {
    if (bit(insn, 21)) {
      if (bit(insn, 10)) return simd_three_same(insn);
      if (!bit(insn, 11)) return simd_three_different(insn);
      switch (bits(insn, 20, 17)) {
        case 0b0000: return simd_two_reg_misc(insn);
        case 0b1000: return scalar ? simd_pairwise_scalar(insn) : simd_across_lanes(insn);
        case 0b0100:
          if (u || bits(insn, 23, 22)) return Flow::kInterpretExit;
          if (scalar) return crypto_sha_two(insn);
          return bit(insn, 30) ? crypto_aes(insn) : Flow::kInterpretExit;
        default: return Flow::kInterpretExit;
      }
    }
    if (bit(insn, 15)) return bit(insn, 10) ? simd_three_same_extra(insn) : Flow::kInterpretExit;
    if (bits(insn, 23, 22) && (bit(insn, 10) || u || scalar)) return Flow::kInterpretExit;  // half precision
    if (bit(insn, 10)) return simd_copy(insn);
    if (scalar) return bit(insn, 11) || u ? Flow::kInterpretExit : crypto_sha_three(insn);
    if (u) return simd_extract(insn);
    return bit(insn, 11) ? simd_permute(insn) : simd_table(insn);
  }
  if (!bit(insn, 10)) return simd_by_element(insn);
  if (bit(insn, 23)) return Flow::kInterpretExit;
  if (bits(insn, 22, 19)) return simd_shift_immediate(insn);
  return scalar ? Flow::kInterpretExit : simd_modified_immediate(insn);
}

Translator::Value Translator::vec_constant(unsigned log2, uint64_t element) {
  const unsigned width = 8u << log2;
  if (width < 64) element &= (uint64_t{1} << width) - 1;
  for (unsigned n = width; n < 64; n *= 2) element |= element << n;
  return element ? b_.emit(Opcode::kVecConst, Type::kV128, 0, element) : vec_zero();
}

bool Translator::vec_rest_is_zero(Value v, unsigned bytes, unsigned depth) {
  if (bytes >= 16) return true;
  if (depth == 0) return false;
  const ir::Inst& inst = b_.block()[v];
  const auto known = [&](unsigned n) { return vec_rest_is_zero(inst.args[n], bytes, depth - 1); };
  switch (inst.op) {
    case Opcode::kVecZero: return true;
    case Opcode::kZeroUpper:
    case Opcode::kVecFromInt: return inst.aux <= bytes;
    case Opcode::kLoadVector:
    case Opcode::kLoadVectorPair: return ir::MemoryInfo::unpack(inst.imm).size <= bytes;
    case Opcode::kVectorPairSecond: {
      const ir::Inst& pair = b_.block()[inst.args[0]];
      return pair.op == Opcode::kLoadVectorPair && ir::MemoryInfo::unpack(pair.imm).size <= bytes;
    }
    case Opcode::kVecNarrow:
    case Opcode::kVecNarrowSatS:
    case Opcode::kVecNarrowSatSU:
    case Opcode::kVecNarrowSatU: return bytes >= 8;
    case Opcode::kVecShiftBytesRight: return inst.imm + bytes >= 16;
    case Opcode::kVecAnd: return known(0) || known(1);
    case Opcode::kVecAndNot:
    case Opcode::kVecCountBits:
    case Opcode::kVecReverseBits: return known(0);
    case Opcode::kVecOr:
    case Opcode::kVecXor: return known(0) && known(1);
    // Elements that lie wholly above are zero; those that straddle may carry.
    case Opcode::kVecShlImm:
    case Opcode::kVecShrImm:
    case Opcode::kVecSarImm:
    case Opcode::kVecNeg:
    case Opcode::kVecAbs: return inst.aux <= bytes && known(0);
    case Opcode::kVecAdd:
    case Opcode::kVecSub:
    case Opcode::kVecMul:
    case Opcode::kVecAddSatS:
    case Opcode::kVecAddSatU:
    case Opcode::kVecSubSatS:
    case Opcode::kVecSubSatU:
    case Opcode::kVecMinS:
    case Opcode::kVecMinU:
    case Opcode::kVecMaxS:
    case Opcode::kVecMaxU: return inst.aux <= bytes && known(0) && known(1);
    default: return false;
  }
}

void Translator::set_narrow(uint32_t insn, unsigned log2, Value v) {
  const unsigned d = bits(insn, 4, 0);
  if (simd_is_scalar(insn)) {
    b_.set_vec(d, vec_low(v, 1u << log2));
  } else {
    b_.set_vec(d, bit(insn, 30) ? vec_join(b_.get_vec(d), v) : vec_low(v, 8));
  }
}

void Translator::mark_saturation(unsigned bytes, Value a, Value b) {
  constexpr uint64_t kQc = 1u << 27;
  b_.emit(Opcode::kVecMarkIfDifferent, Type::kVoid, static_cast<uint8_t>(bytes), offsetof(CpuState, fpsr) | kQc << 32, a, b);
}

Translator::Value Translator::vec_shift_right(bool is_unsigned, unsigned log2, Value a, unsigned amount) {
  return vec_imm(is_unsigned ? Opcode::kVecShrImm : Opcode::kVecSarImm, log2, a, amount);
}

// (a + 2^(amount - 1)) >> amount without an intermediate overflow: the last bit shifted out is added.
Translator::Value Translator::vec_rounding_shift_right(bool is_unsigned, unsigned log2, Value a, unsigned amount) {
  const Value last = amount == 1 ? a : vec_imm(Opcode::kVecShrImm, log2, a, amount - 1);
  const Value carry = vec(Opcode::kVecAnd, 4, last, vec_constant(log2, 1));
  return vec(Opcode::kVecAdd, log2, vec_shift_right(is_unsigned, log2, a, amount), carry);
}

Translator::Value Translator::vec_shift_variable(bool is_unsigned, unsigned log2, Value a, Value amounts) {
  const Opcode op = is_unsigned ? Opcode::kVecShiftVarU : Opcode::kVecShiftVarS;
  if (log2) return vec(op, log2, a, amounts);
  // Bytes, as halfwords: the even and the odd ones apart.
  const Value mask = vec_constant(1, 0x00ff);
  Value even;
  if (is_unsigned) {
    even = vec(Opcode::kVecAnd, 4, a, mask);
  } else {
    even = vec_imm(Opcode::kVecSarImm, 1, vec_imm(Opcode::kVecShlImm, 1, a, 8), 8);
  }
  const Value odd = vec_shift_right(is_unsigned, 1, a, 8);
  const Value low = vec(Opcode::kVecAnd, 4, vec(op, 1, even, amounts), mask);
  const Value high = vec_imm(Opcode::kVecShlImm, 1, vec(op, 1, odd, vec_imm(Opcode::kVecShrImm, 1, amounts, 8)), 8);
  return vec(Opcode::kVecOr, 4, low, high);
}

Translator::Value Translator::vec_absolute_difference(bool is_unsigned, unsigned log2, Value a, Value b) {
  return vec(Opcode::kVecSub, log2, vec(is_unsigned ? Opcode::kVecMaxU : Opcode::kVecMaxS, log2, a, b),
             vec(is_unsigned ? Opcode::kVecMinU : Opcode::kVecMinS, log2, a, b));
}

Translator::Value Translator::vec_dot(bool is_unsigned, Value accumulator, Value a, Value b) {
  const auto even = [&](Value v) {
    if (is_unsigned) return vec(Opcode::kVecAnd, 4, v, vec_constant(1, 0x00ff));
    return vec_imm(Opcode::kVecSarImm, 1, vec_imm(Opcode::kVecShlImm, 1, v, 8), 8);
  };
  const auto odd = [&](Value v) { return vec_shift_right(is_unsigned, 1, v, 8); };
  const Value products =
      vec(Opcode::kVecAdd, 2, vec(Opcode::kVecMulAddPairs, 1, even(a), even(b)), vec(Opcode::kVecMulAddPairs, 1, odd(a), odd(b)));
  return vec(Opcode::kVecAdd, 2, accumulator, products);
}

// The sum of all elements in the low `bytes` bytes, in element 0; the rest is unspecified.
Translator::Value Translator::vec_sum_elements(unsigned log2, Value a, unsigned bytes) {
  for (unsigned step = bytes / 2; step >= 1u << log2; step /= 2) {
    a = vec(Opcode::kVecAdd, log2, a, vec_imm(Opcode::kVecShiftBytesRight, 0, a, step));
  }
  return a;
}

Translator::Value Translator::vec_saturating_add(bool subtract, bool is_unsigned, unsigned log2, Value a, Value b,
                                                 unsigned bytes) {
  Opcode op = is_unsigned ? Opcode::kVecAddSatU : Opcode::kVecAddSatS;
  if (subtract) op = is_unsigned ? Opcode::kVecSubSatU : Opcode::kVecSubSatS;
  const Value v = vec(op, log2, a, b);
  mark_saturation(bytes, v, vec(subtract ? Opcode::kVecSub : Opcode::kVecAdd, log2, a, b));
  return v;
}

// SQDMULH, SQRDMULH: only the square of the most negative number saturates.
Translator::Value Translator::vec_doubling_multiply_high(bool rounds, unsigned log2, Value a, Value b, unsigned bytes) {
  const Value wrapped = vec(Opcode::kVecMulDoubledHigh, log2, a, b, ir::kNoValue, rounds);
  const Value saturates = vec(Opcode::kVecCmpEq, log2, wrapped, vec_constant(log2, uint64_t{1} << ((8u << log2) - 1)));
  const Value v = vec(Opcode::kVecXor, 4, wrapped, saturates);
  mark_saturation(bytes, v, wrapped);
  return v;
}

// SQRDMLAH, SQRDMLSH: (accumulator << width) + 2ab + half >> width, saturated; here all halved, which fits twice the width.
Translator::Value Translator::vec_rounding_doubling_accumulate(bool subtract, unsigned log2, Value accumulator, Value a, Value b,
                                                               unsigned bytes) {
  const unsigned width = 8u << log2, wide = log2 + 1;
  Value halves[2] = {};
  for (unsigned high = 0; high < (bytes == 16 ? 2u : 1u); ++high) {
    const Value product = vec(Opcode::kVecMulLongS, log2, a, b, ir::kNoValue, high);
    Value sum = vec_imm(Opcode::kVecShlImm, wide, vec_widen(false, high, log2, accumulator), width - 1);
    sum = vec(Opcode::kVecAdd, wide, sum, vec_constant(wide, uint64_t{1} << (width - 2)));
    sum = vec(subtract ? Opcode::kVecSub : Opcode::kVecAdd, wide, sum, product);
    sum = vec_imm(Opcode::kVecSarImm, wide, sum, width - 1);
    halves[high] = vec(Opcode::kVecNarrowSatS, log2, sum);
    mark_saturation(bytes == 16 ? 16 : 2 * bytes, vec_widen(false, false, log2, halves[high]), sum);
  }
  return bytes == 16 ? vec_join(halves[0], halves[1]) : halves[0];
}

// One bit of b after the other: a, shifted, where it is set.
Translator::Value Translator::vec_polynomial_product(Value a, Value b, bool widening) {
  const unsigned log2 = widening ? 1 : 0;
  if (widening) {
    a = vec(Opcode::kVecWidenLowU, 0, a);
    b = vec(Opcode::kVecWidenLowU, 0, b);
  }
  Value product = ir::kNoValue;
  for (unsigned i = 0; i < 8; ++i) {
    const Value mask = vec_constant(log2, uint64_t{1} << i);
    const Value set = vec(Opcode::kVecCmpEq, log2, vec(Opcode::kVecAnd, 4, b, mask), mask);
    const Value term = vec(Opcode::kVecAnd, 4, i ? vec_imm(Opcode::kVecShlImm, log2, a, i) : a, set);
    product = product ? vec(Opcode::kVecXor, 4, product, term) : term;
  }
  return product;
}

// Every bit below the highest one set: the number of those that are clear is wanted.
Translator::Value Translator::vec_count_leading_zeros(unsigned log2, Value a) {
  for (unsigned n = 1; n < 8u << log2; n *= 2) a = vec(Opcode::kVecOr, 4, a, vec_imm(Opcode::kVecShrImm, log2, a, n));
  Value count = vec(Opcode::kVecCountBits, 0, vec(Opcode::kVecNot, 4, a));
  for (unsigned n = 0; n < log2; ++n) count = vec(Opcode::kVecPairAddLongU, n, count);
  return count;
}

Translator::Value Translator::vec_widen(bool is_unsigned, bool high, unsigned log2, Value a) {
  const Opcode op = is_unsigned ? (high ? Opcode::kVecWidenHighU : Opcode::kVecWidenLowU)
                                : (high ? Opcode::kVecWidenHighS : Opcode::kVecWidenLowS);
  return vec(op, log2, a);
}

// From elements of twice the size, marking saturation.
Translator::Value Translator::vec_saturating_narrow(bool unsigned_source, bool unsigned_result, unsigned log2, Value a) {
  const Opcode op = unsigned_source ? Opcode::kVecNarrowSatU : unsigned_result ? Opcode::kVecNarrowSatSU : Opcode::kVecNarrowSatS;
  const Value v = vec(op, log2, a);
  mark_saturation(16, vec_widen(unsigned_result, false, log2, v), a);
  return v;
}

}  // namespace adyton::engine::arm64
