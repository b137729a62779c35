// Data processing with an immediate operand (Arm ARM C4.1.86 ff., C3.4).
#include "engine/interp/execute.h"
#include "engine/interp/logical_immediate.h"
#include "engine/interp/operands.h"

namespace adyton::engine::interp {
namespace {

Outcome pc_relative(CpuState& cpu, uint32_t insn) {
  const int64_t immediate = sign_extend((field(insn, 23, 5) << 2) | field(insn, 30, 29), 21);
  const uint64_t address = bit(insn, 31) ? (cpu.pc & ~0xfffull) + (static_cast<uint64_t>(immediate) << 12)  // ADRP
                                         : cpu.pc + static_cast<uint64_t>(immediate);                       // ADR
  write_x(cpu, rd(insn), address);
  return Outcome::kDone;
}

Outcome add_subtract(CpuState& cpu, uint32_t insn) {
  const bool is64 = bit(insn, 31), subtract = bit(insn, 30), set_flags = bit(insn, 29);
  const uint64_t immediate = static_cast<uint64_t>(field(insn, 21, 10)) << (bit(insn, 22) ? 12 : 0);
  const Sum sum = add_with_carry(read_reg_or_sp(cpu, rn(insn), is64), subtract ? ~immediate : immediate, subtract, is64);
  if (set_flags) {
    cpu.set_nzcv(sum.nzcv);
    write_reg(cpu, rd(insn), is64, sum.value);
  } else {
    write_reg_or_sp(cpu, rd(insn), is64, sum.value);
  }
  return Outcome::kDone;
}

Outcome logical(CpuState& cpu, uint32_t insn) {
  const bool is64 = bit(insn, 31);
  const auto masks = decode_bit_masks(bit(insn, 22), field(insn, 15, 10), field(insn, 21, 16), true);
  if (!masks || (!is64 && bit(insn, 22))) return undefined(cpu);
  const uint64_t operand = read_reg(cpu, rn(insn), is64), immediate = masks->wmask;
  switch (field(insn, 30, 29)) {
    case 0: write_reg_or_sp(cpu, rd(insn), is64, operand & immediate); break;
    case 1: write_reg_or_sp(cpu, rd(insn), is64, operand | immediate); break;
    case 2: write_reg_or_sp(cpu, rd(insn), is64, operand ^ immediate); break;
    case 3:
      cpu.set_nzcv(logical_nzcv(operand & immediate, is64));
      write_reg(cpu, rd(insn), is64, operand & immediate);
      break;
  }
  return Outcome::kDone;
}

Outcome move_wide(CpuState& cpu, uint32_t insn) {
  const bool is64 = bit(insn, 31);
  const unsigned shift = field(insn, 22, 21) * 16;
  if (!is64 && shift >= 32) return undefined(cpu);
  const uint64_t immediate = static_cast<uint64_t>(field(insn, 20, 5)) << shift;
  switch (field(insn, 30, 29)) {
    case 0: write_reg(cpu, rd(insn), is64, ~immediate); break;                                                   // MOVN
    case 2: write_reg(cpu, rd(insn), is64, immediate); break;                                                    // MOVZ
    case 3: write_reg(cpu, rd(insn), is64, (read_x(cpu, rd(insn)) & ~(0xffffull << shift)) | immediate); break;  // MOVK
    default: return undefined(cpu);
  }
  return Outcome::kDone;
}

Outcome bitfield(CpuState& cpu, uint32_t insn) {
  const bool is64 = bit(insn, 31), n = bit(insn, 22);
  const unsigned immr = field(insn, 21, 16), imms = field(insn, 15, 10), opc = field(insn, 30, 29);
  if (opc == 3 || n != is64 || (!is64 && (immr >= 32 || imms >= 32))) return undefined(cpu);
  const auto masks = decode_bit_masks(n, imms, immr, false);
  if (!masks) return undefined(cpu);
  const uint64_t source = read_reg(cpu, rn(insn), is64);
  const uint64_t destination = opc == 1 ? read_reg(cpu, rd(insn), is64) : 0;  // BFM keeps what it does not replace
  const uint64_t bottom = (destination & ~masks->wmask) | (shift_value(source, 3, immr, is64) & masks->wmask);
  const uint64_t top = opc == 0 ? (bit(source, imms) ? ~0ull : 0) : destination;  // SBFM fills with the sign
  write_reg(cpu, rd(insn), is64, (top & ~masks->tmask) | (bottom & masks->tmask));
  return Outcome::kDone;
}

Outcome extract(CpuState& cpu, uint32_t insn) {
  const bool is64 = bit(insn, 31);
  const unsigned lsb = field(insn, 15, 10);
  if (field(insn, 30, 29) != 0 || bit(insn, 21) || bit(insn, 22) != is64 || (!is64 && lsb >= 32)) return undefined(cpu);
  const unsigned width = is64 ? 64 : 32;
  const uint64_t high = read_reg(cpu, rn(insn), is64), low = read_reg(cpu, rm(insn), is64);
  write_reg(cpu, rd(insn), is64, lsb == 0 ? low : (low >> lsb) | (high << (width - lsb)));
  return Outcome::kDone;
}

}  // namespace

Outcome execute_data_processing_immediate(CpuState& cpu, Environment&, uint32_t insn) {
  switch (field(insn, 25, 23)) {
    case 0:
    case 1: return pc_relative(cpu, insn);
    case 2: return add_subtract(cpu, insn);
    case 4: return logical(cpu, insn);
    case 5: return move_wide(cpu, insn);
    case 6: return bitfield(cpu, insn);
    case 7: return extract(cpu, insn);
    default: return undefined(cpu);  // ADDG, SUBG: FEAT_MTE
  }
}

}  // namespace adyton::engine::interp
