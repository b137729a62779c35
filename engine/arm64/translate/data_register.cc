// Data processing on registers (Arm ARM C4.1.89).
#include "engine/arm64/translate/translator.h"

namespace adyton::engine::arm64 {

using ir::Condition;
using ir::Opcode;

namespace {
// Conditions 0b1110 and 0b1111 both mean "always".
Condition condition_of(unsigned cond) { return cond >= 14 ? Condition::kAlways : static_cast<Condition>(cond); }
}  // namespace

Translator::Flow Translator::data_register(uint32_t insn) {
  if (bits(insn, 28, 24) == 0b01010) return logical_shifted(insn);
  if (bits(insn, 28, 24) == 0b01011) return bit(insn, 21) ? add_sub_extended(insn) : add_sub_shifted(insn);
  if (bits(insn, 28, 24) == 0b11011) return three_source(insn);
  switch (bits(insn, 28, 21)) {
    case 0b11010000: return bits(insn, 15, 10) == 0 ? add_sub_carry(insn) : Flow::kInterpret;
    case 0b11010010: return conditional_compare(insn);
    case 0b11010100: return conditional_select(insn);
    case 0b11010110: return bit(insn, 30) ? one_source(insn) : two_source(insn);
    default: return Flow::kInterpretExit;
  }
}

Translator::Flow Translator::logical_shifted(uint32_t insn) {
  const Type type = type_of(insn);
  const unsigned amount = bits(insn, 15, 10), d = bits(insn, 4, 0), n = bits(insn, 9, 5), m = bits(insn, 20, 16);
  const bool invert_operand = bit(insn, 21);
  if (type == Type::kI32 && amount >= 32) return Flow::kInterpretExit;
  const Value b = shifted(type, m, bits(insn, 23, 22), amount);
  Value v;
  switch (bits(insn, 30, 29)) {
    case 0: v = b_.binary(invert_operand ? Opcode::kAndNot : Opcode::kAnd, type, reg(n), b); break;
    case 1:
      if (n == 31) {  // MOV, MVN
        v = invert_operand ? b_.unary(Opcode::kNot, type, b) : low(type, b);
      } else {
        v = b_.binary(Opcode::kOr, type, reg(n), invert_operand ? b_.unary(Opcode::kNot, type, b) : b);
      }
      break;
    case 2: v = b_.binary(Opcode::kXor, type, reg(n), invert_operand ? b_.unary(Opcode::kNot, type, b) : b); break;
    default: v = b_.binary(Opcode::kAndFlags, type, reg(n), invert_operand ? b_.unary(Opcode::kNot, type, b) : b); break;
  }
  set_reg(d, v);
  return Flow::kNext;
}

Translator::Flow Translator::add_sub_shifted(uint32_t insn) {
  const Type type = type_of(insn);
  const unsigned amount = bits(insn, 15, 10), shift = bits(insn, 23, 22);
  if (shift == 3 || (type == Type::kI32 && amount >= 32)) return Flow::kInterpretExit;
  add_sub(type, bit(insn, 30), bit(insn, 29), bits(insn, 4, 0), false, reg(bits(insn, 9, 5)), shifted(type, bits(insn, 20, 16), shift, amount));
  return Flow::kNext;
}

Translator::Flow Translator::add_sub_extended(uint32_t insn) {
  if (bits(insn, 23, 22) || bits(insn, 12, 10) > 4) return Flow::kInterpretExit;
  const bool set_flags = bit(insn, 29);
  add_sub(type_of(insn), bit(insn, 30), set_flags, bits(insn, 4, 0), !set_flags, b_.get_reg(bits(insn, 9, 5)),
          extended(bits(insn, 20, 16), bits(insn, 15, 13), bits(insn, 12, 10)));
  return Flow::kNext;
}

Translator::Flow Translator::add_sub_carry(uint32_t insn) {
  const bool subtract = bit(insn, 30), set_flags = bit(insn, 29);
  const Opcode op = set_flags ? (subtract ? Opcode::kSbcFlags : Opcode::kAdcFlags) : (subtract ? Opcode::kSbc : Opcode::kAdc);
  set_reg(bits(insn, 4, 0), b_.binary(op, type_of(insn), reg(bits(insn, 9, 5)), reg(bits(insn, 20, 16))));
  return Flow::kNext;
}

Translator::Flow Translator::conditional_compare(uint32_t insn) {
  if (!bit(insn, 29) || bit(insn, 10) || bit(insn, 4)) return Flow::kInterpretExit;
  const Value b = bit(insn, 11) ? b_.constant(bits(insn, 20, 16)) : reg(bits(insn, 20, 16));
  const Condition c = condition_of(bits(insn, 15, 12));
  const Value a = reg(bits(insn, 9, 5));
  const bool subtract = bit(insn, 30);
  if (c == Condition::kAlways) {
    b_.binary(subtract ? Opcode::kSubFlags : Opcode::kAddFlags, type_of(insn), a, b);
  } else {
    b_.binary(subtract ? Opcode::kCompareIf : Opcode::kCompareNegativeIf, type_of(insn), a, b, static_cast<uint8_t>(c), bits(insn, 3, 0));
  }
  return Flow::kNext;
}

Translator::Flow Translator::conditional_select(uint32_t insn) {
  if (bit(insn, 29) || bit(insn, 11)) return Flow::kInterpretExit;
  const Type type = type_of(insn);
  const unsigned n = bits(insn, 9, 5), m = bits(insn, 20, 16);
  const bool invert_second = bit(insn, 30), increment = bit(insn, 10);
  const Condition c = condition_of(bits(insn, 15, 12));
  if (n == 31 && m == 31 && increment && !invert_second && c != Condition::kAlways) {  // CSET
    set_reg(bits(insn, 4, 0), b_.emit(Opcode::kSetIf, type, static_cast<uint8_t>(invert(c)), 0));
    return Flow::kNext;
  }
  Value second = reg(m);
  if (invert_second) second = b_.unary(Opcode::kNot, type, second);
  if (increment) second = b_.add(type, second, b_.constant(1));  // with the inversion: negation
  set_reg(bits(insn, 4, 0), c == Condition::kAlways ? low(type, reg(n)) : b_.select(type, c, reg(n), second));
  return Flow::kNext;
}

Translator::Flow Translator::one_source(uint32_t insn) {
  if (bit(insn, 29) || bits(insn, 20, 16)) return Flow::kInterpretExit;
  const Type type = type_of(insn);
  const bool is64 = type == Type::kI64;
  const Value n = reg(bits(insn, 9, 5));
  Value v;
  switch (bits(insn, 15, 10)) {
    case 0: v = b_.unary(Opcode::kReverseBits, type, n); break;
    case 1: v = b_.unary(Opcode::kReverseBytes16, type, n); break;
    case 2: v = b_.unary(is64 ? Opcode::kReverseBytes32 : Opcode::kReverseBytes, type, n); break;
    case 3:
      if (!is64) return Flow::kInterpretExit;
      v = b_.unary(Opcode::kReverseBytes, type, n);
      break;
    case 4: v = b_.unary(Opcode::kCountLeadingZeros, type, n); break;
    case 5: v = b_.unary(Opcode::kCountLeadingSigns, type, n); break;
    default: return Flow::kInterpretExit;
  }
  set_reg(bits(insn, 4, 0), v);
  return Flow::kNext;
}

Translator::Flow Translator::two_source(uint32_t insn) {
  if (bit(insn, 29)) return Flow::kInterpretExit;
  const Type type = type_of(insn);
  const bool is64 = type == Type::kI64;
  const Value n = reg(bits(insn, 9, 5)), m = reg(bits(insn, 20, 16));
  const unsigned opcode = bits(insn, 15, 10);
  Value v;
  switch (opcode) {
    case 0b000010: v = b_.binary(Opcode::kDivUnsigned, type, n, m); break;
    case 0b000011: v = b_.binary(Opcode::kDivSigned, type, n, m); break;
    case 0b001000: v = b_.binary(Opcode::kShl, type, n, m); break;
    case 0b001001: v = b_.binary(Opcode::kShr, type, n, m); break;
    case 0b001010: v = b_.binary(Opcode::kSar, type, n, m); break;
    case 0b001011: v = b_.binary(Opcode::kRor, type, n, m); break;
    case 0b010000: case 0b010001: case 0b010010: case 0b010011: case 0b010100: case 0b010101: case 0b010110: case 0b010111: {
      const unsigned bytes = 1u << (opcode & 3);
      if ((bytes == 8) != is64) return Flow::kInterpretExit;
      v = b_.binary(opcode & 4 ? Opcode::kCrc32c : Opcode::kCrc32, Type::kI32, n, m, static_cast<uint8_t>(bytes));
      break;
    }
    default: return Flow::kInterpretExit;
  }
  set_reg(bits(insn, 4, 0), v);
  return Flow::kNext;
}

Translator::Flow Translator::three_source(uint32_t insn) {
  if (bits(insn, 30, 29)) return Flow::kInterpretExit;
  const Type type = type_of(insn);
  const Value n = reg(bits(insn, 9, 5)), m = reg(bits(insn, 20, 16));
  const unsigned a = bits(insn, 14, 10), d = bits(insn, 4, 0);
  const bool subtract = bit(insn, 15);
  const unsigned op31 = bits(insn, 23, 21);
  Value product;
  if (op31 == 0) {
    product = b_.binary(Opcode::kMul, type, n, m);
  } else if (type == Type::kI32) {
    return Flow::kInterpretExit;
  } else if (op31 == 0b001 || op31 == 0b101) {  // SMADDL, UMADDL
    const bool is_signed = op31 == 0b001;
    auto widen = [&](Value v) { return is_signed ? b_.sign_extend(Type::kI64, v, 32) : b_.zero_extend(v, 32); };
    product = b_.binary(Opcode::kMul, Type::kI64, widen(n), widen(m));
  } else if ((op31 == 0b010 || op31 == 0b110) && !subtract) {
    set_reg(d, b_.binary(op31 == 0b010 ? Opcode::kMulHighSigned : Opcode::kMulHighUnsigned, Type::kI64, n, m));
    return Flow::kNext;
  } else {
    return Flow::kInterpretExit;
  }
  if (a != 31 || subtract) product = subtract ? b_.binary(Opcode::kSub, type, reg(a), product) : b_.add(type, reg(a), product);
  set_reg(d, product);
  return Flow::kNext;
}

}  // namespace adyton::engine::arm64
