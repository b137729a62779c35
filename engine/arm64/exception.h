// Taking and returning from exceptions (Arm ARM D1.3). Pure functions over CpuState: no host effects.
#pragma once
#include <cstdint>

#include "engine/arm64/cpu_state.h"

namespace adyton::engine::arm64 {

// ESR_ELx.EC (Arm ARM D17.2.37).
enum class ExceptionClass : uint8_t {
  kUnknown = 0x00, kWfx = 0x01, kFpAccess = 0x07, kIllegalState = 0x0e, kSvc64 = 0x15, kHvc64 = 0x16, kSmc64 = 0x17,
  kSysReg = 0x18, kInstructionAbortLower = 0x20, kInstructionAbortSame = 0x21, kPcAlignment = 0x22,
  kDataAbortLower = 0x24, kDataAbortSame = 0x25, kSpAlignment = 0x26, kFpException = 0x2c, kSError = 0x2f,
  kBreakpointLower = 0x30, kBreakpointSame = 0x31, kStepLower = 0x32, kStepSame = 0x33, kWatchpointLower = 0x34,
  kWatchpointSame = 0x35, kBrk = 0x3c,
};

// PSTATE <-> SPSR_ELx.
uint32_t spsr_from_pstate(const CpuState& cpu);
// Writes PSTATE (incl. EL and SP, swapping the banked stack pointer). An illegal combination sets PSTATE.IL and keeps EL and SP,
// as Arm ARM "Illegal return events" says.
void pstate_from_spsr(CpuState& cpu, uint32_t spsr);

// Switches the current stack pointer to that of (el, sp_sel) and updates cpu.el and cpu.sp_sel.
void select_stack(CpuState& cpu, unsigned el, unsigned sp_sel);

// Synchronous exception to EL1 from EL0 or EL1: `return_address` goes to ELR_EL1, PC becomes the vector. The *Lower/*Same pair of
// a class is chosen by the current EL: pass the *Lower value. `iss` is ESR.ISS[24:0]; IL (bit 25) is set but for the classes that
// define it 0.
void take_sync_exception(CpuState& cpu, ExceptionClass ec, uint32_t iss, uint64_t return_address);
// The same, with FAR_EL1 := far.
void take_sync_exception(CpuState& cpu, ExceptionClass ec, uint32_t iss, uint64_t return_address, uint64_t far);

enum class Interrupt : uint8_t { kIrq, kFiq, kSError };
void take_interrupt(CpuState& cpu, Interrupt kind, uint64_t return_address);

// ERET at EL1: PSTATE from SPSR_EL1, PC from ELR_EL1.
void exception_return(CpuState& cpu);

// CPACR_EL1.FPEN: may the current EL use FP and SIMD registers?
[[nodiscard]] bool fp_enabled(const CpuState& cpu);

}  // namespace adyton::engine::arm64
