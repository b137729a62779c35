#include "engine/interp/interpreter.h"

#include "engine/arm64/exception.h"
#include "engine/interp/execute.h"
#include "engine/interp/operands.h"

namespace adyton::engine::interp {

using arm64::ExceptionClass;

Outcome undefined(CpuState& cpu) {
  arm64::take_sync_exception(cpu, ExceptionClass::kUnknown, 0, cpu.pc);
  return Outcome::kException;
}

Outcome fp_access_trap(CpuState& cpu) {
  // CV = 1 and COND = 0b1110, as for every trap from AArch64 (ESR_ELx, "ISS encoding for an exception from an access to FP").
  arm64::take_sync_exception(cpu, ExceptionClass::kFpAccess, 0x1e00000, cpu.pc);
  return Outcome::kException;
}

namespace {

Outcome simd_fp_while_disabled(CpuState& cpu, Environment& environment, uint32_t insn) {
  // UNDEFINED has priority over the trap. The group touches nothing but the CPU, so a copy tells which it is.
  CpuState trial = cpu;
  if (execute_simd_fp(trial, environment, insn) == Outcome::kDone) return fp_access_trap(cpu);
  return undefined(cpu);
}

}  // namespace

Outcome execute(CpuState& cpu, Environment& environment, uint32_t insn) {
  Outcome outcome;
  switch (field(insn, 28, 25)) {  // C4.1, table "Main encoding table"
    case 0b1000:
    case 0b1001: outcome = execute_data_processing_immediate(cpu, environment, insn); break;
    case 0b1010:
    case 0b1011: return execute_branch_system(cpu, environment, insn);
    case 0b0100:
    case 0b0110:
    case 0b1100:
    case 0b1110: outcome = execute_load_store(cpu, environment, insn); break;
    case 0b0101:
    case 0b1101: outcome = execute_data_processing_register(cpu, environment, insn); break;
    case 0b0111:
    case 0b1111:
      if (!arm64::fp_enabled(cpu)) [[unlikely]] { return simd_fp_while_disabled(cpu, environment, insn); }
      outcome = execute_simd_fp(cpu, environment, insn);
      break;
    default: return undefined(cpu);  // reserved, SME, SVE
  }
  if (outcome == Outcome::kDone) cpu.pc += 4;
  return outcome;
}

Outcome step(CpuState& cpu, Environment& environment) {
  // In the order of D1.3.5: PC alignment fault, instruction abort, illegal execution state, UNDEFINED.
  if (cpu.pc & 3) [[unlikely]] {
    arm64::take_sync_exception(cpu, ExceptionClass::kPcAlignment, 0, cpu.pc, cpu.pc);
    return Outcome::kException;
  }
  uint32_t insn;
  if (const Outcome fetched = environment.fetch(cpu.pc, insn); fetched != Outcome::kDone) [[unlikely]]
    return fetched;
  if (cpu.il) [[unlikely]] {
    arm64::take_sync_exception(cpu, ExceptionClass::kIllegalState, 0, cpu.pc);
    return Outcome::kException;
  }
  return execute(cpu, environment, insn);
}

}  // namespace adyton::engine::interp
