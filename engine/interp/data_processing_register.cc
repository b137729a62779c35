// Data processing with register operands (Arm ARM C4.1, "Data Processing -- Register"; C3.5).
#include <array>
#include <bit>

#include "engine/interp/execute.h"
#include "engine/interp/operands.h"

namespace adyton::engine::interp {
namespace {

Outcome logical_shifted(CpuState& cpu, uint32_t insn) {
  const bool is64 = bit(insn, 31);
  const unsigned amount = field(insn, 15, 10);
  if (!is64 && amount >= 32) return undefined(cpu);
  const uint64_t a = read_reg(cpu, rn(insn), is64);
  uint64_t b = shift_value(read_reg(cpu, rm(insn), is64), field(insn, 23, 22), amount, is64);
  if (bit(insn, 21)) b = ~b;  // BIC, ORN, EON, BICS
  uint64_t result = 0;
  switch (field(insn, 30, 29)) {
    case 0:
    case 3: result = a & b; break;
    case 1: result = a | b; break;
    case 2: result = a ^ b; break;
  }
  if (field(insn, 30, 29) == 3) cpu.set_nzcv(logical_nzcv(result, is64));
  write_reg(cpu, rd(insn), is64, result);
  return Outcome::kDone;
}

Outcome add_subtract_shifted(CpuState& cpu, uint32_t insn) {
  const bool is64 = bit(insn, 31), subtract = bit(insn, 30);
  const unsigned amount = field(insn, 15, 10), type = field(insn, 23, 22);
  if (type == 3 || (!is64 && amount >= 32)) return undefined(cpu);
  const uint64_t b = shift_value(read_reg(cpu, rm(insn), is64), type, amount, is64);
  const Sum sum = add_with_carry(read_reg(cpu, rn(insn), is64), subtract ? ~b : b, subtract, is64);
  if (bit(insn, 29)) cpu.set_nzcv(sum.nzcv);
  write_reg(cpu, rd(insn), is64, sum.value);
  return Outcome::kDone;
}

Outcome add_subtract_extended(CpuState& cpu, uint32_t insn) {
  const bool is64 = bit(insn, 31), subtract = bit(insn, 30);
  const unsigned shift = field(insn, 12, 10);
  if (field(insn, 23, 22) != 0 || shift > 4) return undefined(cpu);
  const uint64_t b = extend_value(read_x(cpu, rm(insn)), field(insn, 15, 13), shift);
  const Sum sum = add_with_carry(read_reg_or_sp(cpu, rn(insn), is64), subtract ? ~b : b, subtract, is64);
  if (bit(insn, 29)) {
    cpu.set_nzcv(sum.nzcv);
    write_reg(cpu, rd(insn), is64, sum.value);
  } else {
    write_reg_or_sp(cpu, rd(insn), is64, sum.value);
  }
  return Outcome::kDone;
}

Outcome add_subtract_with_carry(CpuState& cpu, uint32_t insn) {
  const bool is64 = bit(insn, 31);
  const uint64_t b = read_x(cpu, rm(insn));
  const Sum sum = add_with_carry(read_x(cpu, rn(insn)), bit(insn, 30) ? ~b : b, cpu.nzcv() & kC, is64);
  if (bit(insn, 29)) cpu.set_nzcv(sum.nzcv);
  write_reg(cpu, rd(insn), is64, sum.value);
  return Outcome::kDone;
}

// RMIF, SETF8, SETF16 (FEAT_FlagM).
Outcome flag_manipulation(CpuState& cpu, uint32_t insn) {
  if (field(insn, 30, 29) != 1 || bit(insn, 4)) return undefined(cpu);
  const uint32_t old_nzcv = cpu.nzcv();
  if (field(insn, 14, 10) == 0b00001) {  // RMIF
    if (!bit(insn, 31)) return undefined(cpu);
    const uint32_t mask = field(insn, 3, 0);
    const uint64_t rotated = std::rotr(read_x(cpu, rn(insn)), static_cast<int>(field(insn, 20, 15)));
    cpu.set_nzcv((old_nzcv & ~mask) | (static_cast<uint32_t>(rotated) & mask));
    return Outcome::kDone;
  }
  if (bit(insn, 31) || field(insn, 20, 15) != 0 || field(insn, 13, 10) != 0b0010 || field(insn, 3, 0) != 0b1101)
    return undefined(cpu);
  const unsigned msb = bit(insn, 14) ? 15 : 7;
  const uint64_t value = read_x(cpu, rn(insn));
  cpu.set_nzcv((bit(value, msb) ? kN : 0) | ((value & ones(msb + 1)) == 0 ? kZ : 0) | (old_nzcv & kC) |
               (bit(value, msb + 1) != bit(value, msb) ? kV : 0));
  return Outcome::kDone;
}

Outcome conditional_compare(CpuState& cpu, uint32_t insn) {
  const bool is64 = bit(insn, 31), subtract = bit(insn, 30);
  if (!bit(insn, 29) || bit(insn, 10) || bit(insn, 4)) return undefined(cpu);
  if (!condition_holds(cpu.nzcv(), field(insn, 15, 12))) {
    cpu.set_nzcv(field(insn, 3, 0));
    return Outcome::kDone;
  }
  const uint64_t b = bit(insn, 11) ? rm(insn) : read_x(cpu, rm(insn));  // CCMx (immediate) has imm5 in the place of Rm
  cpu.set_nzcv(add_with_carry(read_x(cpu, rn(insn)), subtract ? ~b : b, subtract, is64).nzcv);
  return Outcome::kDone;
}

Outcome conditional_select(CpuState& cpu, uint32_t insn) {
  const bool is64 = bit(insn, 31);
  if (bit(insn, 29) || bit(insn, 11)) return undefined(cpu);
  uint64_t result;
  if (condition_holds(cpu.nzcv(), field(insn, 15, 12))) {
    result = read_x(cpu, rn(insn));
  } else {
    result = read_x(cpu, rm(insn));
    if (bit(insn, 30)) result = ~result;     // CSINV, CSNEG
    if (bit(insn, 10)) result = result + 1;  // CSINC, CSNEG
  }
  write_reg(cpu, rd(insn), is64, result);
  return Outcome::kDone;
}

// Polynomials with the bits reversed, as the data are.
constexpr uint32_t kCrc32 = 0xedb88320, kCrc32C = 0x82f63b78;

constexpr std::array<uint32_t, 256> crc_table(uint32_t polynomial) {
  std::array<uint32_t, 256> table{};
  for (uint32_t i = 0; i < 256; i++) {
    uint32_t remainder = i;
    for (int step = 0; step < 8; step++) remainder = (remainder >> 1) ^ ((remainder & 1) ? polynomial : 0);
    table[i] = remainder;
  }
  return table;
}

uint32_t crc(uint32_t accumulator, uint64_t value, unsigned bytes, bool castagnoli) {
  static constexpr auto kTable = crc_table(kCrc32), kTableC = crc_table(kCrc32C);
  const auto& table = castagnoli ? kTableC : kTable;
  for (unsigned i = 0; i < bytes; i++, value >>= 8) accumulator = (accumulator >> 8) ^ table[(accumulator ^ value) & 0xff];
  return accumulator;
}

uint64_t divide_signed(int64_t a, int64_t b) {
  if (b == 0) return 0;
  if (b == -1) return 0 - static_cast<uint64_t>(a);  // the most negative number divided by -1 is itself
  return static_cast<uint64_t>(a / b);
}

Outcome two_sources(CpuState& cpu, uint32_t insn) {
  const bool is64 = bit(insn, 31);
  if (bit(insn, 29)) return undefined(cpu);  // SUBPS: FEAT_MTE
  const unsigned opcode = field(insn, 15, 10);
  const uint64_t a = read_reg(cpu, rn(insn), is64), b = read_reg(cpu, rm(insn), is64);
  uint64_t result;
  switch (opcode) {
    case 0b000010: result = b == 0 ? 0 : a / b; break;  // UDIV
    case 0b000011:                                      // SDIV
      result = is64 ? divide_signed(static_cast<int64_t>(a), static_cast<int64_t>(b))
                    : divide_signed(static_cast<int32_t>(a), static_cast<int32_t>(b));
      break;
    case 0b001000:
    case 0b001001:
    case 0b001010:
    case 0b001011:  // LSLV, LSRV, ASRV, RORV
      result = shift_value(a, opcode & 3, static_cast<unsigned>(b) & (is64 ? 63 : 31), is64);
      break;
    case 0b010000:
    case 0b010001:
    case 0b010010:
    case 0b010011:
    case 0b010100:
    case 0b010101:
    case 0b010110:
    case 0b010111:  // CRC32B..CRC32X, CRC32CB..CRC32CX: only the doubleword forms have sf = 1
      if (is64 != ((opcode & 3) == 3)) return undefined(cpu);
      write_reg(cpu, rd(insn), false, crc(static_cast<uint32_t>(a), read_x(cpu, rm(insn)), 1u << (opcode & 3), opcode & 4));
      return Outcome::kDone;
    default: return undefined(cpu);  // SUBP, IRG, GMI: FEAT_MTE; PACGA: FEAT_PAuth; SMAX..UMIN: FEAT_CSSC
  }
  write_reg(cpu, rd(insn), is64, result);
  return Outcome::kDone;
}

constexpr uint64_t reverse_bits(uint64_t value) {
  value = ((value >> 1) & 0x5555555555555555) | ((value & 0x5555555555555555) << 1);
  value = ((value >> 2) & 0x3333333333333333) | ((value & 0x3333333333333333) << 2);
  value = ((value >> 4) & 0x0f0f0f0f0f0f0f0f) | ((value & 0x0f0f0f0f0f0f0f0f) << 4);
  return std::byteswap(value);
}

Outcome one_source(CpuState& cpu, uint32_t insn) {
  const bool is64 = bit(insn, 31);
  if (bit(insn, 29) || field(insn, 20, 16) != 0) return undefined(cpu);  // opcode2 = 1: FEAT_PAuth
  const uint64_t a = read_reg(cpu, rn(insn), is64);
  const auto a32 = static_cast<uint32_t>(a);
  uint64_t result;
  switch (field(insn, 15, 10)) {
    case 0: result = is64 ? reverse_bits(a) : reverse_bits(a) >> 32; break;                     // RBIT
    case 1: result = ((a >> 8) & 0x00ff00ff00ff00ff) | ((a & 0x00ff00ff00ff00ff) << 8); break;  // REV16
    case 2: result = is64 ? std::rotr(std::byteswap(a), 32) : std::byteswap(a32); break;        // REV32, REV (32-bit)
    case 3:                                                                                     // REV (64-bit)
      if (!is64) return undefined(cpu);
      result = std::byteswap(a);
      break;
    case 4: result = static_cast<unsigned>(is64 ? std::countl_zero(a) : std::countl_zero(a32)); break;  // CLZ
    case 5: {  // CLS: not counting the sign
      const uint64_t changes = a ^ static_cast<uint64_t>(is64 ? static_cast<int64_t>(a) >> 1 : static_cast<int32_t>(a32) >> 1);
      result = static_cast<unsigned>(is64 ? std::countl_zero(changes) : std::countl_zero(static_cast<uint32_t>(changes))) - 1;
      break;
    }
    default: return undefined(cpu);  // CTZ, CNT, ABS: FEAT_CSSC
  }
  write_reg(cpu, rd(insn), is64, result);
  return Outcome::kDone;
}

Outcome three_sources(CpuState& cpu, uint32_t insn) {
  const bool is64 = bit(insn, 31), subtract = bit(insn, 15);
  if (field(insn, 30, 29) != 0) return undefined(cpu);
  const uint64_t a = read_x(cpu, rn(insn)), b = read_x(cpu, rm(insn)), addend = read_x(cpu, field(insn, 14, 10));
  const unsigned op31 = field(insn, 23, 21);
  if (op31 != 0 && !is64) return undefined(cpu);
  uint64_t product;
  switch (op31) {
    case 0b000: product = a * b; break;                                                                                  // MADD
    case 0b001: product = static_cast<uint64_t>(sign_extend(a, 32)) * static_cast<uint64_t>(sign_extend(b, 32)); break;  // SMADDL
    case 0b101: product = (a & ones(32)) * (b & ones(32)); break;                                                        // UMADDL
    case 0b010:                                                                                                          // SMULH
      if (subtract) return undefined(cpu);
      write_x(cpu, rd(insn),
              static_cast<uint64_t>((static_cast<__int128>(static_cast<int64_t>(a)) * static_cast<int64_t>(b)) >> 64));
      return Outcome::kDone;
    case 0b110:  // UMULH
      if (subtract) return undefined(cpu);
      write_x(cpu, rd(insn), static_cast<uint64_t>((static_cast<unsigned __int128>(a) * b) >> 64));
      return Outcome::kDone;
    default: return undefined(cpu);
  }
  write_reg(cpu, rd(insn), is64, subtract ? addend - product : addend + product);
  return Outcome::kDone;
}

}  // namespace

Outcome execute_data_processing_register(CpuState& cpu, Environment&, uint32_t insn) {
  if (!bit(insn, 28)) {
    if (!bit(insn, 24)) return logical_shifted(cpu, insn);
    return bit(insn, 21) ? add_subtract_extended(cpu, insn) : add_subtract_shifted(cpu, insn);
  }
  if (bit(insn, 24)) return three_sources(cpu, insn);
  switch (field(insn, 23, 21)) {
    case 0b000: return field(insn, 15, 10) == 0 ? add_subtract_with_carry(cpu, insn) : flag_manipulation(cpu, insn);
    case 0b010: return conditional_compare(cpu, insn);
    case 0b100: return conditional_select(cpu, insn);
    case 0b110: return bit(insn, 30) ? one_source(cpu, insn) : two_sources(cpu, insn);
    default: return undefined(cpu);
  }
}

}  // namespace adyton::engine::interp
