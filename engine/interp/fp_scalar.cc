// Scalar floating point (Arm ARM C4.1.95, the groups "Floating-point ..." and "Conversion between ...").
#include <iterator>

#include "engine/interp/fp_element.h"
#include "engine/interp/simd.h"

namespace adyton::engine::interp {

namespace {

using fp::Rounding;

constexpr unsigned kUnallocated = 0;

// ftype: single or double; half precision exists for FCVT alone.
unsigned format_of(uint32_t insn) {
  switch (field(insn, 23, 22)) {
    case 0b00: return 32;
    case 0b01: return 64;
    default: return kUnallocated;
  }
}

bool m_or_s(uint32_t insn) { return bit(insn, 31) || bit(insn, 29); }
uint64_t scalar(const CpuState& cpu, unsigned n, unsigned esize) { return cpu.v[n].d[0] & ones(esize); }

void finish(CpuState& cpu, uint32_t insn, const FpContext& context, uint64_t value) {
  cpu.v[rd(insn)] = scalar_vector(value);
  cpu.fpsr |= context.fpsr;
}

bool move_to_or_from_general(CpuState& cpu, uint32_t insn) {
  const bool is64 = bit(insn, 31), to_fp = bit(insn, 16), high = field(insn, 20, 19) == 1;
  const unsigned ftype = field(insn, 23, 22);
  if (high ? !(is64 && ftype == 0b10) : ftype != (is64 ? 0b01 : 0b00)) return false;
  const unsigned d = rd(insn), n = rn(insn);
  if (high) {
    if (to_fp) {
      cpu.v[d].d[1] = read_x(cpu, n);
    } else {
      write_x(cpu, d, cpu.v[n].d[1]);
    }
  } else if (to_fp) {
    cpu.v[d] = scalar_vector(read_reg(cpu, n, is64));
  } else {
    write_reg(cpu, d, is64, cpu.v[n].d[0]);
  }
  return true;
}

bool compare_and_set(CpuState& cpu, uint32_t insn, unsigned esize, uint64_t b, bool signal_all_nans) {
  FpContext context{cpu.fpcr, 0};
  cpu.set_nzcv(fp_compare_flags(context, esize, scalar(cpu, rn(insn), esize), b, signal_all_nans));
  cpu.fpsr |= context.fpsr;
  return true;
}

}  // namespace

bool fp_fixed_conversion(CpuState& cpu, uint32_t insn) {
  const bool is64 = bit(insn, 31);
  const unsigned esize = format_of(insn), scale = field(insn, 15, 10), operation = field(insn, 20, 16);
  if (bit(insn, 29) || esize == kUnallocated || (!is64 && scale < 32)) return false;
  const unsigned fraction_bits = 64 - scale, integer_bits = is64 ? 64 : 32;
  const bool is_unsigned = bit(insn, 16);
  FpContext context{cpu.fpcr, 0};
  switch (operation) {
    case 0b00'010:  // SCVTF, UCVTF
    case 0b00'011:
      cpu.v[rd(insn)] =
          scalar_vector(fp_from_fixed(context, esize, read_reg(cpu, rn(insn), is64), fraction_bits, is_unsigned, integer_bits));
      break;
    case 0b11'000:  // FCVTZS, FCVTZU
    case 0b11'001:
      write_reg(
          cpu, rd(insn), is64,
          fp_to_fixed(context, esize, scalar(cpu, rn(insn), esize), fraction_bits, is_unsigned, integer_bits, Rounding::kZero));
      break;
    default: return false;
  }
  cpu.fpsr |= context.fpsr;
  return true;
}

bool fp_integer_conversion(CpuState& cpu, uint32_t insn) {
  if (bit(insn, 29)) return false;
  const unsigned rmode = field(insn, 20, 19), opcode = field(insn, 18, 16);
  if (opcode >= 6 && rmode <= 1) return move_to_or_from_general(cpu, insn);

  const bool is64 = bit(insn, 31), is_unsigned = opcode & 1;
  const unsigned esize = format_of(insn), integer_bits = is64 ? 64 : 32;
  if (esize == kUnallocated) return false;
  FpContext context{cpu.fpcr, 0};
  if (opcode == 6 && rmode == 3) {  // FJCVTZS
    if (is64 || esize != 64) return false;
    uint32_t nzcv;
    write_x(cpu, rd(insn), fp::to_javascript_int32(context, scalar(cpu, rn(insn), 64), nzcv));
    cpu.set_nzcv(nzcv);
    cpu.fpsr |= context.fpsr;
    return true;
  }
  if (opcode >= 2 && rmode != 0) return false;
  switch (opcode) {
    case 2:  // SCVTF, UCVTF
    case 3: {
      const uint64_t value = fp_from_fixed(context, esize, read_reg(cpu, rn(insn), is64), 0, is_unsigned, integer_bits);
      finish(cpu, insn, context, value);
      return true;
    }
    case 0:  // FCVT{N,P,M,Z}{S,U}: rmode has the encoding of FPCR.RMode
    case 1:
    case 4:  // FCVTA{S,U}
    case 5: {
      const Rounding rounding = opcode >= 4 ? Rounding::kTieAway : static_cast<Rounding>(rmode);
      write_reg(cpu, rd(insn), is64,
                fp_to_fixed(context, esize, scalar(cpu, rn(insn), esize), 0, is_unsigned, integer_bits, rounding));
      cpu.fpsr |= context.fpsr;
      return true;
    }
    default: return false;
  }
}

bool fp_one_source(CpuState& cpu, uint32_t insn) {
  const unsigned ftype = field(insn, 23, 22), opcode = field(insn, 20, 15);
  if (m_or_s(insn) || ftype == 0b10) return false;
  FpContext context{cpu.fpcr, 0};
  if ((opcode & ~3u) == 0b000100) {  // FCVT: opc has the encoding of ftype
    const unsigned opc = opcode & 3;
    if (opc == 0b10 || opc == ftype) return false;
    const auto width = [](unsigned type) { return type == 0b00 ? 32u : type == 0b01 ? 64u : 16u; };
    const uint64_t a = scalar(cpu, rn(insn), width(ftype));
    const uint64_t value = fp_convert(context, width(ftype), width(opc), a, context.rounding());
    finish(cpu, insn, context, value);
    return true;
  }
  const unsigned esize = format_of(insn);
  if (esize == kUnallocated) return false;
  const uint64_t a = scalar(cpu, rn(insn), esize);
  uint64_t value;
  switch (opcode) {
    case 0b000000: value = a; break;  // FMOV
    case 0b000001: value = fp_unary(context, FpUnary::kAbsolute, esize, a); break;
    case 0b000010: value = fp_unary(context, FpUnary::kNegate, esize, a); break;
    case 0b000011: value = fp_unary(context, FpUnary::kSquareRoot, esize, a); break;
    case 0b001000:  // FRINTN, FRINTP, FRINTM, FRINTZ
    case 0b001001:
    case 0b001010:
    case 0b001011: value = fp_round(context, esize, a, static_cast<Rounding>(opcode & 3), false); break;
    case 0b001100: value = fp_round(context, esize, a, Rounding::kTieAway, false); break;
    case 0b001110: value = fp_round(context, esize, a, context.rounding(), true); break;   // FRINTX
    case 0b001111: value = fp_round(context, esize, a, context.rounding(), false); break;  // FRINTI
    case 0b010000: value = fp_round_in_range(context, esize, a, Rounding::kZero, 32); break;
    case 0b010001: value = fp_round_in_range(context, esize, a, context.rounding(), 32); break;
    case 0b010010: value = fp_round_in_range(context, esize, a, Rounding::kZero, 64); break;
    case 0b010011: value = fp_round_in_range(context, esize, a, context.rounding(), 64); break;
    default: return false;
  }
  finish(cpu, insn, context, value);
  return true;
}

bool fp_two_source(CpuState& cpu, uint32_t insn) {
  static constexpr FpBinary kOperations[] = {FpBinary::kMultiply,      FpBinary::kDivide,        FpBinary::kAdd,
                                             FpBinary::kSubtract,      FpBinary::kMaximum,       FpBinary::kMinimum,
                                             FpBinary::kMaximumNumber, FpBinary::kMinimumNumber, FpBinary::kNegatedMultiply};
  const unsigned esize = format_of(insn), opcode = field(insn, 15, 12);
  if (m_or_s(insn) || esize == kUnallocated || opcode >= std::size(kOperations)) return false;
  FpContext context{cpu.fpcr, 0};
  const uint64_t value =
      fp_binary(context, kOperations[opcode], esize, scalar(cpu, rn(insn), esize), scalar(cpu, rm(insn), esize));
  finish(cpu, insn, context, value);
  return true;
}

bool fp_three_source(CpuState& cpu, uint32_t insn) {
  const unsigned esize = format_of(insn);
  if (m_or_s(insn) || esize == kUnallocated) return false;
  const bool negate_all = bit(insn, 21), subtract = bit(insn, 15);  // FMADD, FMSUB, FNMADD, FNMSUB
  uint64_t addend = scalar(cpu, field(insn, 14, 10), esize), a = scalar(cpu, rn(insn), esize);
  if (negate_all) addend = fp_negate(esize, addend);
  if (negate_all != subtract) a = fp_negate(esize, a);
  FpContext context{cpu.fpcr, 0};
  const uint64_t value = fp_multiply_add(context, esize, addend, a, scalar(cpu, rm(insn), esize));
  finish(cpu, insn, context, value);
  return true;
}

bool fp_compare(CpuState& cpu, uint32_t insn) {
  const unsigned esize = format_of(insn);
  if (m_or_s(insn) || esize == kUnallocated || field(insn, 15, 14) != 0 || field(insn, 2, 0) != 0) return false;
  const bool with_zero = bit(insn, 3);
  return compare_and_set(cpu, insn, esize, with_zero ? 0 : scalar(cpu, rm(insn), esize), bit(insn, 4));
}

bool fp_conditional_compare(CpuState& cpu, uint32_t insn) {
  const unsigned esize = format_of(insn);
  if (m_or_s(insn) || esize == kUnallocated) return false;
  if (condition_holds(cpu.nzcv(), field(insn, 15, 12))) {
    return compare_and_set(cpu, insn, esize, scalar(cpu, rm(insn), esize), bit(insn, 4));
  }
  cpu.set_nzcv(field(insn, 3, 0));
  return true;
}

bool fp_conditional_select(CpuState& cpu, uint32_t insn) {
  const unsigned esize = format_of(insn);
  if (m_or_s(insn) || esize == kUnallocated) return false;
  const unsigned source = condition_holds(cpu.nzcv(), field(insn, 15, 12)) ? rn(insn) : rm(insn);
  cpu.v[rd(insn)] = scalar_vector(scalar(cpu, source, esize));
  return true;
}

bool fp_immediate(CpuState& cpu, uint32_t insn) {
  const unsigned esize = format_of(insn);
  if (m_or_s(insn) || esize == kUnallocated || field(insn, 9, 5) != 0) return false;
  cpu.v[rd(insn)] = scalar_vector(fp_expand_immediate(esize, static_cast<uint8_t>(field(insn, 20, 13))));
  return true;
}

}  // namespace adyton::engine::interp
