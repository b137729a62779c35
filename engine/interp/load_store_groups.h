// The parts of the load/store group, and what they share. Internal to the interpreter.
//
// All of them are restartable: registers, the written-back base among them, change only after the last access has succeeded.
#pragma once
#include <cstdint>

#include "engine/arm64/exception.h"
#include "engine/interp/execute.h"
#include "engine/interp/operands.h"

namespace adyton::engine::interp {

// Load/store exclusive, ordered and compare-and-swap (bits 29:24 = 001000).
Outcome execute_exclusive_ordered(CpuState& cpu, Environment& environment, uint32_t insn);
// Atomic memory operations (LSE) and LDAPR.
Outcome execute_atomic_memory(CpuState& cpu, Environment& environment, uint32_t insn);
// LD1..LD4, ST1..ST4 in all their forms.
Outcome execute_vector_structures(CpuState& cpu, Environment& environment, uint32_t insn);

// CheckSPAlignment(): true when the SP is misaligned and SCTLR_EL1.SA (SA0 at EL0) asks for it.
inline bool sp_alignment_fault(const CpuState& cpu) { return (cpu.x[31] & 15) != 0 && bit(cpu.sctlr_el[1], cpu.el == 0 ? 4 : 3); }

inline Outcome take_sp_alignment_fault(CpuState& cpu) {
  arm64::take_sync_exception(cpu, arm64::ExceptionClass::kSpAlignment, 0, cpu.pc);
  return Outcome::kException;
}

}  // namespace adyton::engine::interp
