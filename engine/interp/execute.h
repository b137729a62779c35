// The groups into which the A64 encoding falls (Arm ARM C4.1), one function each. Internal to the interpreter.
//
// Contract: cpu.pc is the address of the instruction. execute_branch_system moves it itself; for the other groups execute() adds
// 4 when the group returns kDone. A group returns kDone, or what the environment or one of the helpers below returned; in the
// latter case it must not have changed `cpu` before, nor touch it after.
#pragma once
#include <cstdint>

#include "engine/arm64/cpu_state.h"
#include "engine/arm64/exception.h"
#include "engine/interp/environment.h"

namespace adyton::engine::interp {

using arm64::CpuState;

Outcome execute_data_processing_immediate(CpuState& cpu, Environment& environment, uint32_t insn);
Outcome execute_data_processing_register(CpuState& cpu, Environment& environment, uint32_t insn);
Outcome execute_branch_system(CpuState& cpu, Environment& environment, uint32_t insn);
// All loads and stores, those of SIMD and FP registers included.
Outcome execute_load_store(CpuState& cpu, Environment& environment, uint32_t insn);
// Scalar floating point, Advanced SIMD and the cryptographic extension. Need not ask whether FP is enabled: execute() has done
// so. Must report unallocated encodings by undefined(), and must have no effect but on `cpu` (X, V, flags, FPSR).
Outcome execute_simd_fp(CpuState& cpu, Environment& environment, uint32_t insn);

// Takes the exception for an UNDEFINED instruction (EC 0, ISS 0).
Outcome undefined(CpuState& cpu);
// Takes the trap for FP and SIMD access disabled by CPACR_EL1.FPEN (EC 0x07).
Outcome fp_access_trap(CpuState& cpu);

}  // namespace adyton::engine::interp
