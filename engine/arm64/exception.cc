#include "engine/arm64/exception.h"

#include "engine/arm64/debug.h"
#include "engine/arm64/mmu.h"

namespace adyton::engine::arm64 {
namespace {

constexpr uint32_t kSpsrAarch32 = 1u << 4;  // M[4]

constexpr uint64_t kSctlrSpan = 1ull << 23;
constexpr uint64_t kVbarMask = ~0x7ffull;
constexpr unsigned kHighestEl = 1;

// Offsets in the vector table (Arm ARM D1.3.1, table D1-6).
constexpr uint64_t kVectorCurrentSp0 = 0x000, kVectorCurrentSpx = 0x200, kVectorLowerAarch64 = 0x400;
constexpr uint64_t kVectorSync = 0x000, kVectorIrq = 0x080, kVectorFiq = 0x100, kVectorSError = 0x180;

// IllegalExceptionReturn() (Arm ARM D1.3.4 "Illegal return events") for a PE whose only levels are AArch64 EL0 and EL1.
bool illegal_return(const CpuState& cpu, uint32_t spsr) {
  if (spsr & kSpsrAarch32) return true;
  const unsigned el = (spsr >> 2) & 3;
  if (el > cpu.el || el > kHighestEl) return true;
  if (spsr & 2) return true;                 // M[1] is reserved
  return el == 0 && (spsr & 1) != 0;         // EL0 has no SP of its own choice
}

bool has_lower_and_same(ExceptionClass ec) {
  switch (ec) {
    case ExceptionClass::kInstructionAbortLower:
    case ExceptionClass::kDataAbortLower:
    case ExceptionClass::kBreakpointLower:
    case ExceptionClass::kStepLower:
    case ExceptionClass::kWatchpointLower: return true;
    default: return false;
  }
}

// AArch64.TakeException() to EL1: everything but the syndrome.
void enter_el1(CpuState& cpu, uint64_t vector, uint64_t return_address) {
  const uint64_t base = cpu.el == 0 ? kVectorLowerAarch64 : cpu.sp_sel ? kVectorCurrentSpx : kVectorCurrentSp0;
  cpu.spsr_el[1] = spsr_from_pstate(cpu);
  cpu.elr_el[1] = return_address;
  select_stack(cpu, 1, 1);
  cpu.daif = kSpsrDaif;
  cpu.ss = 0;
  cpu.il = 0;
  cpu.uao = 0;
  if (!(cpu.sctlr_el[1] & kSctlrSpan)) cpu.pan = 1;
  // PSTATE.DIT is left as it is: only AArch32 clears it.
  cpu.pc = (cpu.vbar_el[1] & kVbarMask) + base + vector;
}

uint64_t syndrome(ExceptionClass ec, uint32_t iss) {
  // IL is one for every 32-bit instruction and for every class without one; A64 has nothing else.
  return (static_cast<uint64_t>(ec) << 26) | (1ull << 25) | (iss & 0x1ffffff);
}

}  // namespace

void pstate_from_spsr(CpuState& cpu, uint32_t spsr) {
  const bool illegal = illegal_return(cpu, spsr);
  // Decided on the state before the return (DebugExceptionReturnSS).
  const unsigned destination = illegal ? cpu.el : (spsr >> 2) & 3;
  cpu.ss = (cpu.mdscr_el1 & kMdscrSs) && step_bit_on_return(cpu, spsr, destination) ? 1 : 0;
  if (illegal) {
    // UAO and DIT become UNKNOWN: they stay.
    cpu.il = 1;
  } else {
    cpu.il = (spsr & kSpsrIl) ? 1 : 0;
    cpu.uao = (spsr & kSpsrUao) ? 1 : 0;
    cpu.dit = (spsr & kSpsrDit) ? 1 : 0;
    select_stack(cpu, (spsr >> 2) & 3, spsr & 1);
  }
  cpu.set_nzcv(spsr >> 28);
  cpu.pan = (spsr & kSpsrPan) ? 1 : 0;
  cpu.daif = spsr & kSpsrDaif;
}

void take_sync_exception(CpuState& cpu, ExceptionClass ec, uint32_t iss, uint64_t return_address) {
  if (cpu.el != 0 && has_lower_and_same(ec)) ec = static_cast<ExceptionClass>(static_cast<uint8_t>(ec) + 1);
  cpu.esr_el[1] = syndrome(ec, iss);
  enter_el1(cpu, kVectorSync, return_address);
}

void take_sync_exception(CpuState& cpu, ExceptionClass ec, uint32_t iss, uint64_t return_address, uint64_t far) {
  cpu.far_el[1] = far;
  take_sync_exception(cpu, ec, iss, return_address);
}

void take_interrupt(CpuState& cpu, Interrupt kind, uint64_t return_address) {
  switch (kind) {
    case Interrupt::kIrq: enter_el1(cpu, kVectorIrq, return_address); return;
    case Interrupt::kFiq: enter_el1(cpu, kVectorFiq, return_address); return;
    case Interrupt::kSError:
      cpu.esr_el[1] = syndrome(ExceptionClass::kSError, 0);
      enter_el1(cpu, kVectorSError, return_address);
      return;
  }
}

void exception_return(CpuState& cpu) {
  const uint64_t target = cpu.elr_el[1];
  pstate_from_spsr(cpu, cpu.spsr_el[1]);
  // AArch64.BranchAddr(): an address tag does not reach the PC.
  cpu.pc = strip_tag(cpu, target, true);
}

}  // namespace adyton::engine::arm64
