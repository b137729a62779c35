#include "vmm/gdb/guest_breakpoint.h"

namespace adyton::vmm::gdb {

using hypervisor::reg_sysreg;

Result<void> take_guest_breakpoint(hypervisor::Vcpu& vcpu, uint32_t syndrome) {
  constexpr uint64_t kEsrEl1 = reg_sysreg(3, 0, 5, 2, 0), kVbarEl1 = reg_sysreg(3, 0, 12, 0, 0), kSctlrEl1 = reg_sysreg(3, 0, 1, 0, 0);
  constexpr uint64_t kSpan = 1ull << 23;                                                       // SCTLR_EL1
  constexpr uint64_t kPan = 1ull << 22, kUao = 1ull << 23, kSs = 1ull << 21, kIl = 1ull << 20;  // PSTATE
  constexpr uint64_t kDaif = 0x3c0, kMode = 0xf, kEl1h = 5, kSpSel = 1;
  constexpr uint64_t kFromEl0 = 0x400, kFromSpx = 0x200, kFromSp0 = 0;

  const uint64_t pstate = TRY(vcpu.get_reg(hypervisor::kRegPstate));
  const uint64_t pc = TRY(vcpu.get_reg(hypervisor::kRegPc));
  const uint64_t vectors = TRY(vcpu.get_reg(kVbarEl1));
  const uint64_t sctlr = TRY(vcpu.get_reg(kSctlrEl1));
  const bool from_el0 = (pstate & kMode) == 0;
  uint64_t entered = (pstate & ~(kMode | kUao | kSs | kIl)) | kDaif | kEl1h;
  if (!(sctlr & kSpan)) entered |= kPan;
  TRY(vcpu.set_reg(kEsrEl1, syndrome));
  TRY(vcpu.set_reg(hypervisor::kRegElrEl1, pc));
  TRY(vcpu.set_reg(hypervisor::kRegSpsrEl1, pstate));
  TRY(vcpu.set_reg(hypervisor::kRegPstate, entered));
  return vcpu.set_reg(hypervisor::kRegPc, (vectors & ~0x7ffull) + (from_el0 ? kFromEl0 : (pstate & kSpSel) ? kFromSpx : kFromSp0));
}

}  // namespace adyton::vmm::gdb
