// Self-hosted debug (Arm ARM D2): hardware breakpoints, watchpoints and the software step state machine, as pure functions over
// CpuState. The engine asks them when MDSCR_EL1 says that something is armed; nothing here has effects but `step_completed`.
#pragma once
#include <cstdint>

#include "engine/arm64/cpu_state.h"

namespace adyton::engine::arm64 {

// As ID_AA64DFR0_EL1.BRPs, WRPs and CTX_CMPs advertise. The last kContextBreakpoints breakpoints can compare a context.
constexpr unsigned kBreakpoints = 6, kWatchpoints = 4, kContextBreakpoints = 2;

constexpr uint64_t kMdscrSs = 1ull << 0, kMdscrKde = 1ull << 13, kMdscrMde = 1ull << 15;
constexpr uint64_t kOslsrLocked = 1ull << 1;

// GenerateDebugExceptionsFrom(): would a debug exception (other than BRK) from `el` with PSTATE.D = `masked` be taken?
[[nodiscard]] bool debug_exceptions_enabled_from(const CpuState& cpu, unsigned el, bool masked);
// The same for the current PSTATE.
[[nodiscard]] bool debug_exceptions_enabled(const CpuState& cpu);

// --- Software step (Arm ARM D2.12)
enum class StepState : uint8_t {
  kInactive,
  kActiveNotPending,  // run one instruction, then call step_completed()
  kActivePending,     // take kStepLower with step_exception_iss() before the next instruction
};
[[nodiscard]] StepState step_state(const CpuState& cpu);
// PSTATE.SS after an exception return or debug state exit with `spsr` to `destination` (DebugExceptionReturnSS).
[[nodiscard]] bool step_bit_on_return(const CpuState& cpu, uint32_t spsr, unsigned destination);
// One instruction was stepped (SSAdvance). Call it also before the exception of an SVC, HVC or SMC, which count as completed.
void step_completed(CpuState& cpu);
// ESR.ISS of the step exception. `stepped_exclusive`: the stepped instruction was a load-exclusive.
[[nodiscard]] uint32_t step_exception_iss(bool stepped, bool stepped_exclusive);

// --- Breakpoints and watchpoints (Arm ARM D2.9, D2.10)
// Is any enabled, and would its exception be taken now? Cheap: to choose between translation with and without checks.
[[nodiscard]] bool breakpoints_armed(const CpuState& cpu);
[[nodiscard]] bool watchpoints_armed(const CpuState& cpu);
// Does the instruction at `pc` hit a breakpoint at the current EL? Take kBreakpointLower, ISS kDebugFaultStatus.
[[nodiscard]] bool breakpoint_matches(const CpuState& cpu, uint64_t pc);

struct WatchpointAccess {
  uint64_t va = 0;            // tag already stripped
  uint64_t size = 0;          // bytes
  bool read = false, write = false;
  unsigned el = 1;            // effective privilege: 0 for LDTR and STTR
};
struct WatchpointHit {
  bool hit = false;
  uint64_t far = 0;           // an address inside both the access and the watched bytes, for FAR_EL1
};
// Take kWatchpointLower with watchpoint_iss() and FAR = far.
[[nodiscard]] WatchpointHit watchpoint_matches(const CpuState& cpu, const WatchpointAccess& access);

// Does one breakpoint, an unlinked address match, hit at `pc` and the current EL? For a debugger outside the guest, who has registers of his own.
[[nodiscard]] bool address_breakpoint_hits(const CpuState& cpu, uint64_t value, uint64_t control, uint64_t pc);
// The same for one unlinked watchpoint.
[[nodiscard]] WatchpointHit unlinked_watchpoint_hit(uint64_t value, uint64_t control, const WatchpointAccess& access);
// The first byte that a watchpoint may watch, and how many from there on.
struct WatchedRange {
  uint64_t first = 0, size = 0;
};
[[nodiscard]] WatchedRange watched_range(uint64_t value, uint64_t control);

// DFSC/IFSC "debug exception".
constexpr uint32_t kDebugFaultStatus = 0x22;
[[nodiscard]] uint32_t watchpoint_iss(bool write, bool cache_maintenance);

}  // namespace adyton::engine::arm64
