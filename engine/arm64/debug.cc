#include "engine/arm64/debug.h"

#include <algorithm>

namespace adyton::engine::arm64 {
namespace {

constexpr uint64_t kOsdlrLock = 1, kDbgprcrCorenpdrq = 1;
constexpr uint64_t kCpuEnable = 1;  // DBGBCR.E, DBGWCR.E
constexpr unsigned kTargetEl = 1;   // without EL2 debug exceptions go to EL1

// DBGBCR_EL1.BT without its "linked" bit 0.
enum BreakpointType : unsigned {
  kAddressMatch = 0b0000, kAddressMatchLinked = 0b0001, kContextIdMatch = 0b0010, kContextIdMatchLinked = 0b0011,
};

bool double_locked(const CpuState& cpu) { return (cpu.osdlr_el1 & kOsdlrLock) && !(cpu.dbgprcr_el1 & kDbgprcrCorenpdrq); }

// {SSC, HMC, PxC} of a control register (Arm ARM table D2-9), on a PE without EL2, EL3 and Secure state.
bool privilege_matches(uint64_t control, unsigned el) {
  const unsigned privilege = (control >> 1) & 3, hmc = (control >> 13) & 1, ssc = (control >> 14) & 3;
  if (ssc == 2) return false;                        // Secure only
  if (ssc == 3) return hmc == 0 && privilege != 0 && (privilege & (el == 0 ? 2 : 1)) != 0;
  if (hmc && (privilege == 0 || privilege == 2)) return false;  // reserved, or EL2 only
  return el == 0 ? (privilege & 2) != 0 : (privilege & 1) != 0;
}

// A value register's address: the top bits are a sign extension of bit 48 (RESS); bits 1:0 are RES0.
uint64_t sign_extended(uint64_t value) { return static_cast<uint64_t>(static_cast<int64_t>(value << 15) >> 15); }

bool context_matches(const CpuState& cpu, unsigned index, bool linked) {
  if (index < kBreakpoints - kContextBreakpoints || index >= kBreakpoints) return false;
  const uint64_t control = cpu.dbgbcr[index];
  const unsigned type = (control >> 20) & 0xf;
  if (!(control & kCpuEnable) || type != (linked ? kContextIdMatchLinked : kContextIdMatch)) return false;
  return static_cast<uint32_t>(cpu.dbgbvr[index]) == static_cast<uint32_t>(cpu.contextidr_el[1]);
}

bool breakpoint_hit(const CpuState& cpu, unsigned index, uint64_t pc) {
  const uint64_t control = cpu.dbgbcr[index];
  if (!(control & kCpuEnable) || !privilege_matches(control, cpu.el)) return false;
  switch ((control >> 20) & 0xf) {
    case kAddressMatchLinked:
      if (!context_matches(cpu, (control >> 16) & 0xf, true)) return false;
      [[fallthrough]];
    case kAddressMatch: {
      return (sign_extended(cpu.dbgbvr[index]) & ~3ull) == (pc & ~3ull);
    }
    case kContextIdMatch: return context_matches(cpu, index, false);
    default: return false;  // linked context breakpoints hit only through others; VMID and CONTEXTIDR_EL2 need EL2
  }
}

WatchpointHit watchpoint_hit(const CpuState& cpu, unsigned index, const WatchpointAccess& access) {
  const uint64_t control = cpu.dbgwcr[index];
  if (((control >> 20) & 1) && !context_matches(cpu, (control >> 16) & 0xf, true)) return {};
  return unlinked_watchpoint_hit(cpu.dbgwvr[index], control, access);
}

}  // namespace

WatchpointHit unlinked_watchpoint_hit(uint64_t value, uint64_t control, const WatchpointAccess& access) {
  if (!(control & kCpuEnable) || !privilege_matches(control, access.el)) return {};
  const bool loads = (control >> 3) & 1, stores = (control >> 4) & 1;
  if (!((loads && access.read) || (stores && access.write))) return {};

  const uint64_t base = sign_extended(value) & ~3ull;
  const uint64_t last = access.va + access.size - 1;
  const unsigned mask = (control >> 24) & 0x1f, select = (control >> 5) & 0xff;
  if (mask >= 3) {  // 1 and 2 are reserved; with a mask BAS must be all ones
    const uint64_t span = (1ull << mask) - 1, first = base & ~span;
    if (last < first || access.va > first + span) return {};
    return {true, std::max(access.va, first)};
  }
  // BAS selects bytes of the doubleword, or of the word when DBGWVR.bit2 is one.
  const unsigned bytes = (base & 4) ? (select & 0xf) : select;
  for (unsigned i = 0; i < 8; ++i) {
    const uint64_t byte = base + i;
    if (((bytes >> i) & 1) && byte >= access.va && byte <= last) return {true, byte};
  }
  return {};
}

WatchedRange watched_range(uint64_t value, uint64_t control) {
  const uint64_t base = sign_extended(value) & ~3ull;
  const unsigned mask = (control >> 24) & 0x1f;
  if (mask < 3) return {base, 8};
  return {base & ~((1ull << mask) - 1), 1ull << mask};
}

bool address_breakpoint_hits(const CpuState& cpu, uint64_t value, uint64_t control, uint64_t pc) {
  return (control & kCpuEnable) && ((control >> 20) & 0xf) == kAddressMatch && privilege_matches(control, cpu.el) &&
         (sign_extended(value) & ~3ull) == (pc & ~3ull);
}

bool debug_exceptions_enabled_from(const CpuState& cpu, unsigned el, bool masked) {
  if ((cpu.oslsr_el1 & kOslsrLocked) || double_locked(cpu)) return false;
  if (el == kTargetEl) return (cpu.mdscr_el1 & kMdscrKde) && !masked;
  return el < kTargetEl;
}

bool debug_exceptions_enabled(const CpuState& cpu) {
  return debug_exceptions_enabled_from(cpu, cpu.el, (cpu.daif & kDaifD) != 0);
}

StepState step_state(const CpuState& cpu) {
  if (!(cpu.mdscr_el1 & kMdscrSs) || !debug_exceptions_enabled(cpu)) return StepState::kInactive;
  return cpu.ss ? StepState::kActiveNotPending : StepState::kActivePending;
}

bool step_bit_on_return(const CpuState& cpu, uint32_t spsr, unsigned destination) {
  if (!(cpu.mdscr_el1 & kMdscrSs) || debug_exceptions_enabled(cpu)) return false;
  return debug_exceptions_enabled_from(cpu, destination, (spsr & kDaifD) != 0) && ((spsr >> 21) & 1) != 0;
}

void step_completed(CpuState& cpu) {
  if (step_state(cpu) == StepState::kActiveNotPending) cpu.ss = 0;
}

uint32_t step_exception_iss(bool stepped, bool stepped_exclusive) {
  // ISV says that EX is valid (Arm ARM D19.2.37, "Software Step exception").
  return kDebugFaultStatus | (stepped ? 1u << 24 : 0) | (stepped && stepped_exclusive ? 1u << 6 : 0);
}

bool breakpoints_armed(const CpuState& cpu) {
  if (!(cpu.mdscr_el1 & kMdscrMde) || !debug_exceptions_enabled(cpu)) return false;
  return std::any_of(cpu.dbgbcr, cpu.dbgbcr + kBreakpoints, [](uint64_t control) { return (control & kCpuEnable) != 0; });
}

bool watchpoints_armed(const CpuState& cpu) {
  if (!(cpu.mdscr_el1 & kMdscrMde) || !debug_exceptions_enabled(cpu)) return false;
  return std::any_of(cpu.dbgwcr, cpu.dbgwcr + kWatchpoints, [](uint64_t control) { return (control & kCpuEnable) != 0; });
}

bool breakpoint_matches(const CpuState& cpu, uint64_t pc) {
  if (!breakpoints_armed(cpu)) return false;
  for (unsigned i = 0; i < kBreakpoints; ++i) {
    if (breakpoint_hit(cpu, i, pc)) return true;
  }
  return false;
}

WatchpointHit watchpoint_matches(const CpuState& cpu, const WatchpointAccess& access) {
  if (access.size == 0 || !watchpoints_armed(cpu)) return {};
  for (unsigned i = 0; i < kWatchpoints; ++i) {
    if (const WatchpointHit found = watchpoint_hit(cpu, i, access); found.hit) return found;
  }
  return {};
}

uint32_t watchpoint_iss(bool write, bool cache_maintenance) {
  return kDebugFaultStatus | (cache_maintenance ? 1u << 8 : 0) | (write || cache_maintenance ? 1u << 6 : 0);
}

}  // namespace adyton::engine::arm64
