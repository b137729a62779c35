// Advanced SIMD instructions that move lanes about or fold them: copy, permute, extract, table lookup, across lanes, scalar
// pairwise.
#include <algorithm>
#include <bit>

#include "engine/interp/fp_element.h"
#include "engine/interp/simd.h"

namespace adyton::engine::interp {

namespace {

// imm5 of the copy group: the lowest set bit tells the size, the bits above it the index.
struct CopyIndex {
  unsigned size, index;  // size is log2 of bytes; 4 when unallocated
};
CopyIndex copy_index(uint32_t insn) {
  const unsigned imm5 = field(insn, 20, 16);
  const auto size = static_cast<unsigned>(std::countr_zero(imm5 | 16));
  return {size, imm5 >> (size + 1)};
}

// The operation of U:size<1> in the reductions FMAXNMV, FMAXNMP and so on.
FpBinary extremum(bool number, bool minimum) {
  if (number) return minimum ? FpBinary::kMinimumNumber : FpBinary::kMaximumNumber;
  return minimum ? FpBinary::kMinimum : FpBinary::kMaximum;
}

}  // namespace

bool simd_copy(CpuState& cpu, uint32_t insn) {
  const auto [size, index] = copy_index(insn);
  if (size > 3) return false;
  const bool q = is_q(insn);
  const unsigned esize = 8u << size, imm4 = field(insn, 14, 11);
  const unsigned d = rd(insn), n = rn(insn);
  if (is_u(insn)) {  // INS (element)
    if (!q) return false;
    set_lane(cpu.v[d], index, esize, lane(cpu.v[n], imm4 >> size, esize));
    return true;
  }
  switch (imm4) {
    case 0b0000:  // DUP (element), DUP (general)
    case 0b0001: {
      if (size == 3 && !q) return false;
      const uint64_t value = imm4 == 0 ? lane(cpu.v[n], index, esize) : read_x(cpu, n);
      Vector result{};
      for (unsigned i = 0; i < lanes(insn, esize, false); ++i) set_lane(result, i, esize, value);
      cpu.v[d] = result;
      return true;
    }
    case 0b0011:  // INS (general)
      if (!q) return false;
      set_lane(cpu.v[d], index, esize, read_x(cpu, n));
      return true;
    case 0b0101:  // SMOV
      if (size > (q ? 2u : 1u)) return false;
      write_reg(cpu, d, q, static_cast<uint64_t>(signed_lane(cpu.v[n], index, esize)));
      return true;
    case 0b0111:  // UMOV
      if (q ? size != 3 : size == 3) return false;
      write_x(cpu, d, lane(cpu.v[n], index, esize));
      return true;
    default: return false;
  }
}

bool simd_scalar_copy(CpuState& cpu, uint32_t insn) {
  const auto [size, index] = copy_index(insn);
  if (size > 3 || field(insn, 14, 11) != 0) return false;
  cpu.v[rd(insn)] = scalar_vector(lane(cpu.v[rn(insn)], index, 8u << size));  // DUP (element), an alias of which is MOV
  return true;
}

bool simd_permute(CpuState& cpu, uint32_t insn) {
  const unsigned esize = 8u << size_field(insn), opcode = field(insn, 13, 12), count = lanes(insn, esize, false);
  const unsigned part = bit(insn, 14);
  if (opcode == 0 || (esize == 64 && !is_q(insn))) return false;
  const Vector n = cpu.v[rn(insn)], m = cpu.v[rm(insn)];
  Vector result{};
  for (unsigned i = 0; i < count; ++i) {
    uint64_t value = 0;
    switch (opcode) {
      case 0b01: {  // UZP: every second lane of m:n
        const unsigned source = 2 * i + part;
        value = source < count ? lane(n, source, esize) : lane(m, source - count, esize);
        break;
      }
      case 0b10: value = lane(i % 2 ? m : n, (i & ~1u) + part, esize); break;          // TRN
      case 0b11: value = lane(i % 2 ? m : n, part * count / 2 + i / 2, esize); break;  // ZIP
    }
    set_lane(result, i, esize, value);
  }
  cpu.v[rd(insn)] = result;
  return true;
}

bool simd_extract(CpuState& cpu, uint32_t insn) {
  const unsigned position = field(insn, 14, 11), count = lanes(insn, 8, false);
  if (size_field(insn) != 0 || bit(insn, 10) || position >= count) return false;
  const Vector n = cpu.v[rn(insn)], m = cpu.v[rm(insn)];
  Vector result{};
  for (unsigned i = 0; i < count; ++i) {
    const unsigned source = position + i;
    set_lane(result, i, 8, source < count ? lane(n, source, 8) : lane(m, source - count, 8));
  }
  cpu.v[rd(insn)] = result;
  return true;
}

bool simd_table(CpuState& cpu, uint32_t insn) {
  if (size_field(insn) != 0) return false;
  const unsigned registers = field(insn, 14, 13) + 1;
  const bool extends = bit(insn, 12);  // TBX keeps the destination where the index is out of range.
  const Vector indices = cpu.v[rm(insn)];
  Vector result{};
  for (unsigned i = 0; i < lanes(insn, 8, false); ++i) {
    const auto index = static_cast<unsigned>(lane(indices, i, 8));
    uint64_t value = extends ? lane(cpu.v[rd(insn)], i, 8) : 0;
    if (index < 16 * registers) value = lane(cpu.v[(rn(insn) + index / 16) % 32], index % 16, 8);
    set_lane(result, i, 8, value);
  }
  cpu.v[rd(insn)] = result;
  return true;
}

bool simd_across_lanes(CpuState& cpu, uint32_t insn) {
  const unsigned opcode = field(insn, 16, 12), size = size_field(insn);
  const bool u = is_u(insn);
  const Vector n = cpu.v[rn(insn)];
  if (opcode == 0b01100 || opcode == 0b01111) {  // FMAXNMV, FMINNMV, FMAXV, FMINV of 4S
    if (!u || !is_q(insn) || bit(insn, 22)) return false;
    const FpBinary operation = extremum(opcode == 0b01100, bit(insn, 23));
    FpContext context{cpu.fpcr, 0};
    const uint64_t low = fp_binary(context, operation, 32, lane(n, 0, 32), lane(n, 1, 32));
    const uint64_t high = fp_binary(context, operation, 32, lane(n, 2, 32), lane(n, 3, 32));
    cpu.v[rd(insn)] = scalar_vector(fp_binary(context, operation, 32, low, high));
    cpu.fpsr |= context.fpsr;
    return true;
  }
  if (size == 3 || (size == 2 && !is_q(insn))) return false;
  const unsigned esize = 8u << size;
  Int128 value = integer_lane(n, 0, esize, u);
  for (unsigned i = 1; i < lanes(insn, esize, false); ++i) {
    const Int128 next = integer_lane(n, i, esize, u);
    value = opcode == 0b01010 ? std::max(value, next) : opcode == 0b11010 ? std::min(value, next) : value + next;
  }
  unsigned result_size = esize;
  switch (opcode) {
    case 0b00011: result_size = 2 * esize; break;  // SADDLV, UADDLV
    case 0b01010:                                  // SMAXV, UMAXV
    case 0b11010: break;                           // SMINV, UMINV
    case 0b11011:                                  // ADDV
      if (u) return false;
      break;
    default: return false;
  }
  cpu.v[rd(insn)] = scalar_vector(static_cast<uint64_t>(value) & ones(result_size));
  return true;
}

bool simd_scalar_pairwise(CpuState& cpu, uint32_t insn) {
  const unsigned opcode = field(insn, 16, 12);
  const Vector n = cpu.v[rn(insn)];
  if (!is_u(insn)) {  // ADDP; the floating-point forms with U clear are half precision
    if (opcode != 0b11011 || size_field(insn) != 3) return false;
    cpu.v[rd(insn)] = scalar_vector(n.d[0] + n.d[1]);
    return true;
  }
  const unsigned esize = bit(insn, 22) ? 64 : 32;
  const bool minimum = bit(insn, 23);
  FpBinary operation;
  switch (opcode) {
    case 0b01100: operation = extremum(true, minimum); break;
    case 0b01111: operation = extremum(false, minimum); break;
    case 0b01101:
      if (minimum) return false;
      operation = FpBinary::kAdd;
      break;
    default: return false;
  }
  FpContext context{cpu.fpcr, 0};
  cpu.v[rd(insn)] = scalar_vector(fp_binary(context, operation, esize, lane(n, 0, esize), lane(n, 1, esize)));
  cpu.fpsr |= context.fpsr;
  return true;
}

}  // namespace adyton::engine::interp
