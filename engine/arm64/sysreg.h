// System registers: one table row each, read by both the translator (which inlines plain storage) and the interpreter.
#pragma once
#include <cstdint>

#include "engine/arm64/cpu_state.h"

namespace adyton::engine::arm64 {

// op0:op1:CRn:CRm:op2 packed as in MRS/MSR bits 20:5 (op0 has two bits here).
constexpr uint16_t sysreg_encoding(unsigned op0, unsigned op1, unsigned crn, unsigned crm, unsigned op2) {
  return static_cast<uint16_t>((op0 << 14) | (op1 << 11) | (crn << 7) | (crm << 3) | op2);
}
constexpr uint16_t sysreg_encoding_of(uint32_t insn) { return static_cast<uint16_t>((insn >> 5) & 0xffff) ; }

// What happens outside the CPU's own state when a system register or instruction is used. One object per vCPU, called on its
// thread.
class SystemEffects {
 public:
  virtual ~SystemEffects() = default;
  // Translation controls, the current ASID, PAN or the FP mode changed (SCTLR, TCR, TTBRx, MAIR, PSTATE.PAN/UAO, CPACR, FPCR).
  virtual void translation_context_changed() = 0;
  // FPCR or FPSR was written; MSR FPSR also discards cumulative flags that are still pending in the host. MRS FPSR reads
  // CpuState::fpsr as it is: collect pending flags before.
  virtual void fp_mode_changed() = 0;
  // PSTATE.DAIF changed: pending interrupts may now be taken.
  virtual void interrupt_mask_changed() = 0;
  // Debug registers or MDSCR_EL1 changed, or PSTATE.D while MDSCR_EL1 arms something.
  virtual void debug_changed() = 0;
  // TLB maintenance; `op` is the SYS encoding (op0=1), `value` is Xt.
  virtual void tlbi(uint16_t op, uint64_t value) = 0;
  // IC IALLU/IALLUIS/IVAU. For IVAU `va` is the address; the rest ignore it.
  virtual void instruction_cache(uint16_t op, uint64_t va) = 0;
  // Generic timer: the counter in CNTFRQ units, and a change of any timer register of this vCPU.
  virtual uint64_t physical_count() = 0;
  virtual void timer_changed() = 0;
  // GICv3 CPU interface (ICC_*_EL1). Returns false when there is no such register (then it is UNDEFINED).
  virtual bool read_icc(uint16_t encoding, uint64_t& value) = 0;
  virtual bool write_icc(uint16_t encoding, uint64_t value) = 0;
  // Interrupt inputs that are asserted now, masked or not, as ISR_EL1 shows them: A is bit 8, I bit 7, F bit 6.
  virtual uint64_t pending_interrupts() { return 0; }
};

enum class SysRegResult : uint8_t {
  kDone,
  kUndefined,   // UNDEFINED at this EL, or no such register
  kTrapped,     // EC 0x18 trap to EL1 (e.g. SCTLR_EL1.UCI/UCT, CNTKCTL): take kSysReg with the ISS of the instruction
};

// ESR.ISS of a trapped MRS, MSR, SYS or SYSL (EC 0x18), and of a trapped FP access (EC 0x07).
constexpr uint32_t sysreg_trap_iss(uint32_t insn) {
  const uint32_t op0 = (insn >> 19) & 3, op1 = (insn >> 16) & 7, crn = (insn >> 12) & 15, crm = (insn >> 8) & 15,
                 op2 = (insn >> 5) & 7;
  return (op0 << 20) | (op2 << 17) | (op1 << 14) | (crn << 10) | ((insn & 31) << 5) | (crm << 1) | ((insn >> 21) & 1);
}
constexpr uint32_t kFpTrapIss = (1u << 24) | (0xeu << 20);  // CV, COND = always

// MRS and MSR (register), with access rules, masks and effects. MSR SPSel exchanges x[31] without a call: code that depends on
// PSTATE.SP asks again after it. FPCR and FPSR also ask for fp_enabled(): that check is the caller's, as for every FP
// instruction.
SysRegResult read_sysreg(CpuState& cpu, SystemEffects& effects, uint16_t encoding, uint64_t& value);
SysRegResult write_sysreg(CpuState& cpu, SystemEffects& effects, uint16_t encoding, uint64_t value);

// MSR (immediate): SPSel, DAIFSet, DAIFClr, PAN, UAO, DIT. `op1` and `op2` name the field, `imm` is CRm. CFINV is not among them.
SysRegResult write_pstate_field(CpuState& cpu, SystemEffects& effects, unsigned op1, unsigned op2, unsigned imm);

// What the translator may do inline for a register at a given EL.
struct SysRegAccess {
  enum class Kind : uint8_t {
    kHelper,     // call read_sysreg/write_sysreg
    kStorage,    // a plain 64-bit field of CpuState at `offset`
    kStorage32,  // a plain 32-bit field at `offset`, zero-extended
    kConstant,   // reads as `value`; when written: the write is ignored
  } kind = Kind::kHelper;
  uint32_t offset = 0;
  uint64_t value = 0;
};
// How to read or write `encoding` at exception level `el`, when no run-time condition matters; kHelper for everything else.
// `sp_elx`: the code is known to run with PSTATE.SP = 1, which makes SP_EL0 plain storage at EL1.
SysRegAccess inline_read(uint16_t encoding, unsigned el, bool sp_elx = false);
SysRegAccess inline_write(uint16_t encoding, unsigned el, bool sp_elx = false);

// Name as the Arm ARM writes it, or "S3_0_C1_C0_0" form (then valid until the thread's next call).
const char* sysreg_name(uint16_t encoding);

// Fills reset values (warm reset of a PE that starts at EL1h with the MMU off). `affinity` is MPIDR_EL1's affinity fields. What
// firmware agrees on for all CPUs survives: cntfrq and cntvoff.
void reset(CpuState& cpu, uint64_t affinity);

}  // namespace adyton::engine::arm64
