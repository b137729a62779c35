// Advanced SIMD "two-register miscellaneous", vector and scalar.
#include <bit>
#include <optional>

#include "engine/interp/fp_element.h"
#include "engine/interp/simd.h"

namespace adyton::engine::interp {

namespace {

using fp::Rounding;

void finish(CpuState& cpu, uint32_t insn, const Vector& result, const FpContext& context) {
  cpu.v[rd(insn)] = result;
  cpu.fpsr |= context.fpsr;
}

// REV16, REV32, REV64: reverses the lanes of each container.
bool reverse(CpuState& cpu, uint32_t insn, unsigned container, unsigned esize) {
  if (esize >= container) return false;
  const Vector n = cpu.v[rn(insn)];
  const unsigned per_container = container / esize;
  Vector result{};
  for (unsigned i = 0; i < lanes(insn, esize, false); ++i) set_lane(result, i ^ (per_container - 1), esize, lane(n, i, esize));
  cpu.v[rd(insn)] = result;
  return true;
}

// SADDLP, UADDLP, SADALP, UADALP
bool add_long_pairs(CpuState& cpu, uint32_t insn, unsigned esize, bool accumulates) {
  if (esize == 64) return false;
  const Vector n = cpu.v[rn(insn)], d = cpu.v[rd(insn)];
  const bool u = is_u(insn);
  Vector result{};
  for (unsigned i = 0; i < lanes(insn, 2 * esize, false); ++i) {
    const Int128 sum = integer_lane(n, 2 * i, esize, u) + integer_lane(n, 2 * i + 1, esize, u);
    set_lane(result, i, 2 * esize, accumulates ? sum + integer_lane(d, i, 2 * esize, u) : sum);
  }
  cpu.v[rd(insn)] = result;
  return true;
}

// XTN, SQXTN, UQXTN, SQXTUN
bool narrow(CpuState& cpu, uint32_t insn, unsigned opcode, unsigned esize, bool scalar) {
  const bool u = is_u(insn), saturates = opcode == 0b10100 || u;
  if (esize == 64 || (scalar && !saturates)) return false;
  const bool unsigned_result = u, unsigned_source = u && opcode == 0b10100;
  const Vector n = cpu.v[rn(insn)];
  FpContext context{cpu.fpcr, 0};
  Vector result{};
  for (unsigned i = 0; i < (scalar ? 1 : 64 / esize); ++i) {
    const Int128 value = integer_lane(n, i, 2 * esize, unsigned_source);
    set_lane(result, i, esize, saturates ? saturate(context, value, esize, unsigned_result) : static_cast<uint64_t>(value));
  }
  write_half(cpu, rd(insn), !scalar && is_q(insn), result.d[0]);
  cpu.fpsr |= context.fpsr;
  return true;
}

bool shift_left_long(CpuState& cpu, uint32_t insn, unsigned esize) {
  if (esize == 64) return false;
  const uint64_t source = cpu.v[rn(insn)].d[is_q(insn)];
  Vector result{};
  for (unsigned i = 0; i < 64 / esize; ++i) set_lane(result, i, 2 * esize, lane({{source, 0}}, i, esize) << esize);
  cpu.v[rd(insn)] = result;
  return true;
}

uint64_t count_leading_sign_bits(int64_t value, unsigned esize) {
  const auto magnitude = static_cast<uint64_t>(value < 0 ? ~value : value);
  return static_cast<uint64_t>(std::countl_zero(magnitude)) - (64 - esize) - 1;
}

uint64_t reverse_bits(uint64_t byte) {
  uint64_t reversed = 0;
  for (unsigned i = 0; i < 8; ++i) reversed |= ((byte >> i) & 1) << (7 - i);
  return reversed;
}

// One lane of the instructions that map a lane to a lane.
std::optional<uint64_t> integer_lane_result(FpContext& context, unsigned opcode, bool u, unsigned esize, bool scalar,
                                            const Vector& n, const Vector& d, unsigned i) {
  const uint64_t raw = lane(n, i, esize);
  const Int128 value = signed_lane(n, i, esize);
  const auto mask = [&](bool holds) { return holds ? ones(esize) : 0; };
  switch (opcode) {
    case 0b00011:  // SUQADD, USQADD: the addends differ in signedness
      return saturate(context, integer_lane(d, i, esize, u) + integer_lane(n, i, esize, !u), esize, u);
    case 0b00111:  // SQABS, SQNEG
      return saturate(context, u || value < 0 ? -value : value, esize, false);
    default: break;
  }
  if (scalar && esize != 64) return std::nullopt;
  switch (opcode) {
    case 0b01000: return mask(u ? value >= 0 : value > 0);   // CMGE, CMGT zero
    case 0b01001: return mask(u ? value <= 0 : value == 0);  // CMLE, CMEQ zero
    case 0b01010:                                            // CMLT zero
      if (u) return std::nullopt;
      return mask(value < 0);
    case 0b01011: return static_cast<uint64_t>(u || value < 0 ? -value : value);  // NEG, ABS
    default: break;
  }
  if (scalar || esize == 64) return std::nullopt;
  switch (opcode) {
    case 0b00100:  // CLS, CLZ
      if (u) return static_cast<uint64_t>(std::countl_zero(raw)) - (64 - esize);
      return count_leading_sign_bits(static_cast<int64_t>(value), esize);
    case 0b00101:  // CNT
      if (u || esize != 8) return std::nullopt;
      return static_cast<uint64_t>(std::popcount(raw));
    default: return std::nullopt;
  }
}

bool bitwise(CpuState& cpu, uint32_t insn) {
  // NOT, RBIT: always on bytes, `size` selects.
  if (size_field(insn) > 1) return false;
  const Vector n = cpu.v[rn(insn)];
  Vector result{};
  for (unsigned i = 0; i < lanes(insn, 8, false); ++i) {
    const uint64_t byte = lane(n, i, 8);
    set_lane(result, i, 8, size_field(insn) == 0 ? ~byte : reverse_bits(byte));
  }
  cpu.v[rd(insn)] = result;
  return true;
}

bool integer_two_reg_misc(CpuState& cpu, uint32_t insn, bool scalar, unsigned opcode) {
  const unsigned esize = 8u << size_field(insn);
  const bool u = is_u(insn);
  if (opcode == 0b10010 || opcode == 0b10100) return narrow(cpu, insn, opcode, esize, scalar);
  if (!scalar) {
    switch (opcode) {
      case 0b00000: return reverse(cpu, insn, u ? 32 : 64, esize);
      case 0b00001: return !u && reverse(cpu, insn, 16, esize);
      case 0b00010:
      case 0b00110: return add_long_pairs(cpu, insn, esize, opcode == 0b00110);
      case 0b00101:
        if (u) return bitwise(cpu, insn);
        break;
      case 0b10011: return u && shift_left_long(cpu, insn, esize);
      default: break;
    }
    if (esize == 64 && !is_q(insn)) return false;
  }
  FpContext context{cpu.fpcr, 0};
  Vector result{};
  for (unsigned i = 0; i < lanes(insn, esize, scalar); ++i) {
    const auto value = integer_lane_result(context, opcode, u, esize, scalar, cpu.v[rn(insn)], cpu.v[rd(insn)], i);
    if (!value) return false;
    set_lane(result, i, esize, *value);
  }
  finish(cpu, insn, result, context);
  return true;
}

// FCVTN, FCVTXN, FCVTL
bool convert_format(CpuState& cpu, uint32_t insn, bool scalar, unsigned opcode) {
  const bool u = is_u(insn), sz = bit(insn, 22);
  FpContext context{cpu.fpcr, 0};
  Vector result{};
  if (opcode == 0b10111) {
    if (u || scalar) return false;
    const unsigned esize = sz ? 32 : 16;
    const Vector half = scalar_vector(cpu.v[rn(insn)].d[is_q(insn)]);
    for (unsigned i = 0; i < 64 / esize; ++i) {
      set_lane(result, i, 2 * esize, fp_convert(context, esize, 2 * esize, lane(half, i, esize), context.rounding()));
    }
    finish(cpu, insn, result, context);
    return true;
  }
  if (u ? !sz : scalar) return false;
  const unsigned esize = sz ? 32 : 16;
  const Vector n = cpu.v[rn(insn)];
  for (unsigned i = 0; i < (scalar ? 1 : 64 / esize); ++i) {
    const Rounding rounding = u ? Rounding::kOdd : context.rounding();
    set_lane(result, i, esize, fp_convert(context, 2 * esize, esize, lane(n, i, 2 * esize), rounding));
  }
  write_half(cpu, rd(insn), !scalar && is_q(insn), result.d[0]);
  cpu.fpsr |= context.fpsr;
  return true;
}

// One lane, selected by U:a:opcode as `selector`.
std::optional<uint64_t> fp_lane_result(FpContext& context, unsigned selector, unsigned esize, bool scalar, uint64_t value) {
  constexpr unsigned kA = 1 << 5, kU = 1 << 6;
  const auto compare = [&](FpBinary operation, uint64_t x, uint64_t y) { return fp_binary(context, operation, esize, x, y); };
  const auto to_integer = [&](Rounding rounding) {
    return fp_to_fixed(context, esize, value, 0, selector & kU, esize, rounding);
  };
  const auto unary = [&](FpUnary operation) { return fp_unary(context, operation, esize, value); };
  switch (selector) {
    case kA | 0b01100: return compare(FpBinary::kGreater, value, 0);            // FCMGT zero
    case kA | 0b01101: return compare(FpBinary::kEqual, value, 0);              // FCMEQ zero
    case kA | 0b01110: return compare(FpBinary::kGreater, 0, value);            // FCMLT zero
    case kU | kA | 0b01100: return compare(FpBinary::kGreaterEqual, value, 0);  // FCMGE zero
    case kU | kA | 0b01101: return compare(FpBinary::kGreaterEqual, 0, value);  // FCMLE zero
    case 0b11010:
    case kU | 0b11010: return to_integer(Rounding::kTieEven);  // FCVTN
    case 0b11011:
    case kU | 0b11011: return to_integer(Rounding::kMinusInfinity);  // FCVTM
    case 0b11100:
    case kU | 0b11100: return to_integer(Rounding::kTieAway);  // FCVTA
    case kA | 0b11010:
    case kU | kA | 0b11010: return to_integer(Rounding::kPlusInfinity);  // FCVTP
    case kA | 0b11011:
    case kU | kA | 0b11011: return to_integer(Rounding::kZero);  // FCVTZ
    case 0b11101:
    case kU | 0b11101: return fp_from_fixed(context, esize, value, 0, selector & kU, esize);  // SCVTF, UCVTF
    case kA | 0b11101: return unary(FpUnary::kReciprocalEstimate);
    case kU | kA | 0b11101: return unary(FpUnary::kReciprocalSqrtEstimate);
    case kA | 0b11111:  // FRECPX
      if (!scalar) return std::nullopt;
      return unary(FpUnary::kReciprocalExponent);
    default: break;
  }
  if (scalar) return std::nullopt;
  const auto round = [&](Rounding rounding, bool exact) { return fp_round(context, esize, value, rounding, exact); };
  const auto round_in_range = [&](Rounding rounding, unsigned bits) {
    return fp_round_in_range(context, esize, value, rounding, bits);
  };
  switch (selector) {
    case kA | 0b01111: return unary(FpUnary::kAbsolute);
    case kU | kA | 0b01111: return unary(FpUnary::kNegate);
    case 0b11000: return round(Rounding::kTieEven, false);             // FRINTN
    case 0b11001: return round(Rounding::kMinusInfinity, false);       // FRINTM
    case kA | 0b11000: return round(Rounding::kPlusInfinity, false);   // FRINTP
    case kA | 0b11001: return round(Rounding::kZero, false);           // FRINTZ
    case kU | 0b11000: return round(Rounding::kTieAway, false);        // FRINTA
    case kU | 0b11001: return round(context.rounding(), true);         // FRINTX
    case kU | kA | 0b11001: return round(context.rounding(), false);   // FRINTI
    case 0b11110: return round_in_range(Rounding::kZero, 32);          // FRINT32Z
    case 0b11111: return round_in_range(Rounding::kZero, 64);          // FRINT64Z
    case kU | 0b11110: return round_in_range(context.rounding(), 32);  // FRINT32X
    case kU | 0b11111: return round_in_range(context.rounding(), 64);  // FRINT64X
    case kA | 0b11100:                                                 // URECPE
    case kU | kA | 0b11100: {                                          // URSQRTE
      if (esize == 64) return std::nullopt;
      const auto word = static_cast<uint32_t>(value);
      return (selector & kU) ? fp::unsigned_reciprocal_sqrt_estimate(word) : fp::unsigned_reciprocal_estimate(word);
    }
    case kU | kA | 0b11111: return unary(FpUnary::kSquareRoot);
    default: return std::nullopt;
  }
}

bool fp_two_reg_misc(CpuState& cpu, uint32_t insn, bool scalar, unsigned opcode) {
  const bool a = bit(insn, 23);
  if (opcode == 0b10110 || opcode == 0b10111) return !a && convert_format(cpu, insn, scalar, opcode);
  const unsigned esize = bit(insn, 22) ? 64 : 32;
  if (!scalar && esize == 64 && !is_q(insn)) return false;
  const unsigned selector = (is_u(insn) ? 1u << 6 : 0) | (a ? 1u << 5 : 0) | opcode;
  const Vector n = cpu.v[rn(insn)];
  FpContext context{cpu.fpcr, 0};
  Vector result{};
  for (unsigned i = 0; i < lanes(insn, esize, scalar); ++i) {
    const auto value = fp_lane_result(context, selector, esize, scalar, lane(n, i, esize));
    if (!value) return false;
    set_lane(result, i, esize, *value);
  }
  finish(cpu, insn, result, context);
  return true;
}

}  // namespace

bool simd_two_reg_misc(CpuState& cpu, uint32_t insn, bool scalar) {
  const unsigned opcode = field(insn, 16, 12);
  if ((opcode >= 0b01100 && opcode <= 0b01111) || opcode >= 0b10110) return fp_two_reg_misc(cpu, insn, scalar, opcode);
  return integer_two_reg_misc(cpu, insn, scalar, opcode);
}

}  // namespace adyton::engine::interp
