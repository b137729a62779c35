// Advanced SIMD "shift by immediate" (vector and scalar) and "modified immediate".
#include <bit>

#include "engine/interp/fp_element.h"
#include "engine/interp/simd.h"

namespace adyton::engine::interp {

namespace {

// immh:immb
unsigned immediate(uint32_t insn) { return field(insn, 22, 16); }

void finish(CpuState& cpu, uint32_t insn, const Vector& result, const FpContext& context) {
  cpu.v[rd(insn)] = result;
  cpu.fpsr |= context.fpsr;
}

bool shift_right(CpuState& cpu, uint32_t insn, bool scalar, unsigned opcode, unsigned esize) {
  const bool u = is_u(insn), rounds = bit(opcode, 2), accumulates = bit(opcode, 1);
  const int shift = static_cast<int>(2 * esize - immediate(insn));
  const Vector n = cpu.v[rn(insn)], d = cpu.v[rd(insn)];
  FpContext context{cpu.fpcr, 0};
  Vector result{};
  for (unsigned i = 0; i < lanes(insn, esize, scalar); ++i) {
    uint64_t value = shift_by(context, integer_lane(n, i, esize, u), -shift, esize, u, rounds, false);
    if (accumulates) value += lane(d, i, esize);
    set_lane(result, i, esize, value);
  }
  finish(cpu, insn, result, context);
  return true;
}

// SHL, and SRI and SLI, which keep the bits of the destination that the shift vacates
bool shift_or_insert(CpuState& cpu, uint32_t insn, bool scalar, unsigned opcode, unsigned esize) {
  const bool right = opcode == 0b01000, inserts = is_u(insn);
  const unsigned shift = right ? 2 * esize - immediate(insn) : immediate(insn) - esize;
  const uint64_t mask = right ? (shift == 64 ? 0 : ones(esize) >> shift) : (ones(esize) << shift) & ones(esize);
  const Vector n = cpu.v[rn(insn)], d = cpu.v[rd(insn)];
  Vector result{};
  for (unsigned i = 0; i < lanes(insn, esize, scalar); ++i) {
    const uint64_t value = lane(n, i, esize);
    const uint64_t shifted = right ? (shift == 64 ? 0 : value >> shift) : value << shift;
    set_lane(result, i, esize, (shifted & mask) | (inserts ? lane(d, i, esize) & ~mask : 0));
  }
  cpu.v[rd(insn)] = result;
  return true;
}

// SQSHL, UQSHL, SQSHLU
bool saturating_shift_left(CpuState& cpu, uint32_t insn, bool scalar, unsigned opcode, unsigned esize) {
  const bool unsigned_source = is_u(insn) && opcode == 0b01110, unsigned_result = is_u(insn);
  const int shift = static_cast<int>(immediate(insn) - esize);
  const Vector n = cpu.v[rn(insn)];
  FpContext context{cpu.fpcr, 0};
  Vector result{};
  for (unsigned i = 0; i < lanes(insn, esize, scalar); ++i) {
    set_lane(result, i, esize,
             shift_by(context, integer_lane(n, i, esize, unsigned_source), shift, esize, unsigned_result, false, true));
  }
  finish(cpu, insn, result, context);
  return true;
}

// SHRN, RSHRN, SQSHRN, SQRSHRN, UQSHRN, UQRSHRN, SQSHRUN, SQRSHRUN
bool shift_right_narrow(CpuState& cpu, uint32_t insn, bool scalar, unsigned opcode, unsigned esize) {
  const bool u = is_u(insn), keeps_sign = bit(opcode, 1), rounds = bit(opcode, 0);
  const bool saturates = keeps_sign || u, unsigned_source = u && keeps_sign;
  if (scalar && !saturates) return false;
  const unsigned shift = 2 * esize - immediate(insn);
  const Vector n = cpu.v[rn(insn)];
  FpContext context{cpu.fpcr, 0};
  Vector result{};
  for (unsigned i = 0; i < (scalar ? 1 : 64 / esize); ++i) {
    const Int128 value = integer_lane(n, i, 2 * esize, unsigned_source);
    const Int128 shifted = (value + (rounds ? Int128{1} << (shift - 1) : 0)) >> shift;
    set_lane(result, i, esize, saturates ? saturate(context, shifted, esize, u) : static_cast<uint64_t>(shifted));
  }
  write_half(cpu, rd(insn), !scalar && is_q(insn), result.d[0]);
  cpu.fpsr |= context.fpsr;
  return true;
}

// SSHLL, USHLL
bool shift_left_long(CpuState& cpu, uint32_t insn, unsigned esize) {
  const unsigned shift = immediate(insn) - esize;
  const Vector half = scalar_vector(cpu.v[rn(insn)].d[is_q(insn)]);
  Vector result{};
  for (unsigned i = 0; i < 64 / esize; ++i) {
    set_lane(result, i, 2 * esize, integer_lane(half, i, esize, is_u(insn)) * (Int128{1} << shift));
  }
  cpu.v[rd(insn)] = result;
  return true;
}

// SCVTF, UCVTF, FCVTZS, FCVTZU with a fixed-point operand
bool fixed_point(CpuState& cpu, uint32_t insn, bool scalar, bool to_fixed, unsigned esize) {
  if (esize < 32) return false;
  const bool u = is_u(insn);
  const unsigned fraction_bits = 2 * esize - immediate(insn);
  const Vector n = cpu.v[rn(insn)];
  FpContext context{cpu.fpcr, 0};
  Vector result{};
  for (unsigned i = 0; i < lanes(insn, esize, scalar); ++i) {
    const uint64_t value = lane(n, i, esize);
    set_lane(result, i, esize,
             to_fixed ? fp_to_fixed(context, esize, value, fraction_bits, u, esize, fp::Rounding::kZero)
                      : fp_from_fixed(context, esize, value, fraction_bits, u, esize));
  }
  finish(cpu, insn, result, context);
  return true;
}

// AdvSIMDExpandImm
uint64_t expand_modified_immediate(bool op, unsigned cmode, uint64_t imm8) {
  const auto twice = [](uint64_t word) { return word | (word << 32); };
  switch (cmode >> 1) {
    case 0b000:
    case 0b001:
    case 0b010:
    case 0b011: return twice(imm8 << (8 * (cmode >> 1)));
    case 0b100: return twice(imm8 | (imm8 << 16));
    case 0b101: return twice((imm8 << 8) | (imm8 << 24));
    case 0b110: return twice((cmode & 1) ? (imm8 << 16) | 0xffff : (imm8 << 8) | 0xff);
    default: break;
  }
  if (cmode == 0b1110 && !op) return imm8 * 0x0101'0101'0101'0101u;
  if (cmode == 0b1110) {
    uint64_t value = 0;
    for (unsigned i = 0; i < 8; ++i) value |= bit(imm8, i) ? uint64_t{0xff} << (8 * i) : 0;
    return value;
  }
  return op ? fp_expand_immediate(64, static_cast<uint8_t>(imm8)) : twice(fp_expand_immediate(32, static_cast<uint8_t>(imm8)));
}

}  // namespace

bool simd_shift_immediate(CpuState& cpu, uint32_t insn, bool scalar) {
  const unsigned opcode = field(insn, 15, 11), immh = field(insn, 22, 19);
  const unsigned esize = 8u << (std::bit_width(immh) - 1);  // of the narrower operand
  const bool u = is_u(insn);
  if (opcode >= 0b10000 && opcode <= 0b10011) return esize != 64 && shift_right_narrow(cpu, insn, scalar, opcode, esize);
  if (opcode == 0b10100) return !scalar && esize != 64 && shift_left_long(cpu, insn, esize);
  if (!scalar && esize == 64 && !is_q(insn)) return false;
  switch (opcode) {
    case 0b00000:
    case 0b00010:
    case 0b00100:
    case 0b00110: return (!scalar || esize == 64) && shift_right(cpu, insn, scalar, opcode, esize);
    case 0b01000:
      if (!u) return false;
      [[fallthrough]];
    case 0b01010: return (!scalar || esize == 64) && shift_or_insert(cpu, insn, scalar, opcode, esize);
    case 0b01100:
      if (!u) return false;
      [[fallthrough]];
    case 0b01110: return saturating_shift_left(cpu, insn, scalar, opcode, esize);
    case 0b11100: return fixed_point(cpu, insn, scalar, false, esize);
    case 0b11111: return fixed_point(cpu, insn, scalar, true, esize);
    default: return false;
  }
}

bool simd_modified_immediate(CpuState& cpu, uint32_t insn) {
  const bool op = is_u(insn);
  const unsigned cmode = field(insn, 15, 12);
  // o2 set is FMOV to half-precision lanes.
  if (bit(insn, 11) || (cmode == 0b1111 && op && !is_q(insn))) return false;
  const uint64_t imm8 = (field(insn, 18, 16) << 5) | field(insn, 9, 5);
  const uint64_t value = expand_modified_immediate(op, cmode, imm8);
  const bool modifies = cmode < 0b1100 && (cmode & 1);  // ORR, BIC
  const bool inverts = op && !modifies && cmode < 0b1110;
  Vector& d = cpu.v[rd(insn)];
  for (unsigned i = 0; i < 2; ++i) {
    if (i == 1 && !is_q(insn)) {
      d.d[1] = 0;
    } else if (modifies) {
      d.d[i] = op ? d.d[i] & ~value : d.d[i] | value;
    } else {
      d.d[i] = inverts ? ~value : value;
    }
  }
  return true;
}

}  // namespace adyton::engine::interp
