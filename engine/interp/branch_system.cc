// Branches, exception generation and system instructions (Arm ARM C4.1, "Branches, Exception Generating and System
// instructions").
#include "engine/arm64/exception.h"
#include "engine/arm64/mmu.h"
#include "engine/arm64/sysreg.h"
#include "engine/interp/execute.h"
#include "engine/interp/operands.h"

namespace adyton::engine::interp {
namespace {

using arm64::ExceptionClass;

Outcome branch_relative(CpuState& cpu, int64_t words) {
  cpu.pc += static_cast<uint64_t>(words) * 4;
  return Outcome::kDone;
}

Outcome next(CpuState& cpu) { return branch_relative(cpu, 1); }

Outcome branch_if(CpuState& cpu, bool taken, int64_t words) { return branch_relative(cpu, taken ? words : 1); }

Outcome branch_register(CpuState& cpu, Environment& environment, uint32_t insn) {
  // Rm-like field all ones; op3 and op4 other than 0 are the PAuth forms.
  if (field(insn, 20, 16) != 31 || field(insn, 15, 10) != 0 || field(insn, 4, 0) != 0) return undefined(cpu);
  switch (field(insn, 24, 21)) {
    case 0:    // BR
    case 1:    // BLR
    case 2: {  // RET
      const uint64_t target = arm64::strip_tag(cpu, read_x(cpu, rn(insn)), true);
      if (field(insn, 24, 21) == 1) cpu.x[30] = cpu.pc + 4;
      cpu.pc = target;
      return Outcome::kDone;
    }
    case 4:  // ERET
      if (rn(insn) != 31 || cpu.el == 0) return undefined(cpu);
      arm64::exception_return(cpu);
      environment.clear_exclusive();  // an exception return is an event that clears the local monitor (B2.9.3)
      environment.pstate_changed();
      return Outcome::kDone;
    default: return undefined(cpu);  // DRPS is UNDEFINED outside Debug state
  }
}

Outcome generate_exception(CpuState& cpu, Environment& environment, uint32_t insn) {
  if (field(insn, 4, 2) != 0) return undefined(cpu);
  const auto immediate = static_cast<uint16_t>(field(insn, 20, 5));
  switch ((field(insn, 23, 21) << 2) | field(insn, 1, 0)) {
    case 0b000'01:  // SVC: the preferred return address is the next instruction
      arm64::take_sync_exception(cpu, ExceptionClass::kSvc64, immediate, cpu.pc + 4);
      return Outcome::kException;
    case 0b000'10:  // HVC
      if (cpu.el == 0) return undefined(cpu);
      cpu.pc += 4;
      return environment.hypervisor_call(immediate);
    case 0b000'11:  // SMC
      if (cpu.el == 0) return undefined(cpu);
      cpu.pc += 4;
      return environment.secure_monitor_call(immediate);
    case 0b001'00:  // BRK
      if (environment.breakpoint_taken_outside(immediate)) return Outcome::kExit;
      arm64::take_sync_exception(cpu, ExceptionClass::kBrk, immediate, cpu.pc);
      return Outcome::kException;
    default:
      // HLT and DCPS1-3 among them: there is no external debugger that could allow halting.
      return undefined(cpu);
  }
}

// SCTLR_EL1 bits that let EL0 do things.
constexpr unsigned kSctlrUma = 9, kSctlrNTwi = 16, kSctlrNTwe = 18;

Outcome wait(CpuState& cpu, Environment& environment, bool for_event) {
  if (cpu.el == 0 && !bit(cpu.sctlr_el[1], for_event ? kSctlrNTwe : kSctlrNTwi)) {
    // Trapped "if the instruction would otherwise have caused a low-power state"; it is IMPLEMENTATION DEFINED whether that is
    // so, and here it always is. CV = 1, COND = 0b1110, TI tells WFE.
    arm64::take_sync_exception(cpu, ExceptionClass::kWfx, 0x1e00000 | (for_event ? 1 : 0), cpu.pc);
    return Outcome::kException;
  }
  cpu.pc += 4;
  return for_event ? environment.wait_for_event() : environment.wait_for_interrupt();
}

Outcome hint(CpuState& cpu, Environment& environment, uint32_t insn) {
  switch (field(insn, 11, 5)) {  // CRm:op2
    case 1: environment.yield(); break;
    case 2: return wait(cpu, environment, true);
    case 3: return wait(cpu, environment, false);
    case 4:
    case 5: environment.send_event(); break;  // SEVL is allowed to signal other processing elements too
    default: break;  // NOP, and hints of extensions that are not there: PACIASP.., ESB, PSB, TSB, CSDB, BTI
  }
  return next(cpu);
}

Outcome barrier(CpuState& cpu, Environment& environment, uint32_t insn) {
  switch (field(insn, 7, 5)) {
    case 2: environment.clear_exclusive(); return next(cpu);     // CLREX
    case 4: environment.memory_barrier(true); return next(cpu);  // DSB, SSBB, PSSBB
    case 5: {  // DMB: types LD (01) and ST (10) do not order stores before later loads
      const unsigned types = field(insn, 9, 8);
      environment.memory_barrier(types == 0 || types == 3);
      return next(cpu);
    }
    case 6: environment.instruction_barrier(); return next(cpu);
    case 7: return next(cpu);        // SB: speculation is no matter of an interpreter
    default: return undefined(cpu);  // DSB nXS: FEAT_XS; TCOMMIT: FEAT_TME
  }
}

// ISS of a trapped MSR, MRS or system instruction (EC 0x18): the fields of the instruction, rearranged.
uint32_t system_trap_iss(uint32_t insn) {
  return (field(insn, 20, 19) << 20) | (field(insn, 7, 5) << 17) | (field(insn, 18, 16) << 14) | (field(insn, 15, 12) << 10) |
         (rt(insn) << 5) | (field(insn, 11, 8) << 1) | (bit(insn, 21) ? 1 : 0);
}

Outcome msr_immediate(CpuState& cpu, Environment& environment, uint32_t insn) {
  const unsigned crm = field(insn, 11, 8);
  switch ((field(insn, 18, 16) << 3) | field(insn, 7, 5)) {  // op1:op2
    case 0b000'000:  // CFINV (FEAT_FlagM); its neighbours XAFLAG and AXFLAG are FEAT_FlagM2
      cpu.set_nzcv(cpu.nzcv() ^ kC);
      return next(cpu);
    case 0b000'011:
      if (cpu.el == 0) return undefined(cpu);
      cpu.uao = crm & 1;
      break;
    case 0b000'100:
      if (cpu.el == 0) return undefined(cpu);
      cpu.pan = crm & 1;
      break;
    case 0b000'101:
      if (cpu.el == 0) return undefined(cpu);
      arm64::select_stack(cpu, cpu.el, crm & 1);
      break;
    case 0b011'010: cpu.dit = crm & 1; break;
    case 0b011'110:    // DAIFSet
    case 0b011'111: {  // DAIFClr
      if (cpu.el == 0 && !bit(cpu.sctlr_el[1], kSctlrUma)) {
        arm64::take_sync_exception(cpu, ExceptionClass::kSysReg, system_trap_iss(insn), cpu.pc);
        return Outcome::kException;
      }
      const uint32_t mask = crm << 6;  // D, A, I, F stand at bits 9..6
      cpu.daif = bit(insn, 5) ? cpu.daif & ~mask : cpu.daif | mask;
      break;
    }
    default: return undefined(cpu);  // SSBS, TCO, SVCR, ALLINT: extensions that are not there
  }
  // The PC must be right already: pending interrupts may be looked at now.
  cpu.pc += 4;
  environment.pstate_changed();
  return Outcome::kDone;
}

constexpr uint16_t kFpcr = arm64::sysreg_encoding(3, 3, 4, 4, 0), kFpsr = arm64::sysreg_encoding(3, 3, 4, 4, 1);

Outcome move_system_register(CpuState& cpu, Environment& environment, uint32_t insn) {
  const uint16_t encoding = arm64::sysreg_encoding_of(insn);
  if ((encoding == kFpcr || encoding == kFpsr) && !arm64::fp_enabled(cpu)) return fp_access_trap(cpu);
  // The environment may look at the PC (it raises the exceptions), so it moves last.
  if (bit(insn, 21)) {
    uint64_t value = 0;
    if (const Outcome outcome = environment.read_system_register(encoding, insn, value); outcome != Outcome::kDone)
      return outcome;
    write_x(cpu, rt(insn), value);
    return next(cpu);
  }
  const uint64_t value = read_x(cpu, rt(insn));
  if (const Outcome outcome = environment.write_system_register(encoding, insn, value); outcome != Outcome::kDone) return outcome;
  if (encoding == kFpcr) environment.fp_control_changed();
  return next(cpu);
}

Outcome system(CpuState& cpu, Environment& environment, uint32_t insn) {
  switch (field(insn, 20, 19)) {
    case 0: {
      if (bit(insn, 21) || rt(insn) != 31) return undefined(cpu);
      const unsigned op1 = field(insn, 18, 16), crn = field(insn, 15, 12);
      if (crn == 4) return msr_immediate(cpu, environment, insn);
      if (op1 == 3 && crn == 2) return hint(cpu, environment, insn);
      if (op1 == 3 && crn == 3) return barrier(cpu, environment, insn);
      return undefined(cpu);  // WFET and WFIT (CRn = 1): FEAT_WFxT
    }
    case 1: {
      if (bit(insn, 21)) return undefined(cpu);  // no SYSL operation is defined by the extensions that are there
      const Outcome outcome = environment.system_instruction(arm64::sysreg_encoding_of(insn), insn, read_x(cpu, rt(insn)));
      return outcome == Outcome::kDone ? next(cpu) : outcome;
    }
    default: return move_system_register(cpu, environment, insn);
  }
}

}  // namespace

Outcome execute_branch_system(CpuState& cpu, Environment& environment, uint32_t insn) {
  switch (field(insn, 31, 29)) {
    case 0b000:
    case 0b100: {  // B, BL
      const int64_t words = sign_extend(field(insn, 25, 0), 26);
      if (bit(insn, 31)) cpu.x[30] = cpu.pc + 4;
      return branch_relative(cpu, words);
    }
    case 0b001:
    case 0b101:
      if (!bit(insn, 25)) {  // CBZ, CBNZ
        const uint64_t value = read_reg(cpu, rt(insn), bit(insn, 31));
        return branch_if(cpu, (value == 0) != bit(insn, 24), sign_extend(field(insn, 23, 5), 19));
      } else {  // TBZ, TBNZ
        const unsigned position = (field(insn, 31, 31) << 5) | field(insn, 23, 19);
        return branch_if(cpu, bit(read_x(cpu, rt(insn)), position) == bit(insn, 24), sign_extend(field(insn, 18, 5), 14));
      }
    case 0b010:
      if (field(insn, 25, 24) != 0 || bit(insn, 4)) return undefined(cpu);  // bit 4: BC.cond, FEAT_HBC
      return branch_if(cpu, condition_holds(cpu.nzcv(), field(insn, 3, 0)), sign_extend(field(insn, 23, 5), 19));
    case 0b110:
      if (bit(insn, 25)) return branch_register(cpu, environment, insn);
      if (!bit(insn, 24)) return generate_exception(cpu, environment, insn);
      if (field(insn, 23, 22) != 0) return undefined(cpu);
      return system(cpu, environment, insn);
    default: return undefined(cpu);
  }
}

}  // namespace adyton::engine::interp
