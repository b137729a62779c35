// Scalar floating point (Arm ARM C4.1.95): the groups "Floating-point ..." and "Conversion between ...".
#include "engine/arm64/translate/translator.h"
#include "engine/fp/soft_float.h"

namespace adyton::engine::arm64 {

using ir::Condition;
using ir::FpInfo;
using ir::FpRounding;
using ir::Opcode;

namespace {

// ftype: single or double precision. Half precision exists for FCVT alone.
unsigned bytes_of_format(uint32_t insn) {
  switch (bits(insn, 23, 22)) {
    case 0b00: return 4;
    case 0b01: return 8;
    default: return 0;
  }
}

// The encoding of FPCR.RMode, which rmode fields share.
constexpr FpRounding kByRMode[] = {FpRounding::kNearestEven, FpRounding::kUp, FpRounding::kDown, FpRounding::kZero};

Condition condition_of(unsigned cond) { return cond >= 14 ? Condition::kAlways : static_cast<Condition>(cond); }

}  // namespace

Translator::Value Translator::fp_unary(Opcode op, unsigned bytes, Value a, const FpInfo& info) {
  return b_.emit(op, Type::kV128, static_cast<uint8_t>(bytes), info.pack(), a);
}

Translator::Value Translator::fp_binary(Opcode op, unsigned bytes, Value a, Value b, const FpInfo& info) {
  return b_.emit(op, Type::kV128, static_cast<uint8_t>(bytes), info.pack(), a, b);
}

Translator::Value Translator::fp_scalar_of(unsigned n, unsigned bytes) {
  return b_.emit(Opcode::kZeroUpper, Type::kV128, static_cast<uint8_t>(bytes), 0, b_.get_vec(n));
}

Translator::Flow Translator::fp_scalar(uint32_t insn) {
  if (bit(insn, 29)) return Flow::kInterpretExit;  // S
  if (bit(insn, 24)) return bit(insn, 31) ? Flow::kInterpretExit : fp_three_source(insn);
  if (!bit(insn, 21)) return fp_fixed_conversion(insn);
  if (bits(insn, 15, 10) == 0) return fp_integer_conversion(insn);
  if (bit(insn, 31)) return Flow::kInterpretExit;  // M
  switch (bits(insn, 11, 10)) {
    case 0b01: return fp_conditional_compare(insn);
    case 0b10: return fp_two_source(insn);
    case 0b11: return fp_conditional_select(insn);
    default: break;
  }
  if (bit(insn, 12)) return fp_immediate(insn);
  if (bit(insn, 13)) return fp_compare(insn);
  if (bit(insn, 14)) return fp_one_source(insn);
  return Flow::kInterpretExit;
}

Translator::Flow Translator::fp_fixed_conversion(uint32_t insn) {
  const bool is64 = bit(insn, 31);
  const unsigned bytes = bytes_of_format(insn), scale = bits(insn, 15, 10);
  if (!bytes || (!is64 && scale < 32) || !mode_.fp_default) return Flow::kInterpret;
  FpInfo info{.rounding = FpRounding::kZero,
              .is_signed = !bit(insn, 16),
              .bytes = static_cast<uint8_t>(is64 ? 8 : 4),
              .fraction_bits = static_cast<uint8_t>(64 - scale)};
  switch (bits(insn, 20, 17)) {
    case 0b0001:  // SCVTF, UCVTF
      b_.set_vec(bits(insn, 4, 0), fp_unary(Opcode::kFpFromInt, bytes, reg(bits(insn, 9, 5)), info));
      return Flow::kNext;
    case 0b1100:  // FCVTZS, FCVTZU
      set_reg(bits(insn, 4, 0),
              b_.emit(Opcode::kFpToInt, Type::kI64, static_cast<uint8_t>(bytes), info.pack(), b_.get_vec(bits(insn, 9, 5))));
      return Flow::kNext;
    default: return Flow::kInterpret;
  }
}

Translator::Flow Translator::fp_move_general(uint32_t insn) {
  const bool is64 = bit(insn, 31), to_fp = bit(insn, 16), high = bits(insn, 20, 19) == 1;
  const unsigned ftype = bits(insn, 23, 22), d = bits(insn, 4, 0), n = bits(insn, 9, 5);
  if (high ? !(is64 && ftype == 0b10) : ftype != (is64 ? 0b01 : 0b00)) return Flow::kInterpret;
  const auto bytes = static_cast<uint8_t>(is64 ? 8 : 4);
  if (high) {
    if (to_fp)
      b_.set_vec(d, b_.emit(Opcode::kVecInsert, Type::kV128, 8, 1, b_.get_vec(d), reg(n)));
    else
      set_reg(d, b_.emit(Opcode::kVecToInt, Type::kI64, 8, 1, b_.get_vec(n)));
  } else if (to_fp) {
    b_.set_vec(d, b_.emit(Opcode::kVecFromInt, Type::kV128, bytes, 0, reg(n)));
  } else {
    set_reg(d, b_.emit(Opcode::kVecToInt, Type::kI64, bytes, 0, b_.get_vec(n)));
  }
  return Flow::kNext;
}

Translator::Flow Translator::fp_integer_conversion(uint32_t insn) {
  const unsigned rmode = bits(insn, 20, 19), opcode = bits(insn, 18, 16);
  if (opcode >= 6 && rmode <= 1) return fp_move_general(insn);
  const unsigned bytes = bytes_of_format(insn);
  if (!bytes || !mode_.fp_default || opcode >= 6 || (opcode >= 2 && rmode != 0)) return Flow::kInterpret;  // FJCVTZS among them
  FpInfo info{.is_signed = !(opcode & 1), .bytes = static_cast<uint8_t>(bit(insn, 31) ? 8 : 4)};
  const unsigned d = bits(insn, 4, 0), n = bits(insn, 9, 5);
  if ((opcode & ~1u) == 2) {  // SCVTF, UCVTF
    b_.set_vec(d, fp_unary(Opcode::kFpFromInt, bytes, reg(n), info));
  } else {
    info.rounding = opcode >= 4 ? FpRounding::kNearestAway : kByRMode[rmode];
    set_reg(d, b_.emit(Opcode::kFpToInt, Type::kI64, static_cast<uint8_t>(bytes), info.pack(), b_.get_vec(n)));
  }
  return Flow::kNext;
}

Translator::Flow Translator::fp_one_source(uint32_t insn) {
  const unsigned ftype = bits(insn, 23, 22), opcode = bits(insn, 20, 15), d = bits(insn, 4, 0), n = bits(insn, 9, 5);
  if ((opcode & ~3u) == 0b000100) {  // FCVT: opc has the encoding of ftype
    const unsigned opc = opcode & 3;
    if (ftype == 0b10 || opc == 0b10 || opc == ftype || !mode_.fp_default) return Flow::kInterpret;
    constexpr uint8_t kBytes[] = {4, 8, 0, 2};
    b_.set_vec(d, fp_unary(Opcode::kFpConvert, kBytes[ftype], b_.get_vec(n), {.bytes = kBytes[opc]}));
    return Flow::kNext;
  }
  const unsigned bytes = bytes_of_format(insn);
  if (!bytes) return Flow::kInterpret;
  switch (opcode) {
    case 0b000000:  // FMOV
      b_.set_vec(d, fp_scalar_of(n, bytes));
      return Flow::kNext;
    case 0b000001: b_.set_vec(d, fp_unary(Opcode::kFpAbs, bytes, b_.get_vec(n), {})); return Flow::kNext;
    case 0b000010: b_.set_vec(d, fp_unary(Opcode::kFpNeg, bytes, b_.get_vec(n), {})); return Flow::kNext;
    default: break;
  }
  if (!mode_.fp_default) return Flow::kInterpret;
  FpInfo info;
  switch (opcode) {
    case 0b000011: b_.set_vec(d, fp_unary(Opcode::kFpSqrt, bytes, b_.get_vec(n), {})); return Flow::kNext;
    case 0b001000: case 0b001001: case 0b001010: case 0b001011:  // FRINTN, FRINTP, FRINTM, FRINTZ
      info.rounding = kByRMode[opcode & 3];
      break;
    case 0b001100: info.rounding = FpRounding::kNearestAway; break;  // FRINTA
    case 0b001110: info.exact = true; break;                         // FRINTX
    case 0b001111: break;                                            // FRINTI
    default: return Flow::kInterpret;
  }
  b_.set_vec(d, fp_unary(Opcode::kFpRound, bytes, b_.get_vec(n), info));
  return Flow::kNext;
}

Translator::Flow Translator::fp_two_source(uint32_t insn) {
  constexpr Opcode kOpcodes[] = {Opcode::kFpMul, Opcode::kFpDiv, Opcode::kFpAdd,       Opcode::kFpSub,      Opcode::kFpMax,
                                 Opcode::kFpMin, Opcode::kFpMaxNumber, Opcode::kFpMinNumber, Opcode::kFpMul};
  const unsigned bytes = bytes_of_format(insn), opcode = bits(insn, 15, 12);
  if (!bytes || opcode > 0b1000 || !mode_.fp_default) return Flow::kInterpret;
  Value v = fp_binary(kOpcodes[opcode], bytes, b_.get_vec(bits(insn, 9, 5)), b_.get_vec(bits(insn, 20, 16)), {});
  if (opcode == 0b1000) v = fp_unary(Opcode::kFpNeg, bytes, v, {});  // FNMUL
  b_.set_vec(bits(insn, 4, 0), v);
  return Flow::kNext;
}

Translator::Flow Translator::fp_three_source(uint32_t insn) {
  const unsigned bytes = bytes_of_format(insn);
  if (!bytes || !mode_.fp_default) return Flow::kInterpret;
  const bool negate_all = bit(insn, 21), subtract = bit(insn, 15);  // FMADD, FMSUB, FNMADD, FNMSUB
  const FpInfo info{.negate_product = negate_all != subtract, .negate_addend = negate_all};
  b_.set_vec(bits(insn, 4, 0), b_.emit(Opcode::kFpFma, Type::kV128, static_cast<uint8_t>(bytes), info.pack(), b_.get_vec(bits(insn, 14, 10)),
                                       b_.get_vec(bits(insn, 9, 5)), b_.get_vec(bits(insn, 20, 16))));
  return Flow::kNext;
}

Translator::Flow Translator::fp_compare(uint32_t insn) {
  const unsigned bytes = bytes_of_format(insn);
  if (!bytes || bits(insn, 15, 14) || bits(insn, 2, 0) || !mode_.fp_default) return Flow::kInterpret;
  const bool with_zero = bit(insn, 3);
  const Value b = with_zero ? b_.emit(Opcode::kVecZero, Type::kV128, 0, 0) : b_.get_vec(bits(insn, 20, 16));
  b_.emit(bit(insn, 4) ? Opcode::kFpCompareSignalFlags : Opcode::kFpCompareFlags, Type::kVoid, static_cast<uint8_t>(bytes), 0,
          b_.get_vec(bits(insn, 9, 5)), b);
  return Flow::kNext;
}

Translator::Flow Translator::fp_conditional_compare(uint32_t insn) {
  const unsigned bytes = bytes_of_format(insn);
  if (!bytes || !mode_.fp_default) return Flow::kInterpret;
  const Condition c = condition_of(bits(insn, 15, 12));
  const bool signalling = bit(insn, 4);
  const Value a = b_.get_vec(bits(insn, 9, 5)), b = b_.get_vec(bits(insn, 20, 16));
  if (c == Condition::kAlways) {
    b_.emit(signalling ? Opcode::kFpCompareSignalFlags : Opcode::kFpCompareFlags, Type::kVoid, static_cast<uint8_t>(bytes), 0, a, b);
  } else {
    b_.emit(Opcode::kFpCompareIf, Type::kVoid, static_cast<uint8_t>(bytes),
            bits(insn, 3, 0) | (static_cast<uint64_t>(c) << 4) | (uint64_t{signalling} << 8), a, b);
  }
  return Flow::kNext;
}

Translator::Flow Translator::fp_conditional_select(uint32_t insn) {
  const unsigned bytes = bytes_of_format(insn);
  if (!bytes) return Flow::kInterpret;
  const Condition c = condition_of(bits(insn, 15, 12));
  const unsigned d = bits(insn, 4, 0), n = bits(insn, 9, 5), m = bits(insn, 20, 16);
  if (c == Condition::kAlways)
    b_.set_vec(d, fp_scalar_of(n, bytes));
  else
    b_.set_vec(d, b_.emit(Opcode::kFpSelect, Type::kV128, static_cast<uint8_t>(c), bytes, b_.get_vec(n), b_.get_vec(m)));
  return Flow::kNext;
}

Translator::Flow Translator::fp_immediate(uint32_t insn) {
  const unsigned bytes = bytes_of_format(insn);
  if (!bytes || bits(insn, 9, 5)) return Flow::kInterpret;
  const auto imm8 = static_cast<uint8_t>(bits(insn, 20, 13));
  const uint64_t value = bytes == 8 ? fp::expand_immediate<uint64_t>(imm8) : fp::expand_immediate<uint32_t>(imm8);
  b_.set_vec(bits(insn, 4, 0), b_.emit(Opcode::kVecFromInt, Type::kV128, static_cast<uint8_t>(bytes), 0, b_.constant(value)));
  return Flow::kNext;
}

}  // namespace adyton::engine::arm64
