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

// SPSR_EL1 (Arm ARM D19.2.142). TCO, SSBS and BTYPE belong to extensions that we do not have: they read as zero.
constexpr uint32_t kSpsrDit = 1u << 24, kSpsrUao = 1u << 23, kSpsrPan = 1u << 22, kSpsrSs = 1u << 21, kSpsrIl = 1u << 20;
constexpr uint32_t kSpsrDaif = kDaifD | kDaifA | kDaifI | kDaifF;

// PSTATE <-> SPSR_ELx.
inline uint32_t spsr_from_pstate(const CpuState& cpu) {
  auto field = [](uint8_t value, uint32_t mask) { return value ? mask : 0; };
  return (cpu.nzcv() << 28) | field(cpu.dit, kSpsrDit) | field(cpu.uao, kSpsrUao) | field(cpu.pan, kSpsrPan) | field(cpu.ss, kSpsrSs) |
         field(cpu.il, kSpsrIl) | (cpu.daif & kSpsrDaif) | (static_cast<uint32_t>(cpu.el) << 2) | (cpu.sp_sel ? 1 : 0);
}
// Writes PSTATE (incl. EL and SP, swapping the banked stack pointer). An illegal combination sets PSTATE.IL and keeps EL and SP,
// as Arm ARM "Illegal return events" says.
void pstate_from_spsr(CpuState& cpu, uint32_t spsr);

// Switches the current stack pointer to that of (el, sp_sel) and updates cpu.el and cpu.sp_sel.
inline void select_stack(CpuState& cpu, unsigned el, unsigned sp_sel) {
  const unsigned from = cpu.sp_sel ? cpu.el : 0, to = sp_sel ? el : 0;
  if (from != to) {
    cpu.sp_el[from] = cpu.x[31];
    cpu.x[31] = cpu.sp_el[to];
  }
  cpu.el = static_cast<uint8_t>(el);
  cpu.sp_sel = sp_sel ? 1 : 0;
}

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
[[nodiscard]] inline bool fp_enabled(const CpuState& cpu) {
  // FPEN: 00 and 10 trap both levels, 01 traps EL0, 11 traps nothing.
  const unsigned fpen = (cpu.cpacr_el1 >> 20) & 3;
  return fpen == 3 || (fpen == 1 && cpu.el != 0);
}

}  // namespace adyton::engine::arm64
