// Scalar floating point, Advanced SIMD and cryptography (Arm ARM C4.1.95, "Data Processing -- Scalar Floating-Point and Advanced
// SIMD").
#include "engine/interp/execute.h"
#include "engine/interp/simd.h"

namespace adyton::engine::interp {

namespace {

bool execute_advanced_simd_vector(CpuState& cpu, uint32_t insn) {
  // Bit 31 and bit 28 are 0, bits 27:25 are 111.
  if (!bit(insn, 24)) {
    if (bit(insn, 21)) {
      if (bit(insn, 10)) return simd_three_same(cpu, insn, false);
      if (!bit(insn, 11)) return simd_three_different(cpu, insn, false);
      switch (field(insn, 20, 17)) {
        case 0b0000: return simd_two_reg_misc(cpu, insn, false);
        case 0b1000: return simd_across_lanes(cpu, insn);
        // 0b0100 with U clear and size 0 is AES, whose bit 28 is 0 as well.
        case 0b0100: return is_q(insn) && !is_u(insn) && crypto_aes(cpu, insn);
        default: return false;
      }
    }
    if (bit(insn, 15) && bit(insn, 10)) return simd_three_same_extra(cpu, insn, false);
    if (bit(insn, 15)) return false;
    if (bit(insn, 10)) return size_field(insn) == 0 && simd_copy(cpu, insn);  // the rest: half-precision "three same"
    if (is_u(insn)) return simd_extract(cpu, insn);
    return bit(insn, 11) ? simd_permute(cpu, insn) : simd_table(cpu, insn);
  }
  if (!bit(insn, 10)) return simd_by_element(cpu, insn, false);
  if (bit(insn, 23)) return false;
  return field(insn, 22, 19) == 0 ? simd_modified_immediate(cpu, insn) : simd_shift_immediate(cpu, insn, false);
}

bool execute_advanced_simd_scalar(CpuState& cpu, uint32_t insn) {
  // Bits 31:30 are 01, bits 28:25 are 1111.
  if (!bit(insn, 24)) {
    if (bit(insn, 21)) {
      if (bit(insn, 10)) return simd_three_same(cpu, insn, true);
      if (!bit(insn, 11)) return simd_three_different(cpu, insn, true);
      switch (field(insn, 20, 17)) {
        case 0b0000: return simd_two_reg_misc(cpu, insn, true);
        case 0b1000: return simd_scalar_pairwise(cpu, insn);
        case 0b0100: return !is_u(insn) && crypto_sha_two_reg(cpu, insn);
        default: return false;
      }
    }
    if (bit(insn, 15)) return bit(insn, 10) && simd_three_same_extra(cpu, insn, true);
    if (bit(insn, 10)) return size_field(insn) == 0 && !is_u(insn) && simd_scalar_copy(cpu, insn);
    return !bit(insn, 11) && !is_u(insn) && crypto_sha_three_reg(cpu, insn);
  }
  if (!bit(insn, 10)) return simd_by_element(cpu, insn, true);
  return !bit(insn, 23) && field(insn, 22, 19) != 0 && simd_shift_immediate(cpu, insn, true);
}

bool execute_scalar_fp(CpuState& cpu, uint32_t insn) {
  // Bit 30 is 0, bits 28:25 are 1111.
  if (bit(insn, 24)) return fp_three_source(cpu, insn);
  if (!bit(insn, 21)) return fp_fixed_conversion(cpu, insn);
  switch (field(insn, 11, 10)) {
    case 0b01: return fp_conditional_compare(cpu, insn);
    case 0b10: return fp_two_source(cpu, insn);
    case 0b11: return fp_conditional_select(cpu, insn);
    default: break;
  }
  if (bit(insn, 12)) return fp_immediate(cpu, insn);
  if (bit(insn, 13)) return fp_compare(cpu, insn);
  if (bit(insn, 14)) return fp_one_source(cpu, insn);
  return !bit(insn, 15) && fp_integer_conversion(cpu, insn);
}

}  // namespace

Outcome execute_simd_fp(CpuState& cpu, Environment&, uint32_t insn) {
  bool allocated;
  if (!bit(insn, 28)) {
    allocated = !bit(insn, 31) && execute_advanced_simd_vector(cpu, insn);
  } else if (bit(insn, 30)) {
    allocated = !bit(insn, 31) && execute_advanced_simd_scalar(cpu, insn);
  } else {
    allocated = execute_scalar_fp(cpu, insn);
  }
  return allocated ? Outcome::kDone : undefined(cpu);
}

}  // namespace adyton::engine::interp
