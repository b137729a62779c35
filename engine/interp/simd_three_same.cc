// Advanced SIMD "three same" and "three same extra", vector and scalar.
#include <algorithm>
#include <optional>

#include "engine/interp/fp_element.h"
#include "engine/interp/simd.h"

namespace adyton::engine::interp {

namespace {

// The result of an unallocated encoding
constexpr std::optional<uint64_t> kUnallocated = std::nullopt;

bool logical(CpuState& cpu, uint32_t insn) {
  const Vector n = cpu.v[rn(insn)], m = cpu.v[rm(insn)], d = cpu.v[rd(insn)];
  Vector result{};
  for (unsigned i = 0; i < (is_q(insn) ? 2u : 1u); ++i) {
    const uint64_t a = n.d[i], b = m.d[i], c = d.d[i];
    switch ((is_u(insn) ? 4 : 0) | size_field(insn)) {
      case 0: result.d[i] = a & b; break;               // AND
      case 1: result.d[i] = a & ~b; break;              // BIC
      case 2: result.d[i] = a | b; break;               // ORR
      case 3: result.d[i] = a | ~b; break;              // ORN
      case 4: result.d[i] = a ^ b; break;               // EOR
      case 5: result.d[i] = b ^ ((b ^ a) & c); break;   // BSL
      case 6: result.d[i] = c ^ ((c ^ a) & b); break;   // BIT
      case 7: result.d[i] = c ^ ((c ^ a) & ~b); break;  // BIF
    }
  }
  cpu.v[rd(insn)] = result;
  return true;
}

bool pairwise_integer(CpuState& cpu, uint32_t insn, unsigned opcode, unsigned esize) {
  const bool u = is_u(insn);
  if (opcode == 0b10111 ? u : esize == 64) return false;
  const Vector n = cpu.v[rn(insn)], m = cpu.v[rm(insn)];
  const unsigned count = lanes(insn, esize, false);
  Vector result{};
  for (unsigned i = 0; i < count; ++i) {
    const Vector& source = 2 * i < count ? n : m;
    const unsigned first = 2 * i % count;
    const Int128 a = integer_lane(source, first, esize, u), b = integer_lane(source, first + 1, esize, u);
    set_lane(result, i, esize, opcode == 0b10111 ? a + b : opcode == 0b10100 ? std::max(a, b) : std::min(a, b));
  }
  cpu.v[rd(insn)] = result;
  return true;
}

uint8_t polynomial_multiply(uint64_t a, uint64_t b) {
  unsigned product = 0;
  for (unsigned i = 0; i < 8; ++i) {
    if (bit(b, i)) product ^= static_cast<unsigned>(a) << i;
  }
  return static_cast<uint8_t>(product);
}

// One lane; x and y are the operands as mathematical integers.
std::optional<uint64_t> integer_lane_result(FpContext& context, unsigned opcode, bool u, unsigned esize, bool scalar, Int128 x,
                                            Int128 y, Int128 z) {
  const auto raw = [](Int128 v) { return static_cast<uint64_t>(v); };
  const auto mask = [&](bool holds) { return holds ? ones(esize) : 0; };
  const bool doubleword = esize == 64;
  const int shift = static_cast<int8_t>(raw(y));
  // Those that the scalar form has in every size
  switch (opcode) {
    case 0b00001: return saturate(context, x + y, esize, u);                  // SQADD, UQADD
    case 0b00101: return saturate(context, x - y, esize, u);                  // SQSUB, UQSUB
    case 0b01001: return shift_by(context, x, shift, esize, u, false, true);  // SQSHL, UQSHL
    case 0b01011: return shift_by(context, x, shift, esize, u, true, true);   // SQRSHL, UQRSHL
    case 0b10110:                                                             // SQDMULH, SQRDMULH
      if (esize == 8 || doubleword) return kUnallocated;
      return doubling_multiply_high(context, sign_extend(raw(x), esize), sign_extend(raw(y), esize), esize, u);
    default: break;
  }
  if (scalar && !doubleword) return kUnallocated;
  // Those that the scalar form has for doublewords
  switch (opcode) {
    case 0b00110: return mask(x > y);                                          // CMGT, CMHI
    case 0b00111: return mask(x >= y);                                         // CMGE, CMHS
    case 0b01000: return shift_by(context, x, shift, esize, u, false, false);  // SSHL, USHL
    case 0b01010: return shift_by(context, x, shift, esize, u, true, false);   // SRSHL, URSHL
    case 0b10000: return raw(u ? x - y : x + y);                               // ADD, SUB
    case 0b10001: return mask(u ? x == y : (x & y) != 0);                      // CMTST, CMEQ
    default: break;
  }
  if (doubleword) return kUnallocated;
  // Vectors of up to 32-bit lanes only
  switch (opcode) {
    case 0b00000: return raw((x + y) >> 1);                 // SHADD, UHADD
    case 0b00010: return raw((x + y + 1) >> 1);             // SRHADD, URHADD
    case 0b00100: return raw((x - y) >> 1);                 // SHSUB, UHSUB
    case 0b01100: return raw(std::max(x, y));               // SMAX, UMAX
    case 0b01101: return raw(std::min(x, y));               // SMIN, UMIN
    case 0b01110: return raw(x > y ? x - y : y - x);        // SABD, UABD
    case 0b01111: return raw(z + (x > y ? x - y : y - x));  // SABA, UABA
    case 0b10010: return raw(u ? z - x * y : z + x * y);    // MLA, MLS
    case 0b10011:                                           // MUL, PMUL
      if (!u) return raw(x * y);
      if (esize != 8) return kUnallocated;
      return polynomial_multiply(raw(x), raw(y));
    default: return kUnallocated;
  }
}

bool integer_three_same(CpuState& cpu, uint32_t insn, bool scalar, unsigned opcode) {
  const unsigned esize = 8u << size_field(insn);
  if (!scalar && esize == 64 && !is_q(insn)) return false;
  if (opcode == 0b10100 || opcode == 0b10101 || opcode == 0b10111) return !scalar && pairwise_integer(cpu, insn, opcode, esize);
  const bool u = is_u(insn);
  FpContext context{cpu.fpcr, 0};
  Vector result{};
  for (unsigned i = 0; i < lanes(insn, esize, scalar); ++i) {
    const auto value =
        integer_lane_result(context, opcode, u, esize, scalar, integer_lane(cpu.v[rn(insn)], i, esize, u),
                            integer_lane(cpu.v[rm(insn)], i, esize, u), integer_lane(cpu.v[rd(insn)], i, esize, u));
    if (!value) return false;
    set_lane(result, i, esize, *value);
  }
  cpu.v[rd(insn)] = result;
  cpu.fpsr |= context.fpsr;
  return true;
}

// Binary operation of U:a:opcode<2:0>, or none; the pairwise ones are found apart.
struct FpEncoding {
  FpBinary operation;
  bool in_scalar;
};
std::optional<FpEncoding> fp_encoding(unsigned selector) {
  switch (selector) {
    case 0b00'000: return FpEncoding{FpBinary::kMaximumNumber, false};
    case 0b00'010: return FpEncoding{FpBinary::kAdd, false};
    case 0b00'011: return FpEncoding{FpBinary::kMultiplyExtended, true};
    case 0b00'100: return FpEncoding{FpBinary::kEqual, true};
    case 0b00'110: return FpEncoding{FpBinary::kMaximum, false};
    case 0b00'111: return FpEncoding{FpBinary::kReciprocalStep, true};
    case 0b01'000: return FpEncoding{FpBinary::kMinimumNumber, false};
    case 0b01'010: return FpEncoding{FpBinary::kSubtract, false};
    case 0b01'110: return FpEncoding{FpBinary::kMinimum, false};
    case 0b01'111: return FpEncoding{FpBinary::kReciprocalSqrtStep, true};
    case 0b10'011: return FpEncoding{FpBinary::kMultiply, false};
    case 0b10'100: return FpEncoding{FpBinary::kGreaterEqual, true};
    case 0b10'101: return FpEncoding{FpBinary::kAbsoluteGreaterEqual, true};
    case 0b10'111: return FpEncoding{FpBinary::kDivide, false};
    case 0b11'010: return FpEncoding{FpBinary::kAbsoluteDifference, true};
    case 0b11'100: return FpEncoding{FpBinary::kGreater, true};
    case 0b11'101: return FpEncoding{FpBinary::kAbsoluteGreater, true};
    default: return std::nullopt;
  }
}
std::optional<FpBinary> fp_pairwise_encoding(unsigned selector) {
  switch (selector) {
    case 0b10'000: return FpBinary::kMaximumNumber;
    case 0b10'010: return FpBinary::kAdd;
    case 0b10'110: return FpBinary::kMaximum;
    case 0b11'000: return FpBinary::kMinimumNumber;
    case 0b11'110: return FpBinary::kMinimum;
    default: return std::nullopt;
  }
}

bool fp_three_same(CpuState& cpu, uint32_t insn, bool scalar, unsigned opcode) {
  const unsigned esize = bit(insn, 22) ? 64 : 32;
  if (!scalar && esize == 64 && !is_q(insn)) return false;
  const bool a = bit(insn, 23), multiply_accumulate = opcode == 0b11001;
  const unsigned selector = (is_u(insn) ? 0b10'000 : 0) | (a ? 0b01'000 : 0) | (opcode & 7);
  const auto encoding = fp_encoding(selector);
  const auto pairwise = fp_pairwise_encoding(selector);
  if (multiply_accumulate ? scalar || is_u(insn) : encoding ? scalar && !encoding->in_scalar : scalar || !pairwise) return false;

  const Vector n = cpu.v[rn(insn)], m = cpu.v[rm(insn)], d = cpu.v[rd(insn)];
  FpContext context{cpu.fpcr, 0};
  Vector result{};
  const unsigned count = lanes(insn, esize, scalar);
  for (unsigned i = 0; i < count; ++i) {
    uint64_t value;
    if (multiply_accumulate) {  // FMLA, FMLS
      const uint64_t x = lane(n, i, esize);
      value = fp_multiply_add(context, esize, lane(d, i, esize), a ? fp_negate(esize, x) : x, lane(m, i, esize));
    } else if (encoding) {
      value = fp_binary(context, encoding->operation, esize, lane(n, i, esize), lane(m, i, esize));
    } else {
      const Vector& source = 2 * i < count ? n : m;
      const unsigned first = 2 * i % count;
      value = fp_binary(context, *pairwise, esize, lane(source, first, esize), lane(source, first + 1, esize));
    }
    set_lane(result, i, esize, value);
  }
  cpu.v[rd(insn)] = result;
  cpu.fpsr |= context.fpsr;
  return true;
}

// FCMLA and FCADD: lanes 2i and 2i+1 are the real and the imaginary part.
bool complex_arithmetic(CpuState& cpu, uint32_t insn, unsigned opcode) {
  const unsigned esize = 8u << size_field(insn);
  if (esize < 32 || (esize == 64 && !is_q(insn))) return false;
  const bool adds = (opcode & 0b1100) == 0b1100;
  if (adds && (opcode & 1)) return false;
  const Vector n = cpu.v[rn(insn)], m = cpu.v[rm(insn)], d = cpu.v[rd(insn)];
  FpContext context{cpu.fpcr, 0};
  Vector result{};
  for (unsigned i = 0; i < lanes(insn, esize, false); i += 2) {
    const uint64_t n_re = lane(n, i, esize), n_im = lane(n, i + 1, esize), m_re = lane(m, i, esize), m_im = lane(m, i + 1, esize);
    uint64_t re, im;
    if (adds) {
      const bool by_270 = opcode & 2;
      re = fp_binary(context, FpBinary::kAdd, esize, n_re, by_270 ? m_im : fp_negate(esize, m_im));
      im = fp_binary(context, FpBinary::kAdd, esize, n_im, by_270 ? fp_negate(esize, m_re) : m_re);
    } else {
      const unsigned rotation = opcode & 3;
      const uint64_t x = (rotation & 1) ? n_im : n_re;
      uint64_t to_re = (rotation & 1) ? m_im : m_re, to_im = (rotation & 1) ? m_re : m_im;
      if (rotation == 1 || rotation == 2) to_re = fp_negate(esize, to_re);
      if (rotation >= 2) to_im = fp_negate(esize, to_im);
      re = fp_multiply_add(context, esize, lane(d, i, esize), x, to_re);
      im = fp_multiply_add(context, esize, lane(d, i + 1, esize), x, to_im);
    }
    set_lane(result, i, esize, re);
    set_lane(result, i + 1, esize, im);
  }
  cpu.v[rd(insn)] = result;
  cpu.fpsr |= context.fpsr;
  return true;
}

}  // namespace

bool simd_three_same(CpuState& cpu, uint32_t insn, bool scalar) {
  const unsigned opcode = field(insn, 15, 11);
  if (opcode == 0b00011) return !scalar && logical(cpu, insn);
  return opcode >= 0b11000 ? fp_three_same(cpu, insn, scalar, opcode) : integer_three_same(cpu, insn, scalar, opcode);
}

bool simd_three_same_extra(CpuState& cpu, uint32_t insn, bool scalar) {
  const unsigned opcode = field(insn, 14, 11), esize = 8u << size_field(insn);
  const bool u = is_u(insn);
  const Vector n = cpu.v[rn(insn)], m = cpu.v[rm(insn)], d = cpu.v[rd(insn)];
  Vector result{};
  if (opcode <= 1) {  // SQRDMLAH, SQRDMLSH
    if (!u || esize == 8 || esize == 64) return false;
    FpContext context{cpu.fpcr, 0};
    for (unsigned i = 0; i < lanes(insn, esize, scalar); ++i) {
      set_lane(result, i, esize,
               doubling_multiply_accumulate_high(context, signed_lane(d, i, esize), signed_lane(n, i, esize),
                                                 signed_lane(m, i, esize), esize, opcode == 1));
    }
    cpu.fpsr |= context.fpsr;
  } else if (opcode == 2 && !scalar) {  // SDOT, UDOT
    if (esize != 32) return false;
    for (unsigned i = 0; i < lanes(insn, 32, false); ++i) {
      set_lane(result, i, 32,
               uint64_t{dot_product(static_cast<uint32_t>(lane(d, i, 32)), static_cast<uint32_t>(lane(n, i, 32)),
                                    static_cast<uint32_t>(lane(m, i, 32)), u)});
    }
  } else {
    return opcode >= 8 && u && !scalar && complex_arithmetic(cpu, insn, opcode);
  }
  cpu.v[rd(insn)] = result;
  return true;
}

}  // namespace adyton::engine::interp
