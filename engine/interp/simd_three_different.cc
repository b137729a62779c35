// Advanced SIMD "three different": operands and result of different widths.
#include "engine/interp/simd.h"

namespace adyton::engine::interp {

namespace {

// PMULL, PMULL2: polynomials over GF(2); 8 x 8 -> 16 bits or 64 x 64 -> 128 bits.
bool polynomial_multiply_long(CpuState& cpu, uint32_t insn) {
  const uint64_t n = cpu.v[rn(insn)].d[is_q(insn)], m = cpu.v[rm(insn)].d[is_q(insn)];
  Vector result{};
  if (size_field(insn) == 3) {
    unsigned __int128 product = 0;
    for (unsigned i = 0; i < 64; ++i) {
      if (bit(m, i)) product ^= static_cast<unsigned __int128>(n) << i;
    }
    result = {{static_cast<uint64_t>(product), static_cast<uint64_t>(product >> 64)}};
  } else if (size_field(insn) == 0) {
    for (unsigned e = 0; e < 8; ++e) {
      const auto a = static_cast<uint8_t>(n >> (8 * e)), b = static_cast<uint8_t>(m >> (8 * e));
      uint64_t product = 0;
      for (unsigned i = 0; i < 8; ++i) {
        if (bit(b, i)) product ^= uint64_t{a} << i;
      }
      set_lane(result, e, 16, product);
    }
  } else {
    return false;
  }
  cpu.v[rd(insn)] = result;
  return true;
}

// ADDHN, SUBHN and their rounding forms: the high half of each wide lane.
bool high_narrow(CpuState& cpu, uint32_t insn, bool subtracts, unsigned esize) {
  const Vector n = cpu.v[rn(insn)], m = cpu.v[rm(insn)];
  Vector narrow{};
  for (unsigned i = 0; i < 64 / esize; ++i) {
    const uint64_t a = lane(n, i, 2 * esize), b = lane(m, i, 2 * esize);
    const uint64_t rounding = is_u(insn) ? uint64_t{1} << (esize - 1) : 0;
    const uint64_t wide = (subtracts ? a - b : a + b) + rounding;
    set_lane(narrow, i, esize, wide >> esize);
  }
  write_half(cpu, rd(insn), is_q(insn), narrow.d[0]);
  return true;
}

}  // namespace

bool simd_three_different(CpuState& cpu, uint32_t insn, bool scalar) {
  const unsigned opcode = field(insn, 15, 12), esize = 8u << size_field(insn), wide = 2 * esize;
  const bool u = is_u(insn);
  if (opcode == 0b1111) return false;
  if (opcode == 0b1110) return !scalar && !u && polynomial_multiply_long(cpu, insn);
  if (esize == 64) return false;
  const bool doubling = (opcode & 0b1001) == 0b1001;  // SQDMLAL, SQDMLSL, SQDMULL
  if (doubling ? u || esize == 8 : scalar) return false;
  if (opcode == 0b0100 || opcode == 0b0110) return high_narrow(cpu, insn, opcode == 0b0110, esize);

  const Vector n = cpu.v[rn(insn)], m = cpu.v[rm(insn)], d = cpu.v[rd(insn)];
  const unsigned count = scalar ? 1 : 64 / esize, first = scalar || !is_q(insn) ? 0 : count;
  FpContext context{cpu.fpcr, 0};
  Vector result{};
  for (unsigned i = 0; i < count; ++i) {
    const Int128 a = integer_lane(n, first + i, esize, u), b = integer_lane(m, first + i, esize, u);
    const Int128 a_wide = integer_lane(n, i, wide, u), accumulator = integer_lane(d, i, wide, u);
    const Int128 difference = a > b ? a - b : b - a;
    const auto double_multiply = [&](int accumulate) -> Int128 {
      return static_cast<Int128>(doubling_multiply_long(context, static_cast<int64_t>(accumulator), static_cast<int64_t>(a),
                                                        static_cast<int64_t>(b), esize, accumulate));
    };
    Int128 value = 0;
    switch (opcode) {
      case 0b0000: value = a + b; break;                     // SADDL, UADDL
      case 0b0001: value = a_wide + b; break;                // SADDW, UADDW
      case 0b0010: value = a - b; break;                     // SSUBL, USUBL
      case 0b0011: value = a_wide - b; break;                // SSUBW, USUBW
      case 0b0101: value = accumulator + difference; break;  // SABAL, UABAL
      case 0b0111: value = difference; break;                // SABDL, UABDL
      case 0b1000: value = accumulator + a * b; break;       // SMLAL, UMLAL
      case 0b1010: value = accumulator - a * b; break;       // SMLSL, UMLSL
      case 0b1100: value = a * b; break;                     // SMULL, UMULL
      case 0b1001: value = double_multiply(1); break;        // SQDMLAL
      case 0b1011: value = double_multiply(-1); break;       // SQDMLSL
      case 0b1101: value = double_multiply(0); break;        // SQDMULL
    }
    set_lane(result, i, wide, value);
  }
  cpu.v[rd(insn)] = result;
  cpu.fpsr |= context.fpsr;
  return true;
}

}  // namespace adyton::engine::interp
