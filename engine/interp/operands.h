// Small vocabulary of the A64 pseudocode: fields, registers, shifts, additions with carry. Internal to the interpreter.
#pragma once
#include <bit>
#include <cstdint>

#include "engine/arm64/cpu_state.h"

namespace adyton::engine::interp {

using arm64::CpuState;

// Bits high:low of an instruction.
constexpr uint32_t field(uint32_t insn, unsigned high, unsigned low) { return (insn >> low) & ((2u << (high - low)) - 1); }
constexpr bool bit(uint64_t value, unsigned n) { return (value >> n) & 1; }
constexpr uint64_t ones(unsigned n) { return n >= 64 ? ~0ull : (1ull << n) - 1; }

// The low `bits` bits of value as a signed number.
constexpr int64_t sign_extend(uint64_t value, unsigned bits) { return static_cast<int64_t>(value << (64 - bits)) >> (64 - bits); }

constexpr unsigned rd(uint32_t insn) { return insn & 31; }
constexpr unsigned rt(uint32_t insn) { return insn & 31; }
constexpr unsigned rn(uint32_t insn) { return (insn >> 5) & 31; }
constexpr unsigned rm(uint32_t insn) { return (insn >> 16) & 31; }

// X[n] with register 31 read as zero and writes to it dropped; a 32-bit write clears the upper half.
inline uint64_t read_x(const CpuState& cpu, unsigned n) { return n == 31 ? 0 : cpu.x[n]; }
inline uint64_t read_reg(const CpuState& cpu, unsigned n, bool is64) {
  return is64 ? read_x(cpu, n) : static_cast<uint32_t>(read_x(cpu, n));
}
inline void write_x(CpuState& cpu, unsigned n, uint64_t value) {
  if (n != 31) cpu.x[n] = value;
}
inline void write_reg(CpuState& cpu, unsigned n, bool is64, uint64_t value) {
  write_x(cpu, n, is64 ? value : static_cast<uint32_t>(value));
}
// The same where register 31 is the stack pointer.
inline uint64_t read_reg_or_sp(const CpuState& cpu, unsigned n, bool is64) {
  return is64 ? cpu.x[n] : static_cast<uint32_t>(cpu.x[n]);
}
inline void write_reg_or_sp(CpuState& cpu, unsigned n, bool is64, uint64_t value) {
  cpu.x[n] = is64 ? value : static_cast<uint32_t>(value);
}

// NZCV in bits 3..0.
constexpr uint32_t kN = 8, kZ = 4, kC = 2, kV = 1;

struct Sum {
  uint64_t value;
  uint32_t nzcv;
};
// AddWithCarry(): subtraction is addition of the complement.
inline Sum add_with_carry(uint64_t a, uint64_t b, bool carry, bool is64) {
  if (is64) {
    const unsigned __int128 wide = static_cast<unsigned __int128>(a) + b + carry;
    const auto value = static_cast<uint64_t>(wide);
    const uint32_t overflow = ((a ^ value) & (b ^ value)) >> 63 ? kV : 0;
    return {value, (value >> 63 ? kN : 0) | (value == 0 ? kZ : 0) | (wide >> 64 ? kC : 0) | overflow};
  }
  const auto a32 = static_cast<uint32_t>(a), b32 = static_cast<uint32_t>(b);
  const uint64_t wide = static_cast<uint64_t>(a32) + b32 + carry;
  const auto value = static_cast<uint32_t>(wide);
  const uint32_t overflow = ((a32 ^ value) & (b32 ^ value)) >> 31 ? kV : 0;
  return {value, (value >> 31 ? kN : 0) | (value == 0 ? kZ : 0) | (wide >> 32 ? kC : 0) | overflow};
}

// Flags of a logical result: C and V clear.
constexpr uint32_t logical_nzcv(uint64_t value, bool is64) {
  return (bit(value, is64 ? 63 : 31) ? kN : 0) | ((is64 ? value : static_cast<uint32_t>(value)) == 0 ? kZ : 0);
}

// ConditionHolds(): AL and NV are both always true.
constexpr bool condition_holds(uint32_t nzcv, unsigned cond) {
  const bool n = nzcv & kN, z = nzcv & kZ, c = nzcv & kC, v = nzcv & kV;
  bool holds = true;
  switch (cond >> 1) {
    case 0: holds = z; break;
    case 1: holds = c; break;
    case 2: holds = n; break;
    case 3: holds = v; break;
    case 4: holds = c && !z; break;
    case 5: holds = n == v; break;
    case 6: holds = n == v && !z; break;
    case 7: return true;
  }
  return (cond & 1) ? !holds : holds;
}

// ShiftReg(): 0 LSL, 1 LSR, 2 ASR, 3 ROR of a 32- or 64-bit value by amount < datasize.
inline uint64_t shift_value(uint64_t value, unsigned type, unsigned amount, bool is64) {
  if (is64) {
    switch (type) {
      case 0: return value << amount;
      case 1: return value >> amount;
      case 2: return static_cast<uint64_t>(static_cast<int64_t>(value) >> amount);
      default: return std::rotr(value, static_cast<int>(amount));
    }
  }
  const auto word = static_cast<uint32_t>(value);
  switch (type) {
    case 0: return word << amount;
    case 1: return word >> amount;
    case 2: return static_cast<uint32_t>(static_cast<int32_t>(word) >> amount);
    default: return std::rotr(word, static_cast<int>(amount));
  }
}

// ExtendReg(): option 0..7 = UXTB UXTH UXTW UXTX SXTB SXTH SXTW SXTX, then shifted left.
inline uint64_t extend_value(uint64_t value, unsigned option, unsigned shift) {
  const unsigned bits = 8u << (option & 3);
  const uint64_t extended = option & 4 ? static_cast<uint64_t>(sign_extend(value, bits)) : value & ones(bits);
  return extended << shift;
}

}  // namespace adyton::engine::interp
