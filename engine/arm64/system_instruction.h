// The SYS space (op0 = 1): cache, address translation and TLB maintenance instructions, with their access rules (Arm ARM C5.3 to
// C5.5).
#pragma once
#include <cstdint>

#include "base/guest_memory.h"
#include "engine/arm64/cpu_state.h"
#include "engine/arm64/mmu.h"
#include "engine/arm64/sysreg.h"

namespace adyton::engine::arm64 {

enum class SystemInstruction : uint8_t {
  kUndefined,  // no such instruction on this CPU
  kDcZva, kDcIvac, kDcIsw, kDcCvac, kDcCsw, kDcCvau, kDcCvap, kDcCivac, kDcCisw,
  kIcIalluis, kIcIallu, kIcIvau,
  kAtS1e1r, kAtS1e1w, kAtS1e0r, kAtS1e0w, kAtS1e1rp, kAtS1e1wp,
  kTlbi,       // any: see decode_tlbi()
};

// `encoding` as sysreg_encoding() packs it. SYSL has no instruction on this CPU: it is UNDEFINED.
[[nodiscard]] SystemInstruction decode_system_instruction(uint16_t encoding);

// May the current exception level execute it? kDone, kUndefined, or kTrapped (SCTLR_EL1.UCI, DZE).
[[nodiscard]] SysRegResult check_system_instruction(const CpuState& cpu, SystemInstruction instruction);

// Cache maintenance by VA: what translate() must be asked before the instruction may succeed. DC ZVA and IVAC write; the rest
// need no more than a translation. False for those without an address (by set and way, IC IALLU) and for what is no cache
// maintenance.
[[nodiscard]] bool maintenance_access(SystemInstruction instruction, AccessKind& kind);
// How that access is made: no maintenance but DC ZVA is subject to PAN.
[[nodiscard]] AccessContext maintenance_context(const CpuState& cpu, SystemInstruction instruction);
// ESR.ISS when that translation failed: every maintenance instruction but DC ZVA says CM.
[[nodiscard]] uint32_t maintenance_abort_iss(SystemInstruction instruction, const Fault& fault);

// AT: translates `va` and writes the outcome to PAR_EL1. True when the walk itself met an external abort, which AT takes as a
// Data Abort at `fault` instead of recording it.
[[nodiscard]] bool address_translate(CpuState& cpu, const GuestMemory& memory, SystemInstruction instruction, uint64_t va,
                                     Fault& fault);

// SCTLR_EL1.nTWI and nTWE: does WFI (WFE when `event`) at EL0 trap to EL1? Then take kWfx with wfx_trap_iss().
[[nodiscard]] bool wfx_traps(const CpuState& cpu, bool event);
[[nodiscard]] constexpr uint32_t wfx_trap_iss(bool event) { return (1u << 24) | (0xeu << 20) | (event ? 1 : 0); }

}  // namespace adyton::engine::arm64
