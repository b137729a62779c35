// Exclusive, ordered and atomic accesses (Arm ARM C3.2.6 to C3.2.13).
//
// CONSTRAINED UNPREDICTABLE choices (K1.2): store exclusive with Rs = Rt, Rt2 or Rn stores the original values from the original
// base and then writes the status; LDXP with Rt = Rt2 leaves the second value. Fields that should be ones are ignored.
#include <array>

#include "engine/interp/execute.h"
#include "engine/interp/load_store_groups.h"
#include "engine/interp/operands.h"

namespace adyton::engine::interp {
namespace {

using Pair = std::array<uint64_t, 2>;

// Two registers of `size` bytes as they stand in memory, and back. There is no big-endian data (ID_AA64MMFR0_EL1.BigEnd = 0).
Pair to_memory(uint64_t first, uint64_t second, unsigned size) {
  if (size == 4) return {(first & ones(32)) | second << 32, 0};
  return {first, second};
}
void from_memory(CpuState& cpu, const Pair& memory, unsigned size, unsigned first, unsigned second) {
  write_x(cpu, first, size == 4 ? memory[0] & ones(32) : memory[0]);
  write_x(cpu, second, size == 4 ? memory[0] >> 32 : memory[1]);
}

Outcome load_exclusive(CpuState& cpu, Environment& environment, uint32_t insn, unsigned size, bool pair) {
  const Access access{.acquire = bit(insn, 15), .exclusive = true};
  Pair memory{};
  const Outcome outcome = environment.load_exclusive(cpu.x[rn(insn)], pair ? 2 * size : size, access, memory.data());
  if (outcome != Outcome::kDone) return outcome;
  if (pair) {
    from_memory(cpu, memory, size, rt(insn), field(insn, 14, 10));
  } else {
    write_x(cpu, rt(insn), memory[0]);
  }
  return Outcome::kDone;
}

Outcome store_exclusive(CpuState& cpu, Environment& environment, uint32_t insn, unsigned size, bool pair) {
  const Access access{.release = bit(insn, 15), .exclusive = true};
  const Pair memory =
      pair ? to_memory(read_x(cpu, rt(insn)), read_x(cpu, field(insn, 14, 10)), size) : Pair{read_x(cpu, rt(insn)), 0};
  bool failed = true;
  const Outcome outcome = environment.store_exclusive(cpu.x[rn(insn)], pair ? 2 * size : size, access, memory.data(), failed);
  if (outcome != Outcome::kDone) return outcome;
  write_x(cpu, rm(insn), failed ? 1 : 0);  // Rs stands where Rm does
  return Outcome::kDone;
}

Outcome ordered(CpuState& cpu, Environment& environment, uint32_t insn, unsigned size) {
  uint64_t value = 0;
  if (bit(insn, 22)) {  // LDAR
    const Outcome outcome = environment.read(cpu.x[rn(insn)], size, {.acquire = true}, &value);
    if (outcome == Outcome::kDone) write_x(cpu, rt(insn), value);
    return outcome;
  }
  value = read_x(cpu, rt(insn));  // STLR
  return environment.write(cpu.x[rn(insn)], size, {.release = true}, &value);
}

Outcome compare_and_swap(CpuState& cpu, Environment& environment, uint32_t insn, unsigned size) {
  const unsigned s = rm(insn);
  uint64_t expected = read_x(cpu, s) & ones(size * 8);
  const uint64_t desired = read_x(cpu, rt(insn));
  const Access access{.acquire = bit(insn, 22), .release = bit(insn, 15), .atomic = true};
  const Outcome outcome = environment.compare_and_swap(cpu.x[rn(insn)], size, access, &expected, &desired);
  if (outcome == Outcome::kDone) write_x(cpu, s, expected);
  return outcome;
}

Outcome compare_and_swap_pair(CpuState& cpu, Environment& environment, uint32_t insn, unsigned size) {
  const unsigned s = rm(insn), t = rt(insn);
  Pair expected = to_memory(read_x(cpu, s), read_x(cpu, s + 1), size);
  const Pair desired = to_memory(read_x(cpu, t), read_x(cpu, t + 1), size);
  const Access access{.acquire = bit(insn, 22), .release = bit(insn, 15), .atomic = true};
  const Outcome outcome = environment.compare_and_swap(cpu.x[rn(insn)], 2 * size, access, expected.data(), desired.data());
  if (outcome == Outcome::kDone) from_memory(cpu, expected, size, s, s + 1);
  return outcome;
}

}  // namespace

Outcome execute_exclusive_ordered(CpuState& cpu, Environment& environment, uint32_t insn) {
  const unsigned size = 1u << field(insn, 31, 30), pair_size = bit(insn, 30) ? 8 : 4;
  const bool o2 = bit(insn, 23), o1 = bit(insn, 21), load = bit(insn, 22);
  enum class Form : uint8_t { kExclusive, kExclusivePair, kCasPair, kOrdered, kCas } form;
  if (!o2 && !o1) {
    form = Form::kExclusive;
  } else if (!o2) {
    form = bit(insn, 31) ? Form::kExclusivePair : Form::kCasPair;
  } else {
    form = o1 ? Form::kCas : Form::kOrdered;
  }
  if (form == Form::kCas || form == Form::kCasPair) {
    if (field(insn, 14, 10) != 31) return undefined(cpu);
    if (form == Form::kCasPair && ((insn | insn >> 16) & 1)) return undefined(cpu);  // the register pairs start at even numbers
  }
  if (form == Form::kOrdered && !bit(insn, 15)) return undefined(cpu);  // LDLAR, STLLR: ID_AA64MMFR1_EL1.LO = 0

  if (rn(insn) == 31 && sp_alignment_fault(cpu)) return take_sp_alignment_fault(cpu);
  switch (form) {
    case Form::kExclusive:
      return load ? load_exclusive(cpu, environment, insn, size, false) : store_exclusive(cpu, environment, insn, size, false);
    case Form::kExclusivePair:
      return load ? load_exclusive(cpu, environment, insn, pair_size, true)
                  : store_exclusive(cpu, environment, insn, pair_size, true);
    case Form::kCasPair: return compare_and_swap_pair(cpu, environment, insn, pair_size);
    case Form::kOrdered: return ordered(cpu, environment, insn, size);
    case Form::kCas: return compare_and_swap(cpu, environment, insn, size);
  }
  return undefined(cpu);
}

Outcome execute_atomic_memory(CpuState& cpu, Environment& environment, uint32_t insn) {
  const unsigned size = 1u << field(insn, 31, 30), opc = field(insn, 14, 12);
  const bool acquire = bit(insn, 23), release = bit(insn, 22), o3 = bit(insn, 15);
  const bool is_ldapr = o3 && opc == 4 && acquire && !release;
  if (o3 && opc != 0 && !is_ldapr) return undefined(cpu);  // LD64B, ST64B..: FEAT_LS64
  if (rn(insn) == 31 && sp_alignment_fault(cpu)) return take_sp_alignment_fault(cpu);

  const uint64_t address = cpu.x[rn(insn)];
  uint64_t value = 0;
  Outcome outcome;
  if (is_ldapr) {
    outcome = environment.read(address, size, {.acquire = true}, &value);
  } else {
    static constexpr std::array kOperations = {AtomicOp::kAdd,         AtomicOp::kClear,      AtomicOp::kXor,
                                               AtomicOp::kSet,         AtomicOp::kSignedMax,  AtomicOp::kSignedMin,
                                               AtomicOp::kUnsignedMax, AtomicOp::kUnsignedMin};
    // With Rt = XZR the operation has no acquire semantics (they are the ST<op> aliases), SWP excepted only in name.
    const Access access{.acquire = acquire && rt(insn) != 31, .release = release, .atomic = true};
    outcome = environment.atomic(address, size, access, o3 ? AtomicOp::kSwap : kOperations[opc],
                                 read_x(cpu, rm(insn)) & ones(size * 8), value);
  }
  if (outcome == Outcome::kDone) write_x(cpu, rt(insn), value & ones(size * 8));
  return outcome;
}

}  // namespace adyton::engine::interp
