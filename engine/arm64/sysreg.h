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

// What happens outside the CPU's own state when a system register or instruction is used. One object per vCPU, called on its thread.
class SystemEffects {
 public:
  virtual ~SystemEffects() = default;
  // Translation controls, the current ASID, PAN or the FP mode changed (SCTLR, TCR, TTBRx, MAIR, PSTATE.PAN/UAO, CPACR, FPCR).
  virtual void translation_context_changed() = 0;
  virtual void fp_mode_changed() = 0;
  // PSTATE.DAIF changed: pending interrupts may now be taken.
  virtual void interrupt_mask_changed() = 0;
  // Debug registers or MDSCR_EL1 changed.
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
};

enum class SysRegResult : uint8_t {
  kDone,
  kUndefined,   // UNDEFINED at this EL, or no such register
  kTrapped,     // EC 0x18 trap to EL1 (e.g. SCTLR_EL1.UCI/UCT, CNTKCTL): take kSysReg with the ISS of the instruction
};

// MRS and MSR (register), with access rules, masks and effects.
SysRegResult read_sysreg(CpuState& cpu, SystemEffects& effects, uint16_t encoding, uint64_t& value);
SysRegResult write_sysreg(CpuState& cpu, SystemEffects& effects, uint16_t encoding, uint64_t value);

// What the translator may do inline for a register at a given EL.
struct SysRegAccess {
  enum class Kind : uint8_t {
    kHelper,     // call read_sysreg/write_sysreg
    kStorage,    // a plain 64-bit field of CpuState at `offset`
    kStorage32,  // a plain 32-bit field at `offset`, zero-extended
    kConstant,   // reads as `value`
  } kind = Kind::kHelper;
  uint32_t offset = 0;
  uint64_t value = 0;
};
// How to read or write `encoding` at exception level `el`, when no run-time condition matters; kHelper for everything else.
SysRegAccess inline_read(uint16_t encoding, unsigned el);
SysRegAccess inline_write(uint16_t encoding, unsigned el);

// Name as the Arm ARM writes it, or "S3_0_C1_C0_0" form.
const char* sysreg_name(uint16_t encoding);

// Fills reset values (warm reset of a PE that starts at EL1h with the MMU off). `affinity` is MPIDR_EL1's affinity fields.
void reset(CpuState& cpu, uint64_t affinity);

}  // namespace adyton::engine::arm64
