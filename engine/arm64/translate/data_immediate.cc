// Data processing with an immediate (Arm ARM C4.1.86).
#include <bit>

#include "engine/arm64/translate/translator.h"

namespace adyton::engine::arm64 {

using ir::Opcode;

Translator::Flow Translator::data_immediate(uint32_t insn) {
  switch (bits(insn, 25, 23)) {
    case 0b000: case 0b001: {  // ADR, ADRP
      const int64_t imm = (signed_bits(insn, 23, 5) << 2) | bits(insn, 30, 29);
      const int64_t offset = bit(insn, 31) ? imm * 4096 : here() + imm;
      set_reg(bits(insn, 4, 0), b_.page_address(offset));
      return Flow::kNext;
    }
    case 0b010: return add_sub_immediate(insn);
    case 0b100: return logical_immediate(insn);
    case 0b101: return move_wide(insn);
    case 0b110: return bitfield(insn);
    case 0b111: return extract(insn);
    default: return Flow::kInterpretExit;
  }
}

Translator::Flow Translator::add_sub_immediate(uint32_t insn) {
  const uint64_t imm = static_cast<uint64_t>(bits(insn, 21, 10)) << (bit(insn, 22) ? 12 : 0);
  const bool set_flags = bit(insn, 29);
  add_sub(type_of(insn), bit(insn, 30), set_flags, bits(insn, 4, 0), !set_flags, b_.get_reg(bits(insn, 9, 5)), b_.constant(imm));
  return Flow::kNext;
}

namespace {

// DecodeBitMasks() for logical immediates. False: reserved.
bool decode_bit_mask(unsigned n, unsigned immr, unsigned imms, bool is64, uint64_t& mask) {
  const unsigned combined = (n << 6) | (~imms & 0x3f);
  if (combined == 0 || (!is64 && n)) return false;
  const unsigned length = static_cast<unsigned>(std::bit_width(combined)) - 1;
  if (length < 1) return false;
  const unsigned size = 1u << length, levels = size - 1;
  const unsigned s = imms & levels, r = immr & levels;
  if (s == levels) return false;
  uint64_t element = (2ull << s) - 1;
  if (r) element = (element >> r) | (element << (size - r));
  if (size < 64) element &= (1ull << size) - 1;
  mask = 0;
  for (unsigned at = 0; at < 64; at += size) mask |= element << at;
  if (!is64) mask &= 0xffffffff;
  return true;
}

}  // namespace

Translator::Flow Translator::logical_immediate(uint32_t insn) {
  const Type type = type_of(insn);
  uint64_t mask;
  if (!decode_bit_mask(bit(insn, 22), bits(insn, 21, 16), bits(insn, 15, 10), type == Type::kI64, mask)) return Flow::kInterpretExit;
  const unsigned d = bits(insn, 4, 0), n = bits(insn, 9, 5);
  const Value imm = b_.constant(mask, type);
  switch (bits(insn, 30, 29)) {
    case 0: b_.set_reg(d, b_.binary(Opcode::kAnd, type, reg(n), imm)); break;
    case 1: b_.set_reg(d, n == 31 ? imm : b_.binary(Opcode::kOr, type, reg(n), imm)); break;
    case 2: b_.set_reg(d, b_.binary(Opcode::kXor, type, reg(n), imm)); break;
    default: set_reg(d, b_.binary(Opcode::kAndFlags, type, reg(n), imm)); break;
  }
  return Flow::kNext;
}

Translator::Flow Translator::move_wide(uint32_t insn) {
  const Type type = type_of(insn);
  const unsigned d = bits(insn, 4, 0), shift = bits(insn, 22, 21) * 16, opc = bits(insn, 30, 29);
  if (opc == 1 || (type == Type::kI32 && shift > 16)) return Flow::kInterpretExit;
  const uint64_t imm = static_cast<uint64_t>(bits(insn, 20, 5)) << shift;
  if (d == 31) return Flow::kNext;
  switch (opc) {
    case 0: set_reg(d, b_.constant(~imm, type)); break;
    case 2: set_reg(d, b_.constant(imm, type)); break;
    default: {
      const Value old = b_.get_reg(d);
      const uint64_t keep = ~(0xffffull << shift);
      if (b_.is_constant(old)) {
        set_reg(d, b_.constant((b_.constant_value(old) & keep) | imm, type));
        break;
      }
      set_reg(d, b_.binary(Opcode::kInsertBits, type, old, b_.constant(imm >> shift), 0, shift | (16u << 8)));
    }
  }
  return Flow::kNext;
}

Translator::Flow Translator::bitfield(uint32_t insn) {
  const Type type = type_of(insn);
  const unsigned width = type == Type::kI64 ? 64 : 32;
  const unsigned opc = bits(insn, 30, 29), r = bits(insn, 21, 16), s = bits(insn, 15, 10);
  if (opc == 3 || bit(insn, 22) != bit(insn, 31) || r >= width || s >= width) return Flow::kInterpretExit;
  const unsigned d = bits(insn, 4, 0);
  const Value n = reg(bits(insn, 9, 5));
  auto field = [](unsigned lsb, unsigned count) { return static_cast<uint64_t>(lsb | (count << 8)); };
  Value v;
  if (s >= r) {
    const unsigned count = s - r + 1;
    switch (opc) {
      case 0: v = count == width ? low(type, n) : b_.unary(Opcode::kExtractBitsSigned, type, n, 0, field(r, count)); break;
      case 1: v = count == width ? low(type, n) : b_.binary(Opcode::kInsertBits, type, reg(d), r ? b_.shift_imm(Opcode::kShr, type, n, r) : n, 0, field(0, count)); break;
      default: v = count == width ? low(type, n) : b_.unary(Opcode::kExtractBits, type, n, 0, field(r, count)); break;
    }
  } else {
    const unsigned count = s + 1, lsb = width - r;
    switch (opc) {
      case 0: v = b_.shift_imm(Opcode::kShl, type, b_.unary(Opcode::kExtractBitsSigned, type, n, 0, field(0, count)), lsb); break;
      case 1: v = b_.binary(Opcode::kInsertBits, type, reg(d), n, 0, field(lsb, count)); break;
      default:
        // LSL is the form whose field reaches the top: then nothing has to be masked.
        v = lsb + count == width ? b_.shift_imm(Opcode::kShl, type, n, lsb)
                                 : b_.shift_imm(Opcode::kShl, type, b_.unary(Opcode::kExtractBits, type, n, 0, field(0, count)), lsb);
        break;
    }
  }
  set_reg(d, v);
  return Flow::kNext;
}

Translator::Flow Translator::extract(uint32_t insn) {
  const Type type = type_of(insn);
  const unsigned lsb = bits(insn, 15, 10);
  if (bits(insn, 30, 29) || bit(insn, 21) || bit(insn, 22) != bit(insn, 31) || (type == Type::kI32 && lsb >= 32)) return Flow::kInterpretExit;
  const unsigned n = bits(insn, 9, 5), m = bits(insn, 20, 16);
  Value v;
  if (lsb == 0) {
    v = low(type, reg(m));
  } else if (n == m) {
    v = b_.shift_imm(Opcode::kRor, type, reg(n), lsb);
  } else {
    v = b_.binary(Opcode::kExtract2, type, reg(n), reg(m), 0, lsb);
  }
  set_reg(bits(insn, 4, 0), v);
  return Flow::kNext;
}

}  // namespace adyton::engine::arm64
