// Advanced SIMD "vector x indexed element" and "scalar x indexed element".
#include "engine/interp/fp_element.h"
#include "engine/interp/simd.h"

namespace adyton::engine::interp {

namespace {

struct Index {
  unsigned lane, reg;
};

// H:L:M with a 4-bit register for halfwords, H:L with a 5-bit register for words, H for doublewords.
Index element_index(uint32_t insn, unsigned esize) {
  const unsigned h = bit(insn, 11), l = bit(insn, 21), m = bit(insn, 20);
  if (esize == 16) return {(h << 2) | (l << 1) | m, field(insn, 19, 16)};
  if (esize == 32) return {(h << 1) | l, rm(insn)};
  return {h, rm(insn)};
}

bool fp_by_element(CpuState& cpu, uint32_t insn, bool scalar, unsigned opcode) {
  if (!bit(insn, 23)) return false;  // half precision
  const unsigned esize = bit(insn, 22) ? 64 : 32;
  const bool u = is_u(insn), multiplies = opcode == 0b1001;
  if (esize == 64 && (bit(insn, 21) || (!scalar && !is_q(insn)))) return false;
  if (u && !multiplies) return false;
  const Index index = element_index(insn, esize);
  const Vector n = cpu.v[rn(insn)], d = cpu.v[rd(insn)];
  const uint64_t element = lane(cpu.v[index.reg], index.lane, esize);
  FpContext context{cpu.fpcr, 0};
  Vector result{};
  for (unsigned i = 0; i < lanes(insn, esize, scalar); ++i) {
    const uint64_t a = lane(n, i, esize);
    uint64_t value;
    if (multiplies) {  // FMUL, FMULX
      value = fp_binary(context, u ? FpBinary::kMultiplyExtended : FpBinary::kMultiply, esize, a, element);
    } else {  // FMLA, FMLS
      value = fp_multiply_add(context, esize, lane(d, i, esize), opcode == 0b0101 ? fp_negate(esize, a) : a, element);
    }
    set_lane(result, i, esize, value);
  }
  cpu.v[rd(insn)] = result;
  cpu.fpsr |= context.fpsr;
  return true;
}

// FCMLA by element: single precision only, because FEAT_FP16 is absent.
bool complex_by_element(CpuState& cpu, uint32_t insn, unsigned opcode) {
  if (size_field(insn) != 2 || bit(insn, 21) || !is_q(insn)) return false;
  const unsigned rotation = opcode >> 1, index = bit(insn, 11);
  const Vector n = cpu.v[rn(insn)], d = cpu.v[rd(insn)], m = cpu.v[rm(insn)];
  const uint64_t m_re = lane(m, 2 * index, 32), m_im = lane(m, 2 * index + 1, 32);
  uint64_t to_re = (rotation & 1) ? m_im : m_re, to_im = (rotation & 1) ? m_re : m_im;
  if (rotation == 1 || rotation == 2) to_re = fp_negate(32, to_re);
  if (rotation >= 2) to_im = fp_negate(32, to_im);
  FpContext context{cpu.fpcr, 0};
  Vector result{};
  for (unsigned i = 0; i < 4; i += 2) {
    const uint64_t x = lane(n, i + (rotation & 1), 32);
    set_lane(result, i, 32, fp_multiply_add(context, 32, lane(d, i, 32), x, to_re));
    set_lane(result, i + 1, 32, fp_multiply_add(context, 32, lane(d, i + 1, 32), x, to_im));
  }
  cpu.v[rd(insn)] = result;
  cpu.fpsr |= context.fpsr;
  return true;
}

bool dot_by_element(CpuState& cpu, uint32_t insn) {
  if (size_field(insn) != 2) return false;
  const Index index = element_index(insn, 32);
  const Vector n = cpu.v[rn(insn)], d = cpu.v[rd(insn)];
  const auto element = static_cast<uint32_t>(lane(cpu.v[index.reg], index.lane, 32));
  Vector result{};
  for (unsigned i = 0; i < lanes(insn, 32, false); ++i) {
    set_lane(
        result, i, 32,
        uint64_t{dot_product(static_cast<uint32_t>(lane(d, i, 32)), static_cast<uint32_t>(lane(n, i, 32)), element, is_u(insn))});
  }
  cpu.v[rd(insn)] = result;
  return true;
}

}  // namespace

bool simd_by_element(CpuState& cpu, uint32_t insn, bool scalar) {
  const unsigned opcode = field(insn, 15, 12);
  const bool u = is_u(insn);
  if (opcode == 0b1001 || (!u && (opcode == 0b0001 || opcode == 0b0101))) return fp_by_element(cpu, insn, scalar, opcode);
  if (u && (opcode & 0b1001) == 0b0001) return !scalar && complex_by_element(cpu, insn, opcode);
  if (opcode == 0b1110) return !scalar && dot_by_element(cpu, insn);

  const unsigned esize = 8u << size_field(insn), wide = 2 * esize;
  if (esize != 16 && esize != 32) return false;
  enum class Form { kSame, kLong };
  Form form;
  bool in_scalar = false;
  switch ((u ? 0x10 : 0) | opcode) {
    case 0x00 | 0b0010:  // SMLAL, SMLSL, SMULL and unsigned
    case 0x00 | 0b0110:
    case 0x00 | 0b1010:
    case 0x10 | 0b0010:
    case 0x10 | 0b0110:
    case 0x10 | 0b1010: form = Form::kLong; break;
    case 0x00 | 0b0011:  // SQDMLAL, SQDMLSL, SQDMULL
    case 0x00 | 0b0111:
    case 0x00 | 0b1011:
      form = Form::kLong;
      in_scalar = true;
      break;
    case 0x00 | 0b1000:  // MUL, MLA, MLS
    case 0x10 | 0b0000:
    case 0x10 | 0b0100: form = Form::kSame; break;
    case 0x00 | 0b1100:  // SQDMULH, SQRDMULH, SQRDMLAH, SQRDMLSH
    case 0x00 | 0b1101:
    case 0x10 | 0b1101:
    case 0x10 | 0b1111:
      form = Form::kSame;
      in_scalar = true;
      break;
    default: return false;
  }
  if (scalar && !in_scalar) return false;

  const Index index = element_index(insn, esize);
  const Vector n = cpu.v[rn(insn)], d = cpu.v[rd(insn)];
  // MUL, MLA and MLS do not care for signs; of the others U tells, but SQRDMLAH and SQRDMLSH are signed.
  const bool is_unsigned = u && form == Form::kLong;
  const Int128 b = integer_lane(cpu.v[index.reg], index.lane, esize, is_unsigned);
  const auto b64 = static_cast<int64_t>(b);
  FpContext context{cpu.fpcr, 0};
  Vector result{};
  if (form == Form::kLong) {
    const unsigned count = scalar ? 1 : 64 / esize, first = scalar || !is_q(insn) ? 0 : count;
    for (unsigned i = 0; i < count; ++i) {
      const Int128 a = integer_lane(n, first + i, esize, is_unsigned), accumulator = integer_lane(d, i, wide, is_unsigned);
      const auto double_multiply = [&](int accumulate) -> Int128 {
        return static_cast<Int128>(
            doubling_multiply_long(context, static_cast<int64_t>(accumulator), static_cast<int64_t>(a), b64, esize, accumulate));
      };
      Int128 value = 0;
      switch (opcode) {
        case 0b0010: value = accumulator + a * b; break;
        case 0b0110: value = accumulator - a * b; break;
        case 0b1010: value = a * b; break;
        case 0b0011: value = double_multiply(1); break;
        case 0b0111: value = double_multiply(-1); break;
        case 0b1011: value = double_multiply(0); break;
      }
      set_lane(result, i, wide, value);
    }
  } else {
    for (unsigned i = 0; i < lanes(insn, esize, scalar); ++i) {
      const int64_t a = signed_lane(n, i, esize), accumulator = signed_lane(d, i, esize);
      uint64_t value = 0;
      switch (opcode) {
        case 0b1000: value = static_cast<uint64_t>(a * b64); break;
        case 0b0000: value = static_cast<uint64_t>(accumulator + a * b64); break;
        case 0b0100: value = static_cast<uint64_t>(accumulator - a * b64); break;
        case 0b1100: value = doubling_multiply_high(context, a, b64, esize, false); break;
        case 0b1101:
          value = u ? doubling_multiply_accumulate_high(context, accumulator, a, b64, esize, false)
                    : doubling_multiply_high(context, a, b64, esize, true);
          break;
        case 0b1111: value = doubling_multiply_accumulate_high(context, accumulator, a, b64, esize, true); break;
      }
      set_lane(result, i, esize, value);
    }
  }
  cpu.v[rd(insn)] = result;
  cpu.fpsr |= context.fpsr;
  return true;
}

}  // namespace adyton::engine::interp
