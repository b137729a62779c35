// The architectural state of one AArch64 processing element, as translated code, the interpreter and the exception model
// all see it. Plain data: translated code reaches fields by their offset.
//
// Arrays indexed by exception level keep room for EL2 and EL3; EL0 and EL1 are implemented today.
// Threading: owned by the vCPU's thread while it runs.
#pragma once
#include <cstddef>
#include <cstdint>

#include "engine/ir/flags_image.h"

namespace adyton::engine::arm64 {

struct alignas(16) Vector {
  uint64_t d[2];  // d[0] is bits 63:0
};

// PSTATE.{D,A,I,F} in their SPSR positions.
constexpr uint32_t kDaifD = 1u << 9, kDaifA = 1u << 8, kDaifI = 1u << 7, kDaifF = 1u << 6;

struct alignas(64) CpuState {
  // --- hot, at small offsets: general registers. x[31] is the *current* stack pointer, whichever SP_ELx that is.
  uint64_t x[32];
  // Bits 63:12 of the PC while translated code runs (`pc` itself is exact only outside translated code).
  uint64_t pc;
  uint32_t flags;       // condition flags as ir::flags_image
  uint32_t daif;        // kDaif* bits
  uint8_t el;           // current exception level
  uint8_t sp_sel;       // PSTATE.SP
  uint8_t pan, uao, dit, ss, il, tco_reserved;
  uint32_t fpcr;
  // FPSR. While translated code runs the cumulative IEEE flags may be pending in the host's MXCSR; see jit/fp_context.h.
  uint32_t fpsr;
  alignas(64) Vector v[32];

  // --- system registers, indexed by exception level where they are banked.
  uint64_t sp_el[4];    // the banked stack pointers that are not current
  uint64_t elr_el[4], esr_el[4], far_el[4], vbar_el[4], sctlr_el[4], tcr_el[4], ttbr0_el[4], mair_el[4], amair_el[4], afsr0_el[4],
      afsr1_el[4], actlr_el[4], tpidr_el[4], contextidr_el[4], scxtnum_el[4];
  uint32_t spsr_el[4];
  uint64_t ttbr1_el1, tpidrro_el0, cpacr_el1, par_el1, csselr_el1, cntkctl_el1;
  uint64_t mpidr_el1;
  uint64_t mdscr_el1, osdlr_el1, oslsr_el1, mdccint_el1, osdtrrx_el1, osdtrtx_el1, oseccr_el1, dbgclaim_el1, dbgprcr_el1;
  uint64_t dbgbvr[16], dbgbcr[16], dbgwvr[16], dbgwcr[16];

  // Generic timer (Arm ARM D11). Counts are in units of CNTFRQ_EL0; cntvoff is subtracted from the physical count.
  uint64_t cntfrq;
  uint64_t cntv_cval, cntp_cval, cntvoff;
  uint32_t cntv_ctl, cntp_ctl;  // ENABLE and IMASK only; ISTATUS is computed

  [[nodiscard]] uint32_t nzcv() const { return ir::nzcv_of(flags); }  // N,Z,C,V in bits 3..0
  void set_nzcv(uint32_t nzcv) { flags = ir::flags_image(nzcv); }
  [[nodiscard]] uint64_t sp() const { return x[31]; }
};

static_assert(offsetof(CpuState, x) == 0);
static_assert(offsetof(CpuState, v) % 64 == 0);

}  // namespace adyton::engine::arm64
