// Debug: the guest's own watchpoints, and a debugger outside the guest.
//
// Nobody pays for the debugger who does not use it: translated code is not instrumented. A page that holds one of his breakpoints is entered in the
// instruction TLB with the translations of another mode, one instruction at a time; a page that he watches is never entered in the data TLB,
// so that every access to it takes the slow path, which looks.
#include <algorithm>

#include "engine/arm64/debug.h"
#include "engine/interp/interpreter.h"
#include "engine/jit/cpu.h"
#include "engine/jit/machine.h"

namespace adyton::engine::jit {

using arm64::AccessKind;
using arm64::ExceptionClass;
using interp::Outcome;

namespace {

// The bits of an address that are the same whatever its tag.
constexpr uint64_t kAddressMask = (1ull << 56) - 1;
constexpr uint64_t kEnable = 1;

}  // namespace

Outcome CpuImpl::check_watchpoints(uint64_t va, unsigned size, AccessKind kind, bool unprivileged) {
  arm64::CpuState& cpu = exec_.cpu;
  const bool write = kind != AccessKind::kRead;
  const arm64::WatchpointAccess access{arm64::strip_tag(cpu, va, false), size, kind != AccessKind::kWrite, write, access_context(unprivileged).el};
  if (outside_.watchpoints) {
    for (unsigned i = 0; i < DebugControl::kWatchpoints; ++i) {
      const arm64::WatchpointHit hit =
          arm64::unlinked_watchpoint_hit(outside_.control.watchpoint_value[i], outside_.control.watchpoint_control[i], access);
      if (hit.hit) return debug_exit(ExceptionClass::kWatchpointLower, arm64::watchpoint_iss(write, false), hit.far);
    }
  }
  if (!mode_.single_step || !arm64::watchpoints_armed(cpu)) return Outcome::kDone;
  const arm64::WatchpointHit hit = arm64::watchpoint_matches(cpu, access);
  if (!hit.hit) return Outcome::kDone;
  arm64::take_sync_exception(cpu, ExceptionClass::kWatchpointLower, arm64::watchpoint_iss(write, false), cpu.pc, hit.far);
  pstate_changed();
  return Outcome::kException;
}

void CpuImpl::set_debug(const DebugControl& control) {
  auto any_enabled = [](const auto& controls) { return std::ranges::any_of(controls, [](uint64_t c) { return (c & kEnable) != 0; }); };
  outside_.control = control;
  outside_.breakpoints = any_enabled(control.breakpoint_control);
  outside_.watchpoints = any_enabled(control.watchpoint_control);
  outside_.step_done = false;
  tlb_.flush_all();
  tlb_.flush_instructions(kUserView);
  tlb_.flush_instructions(kPrivilegedView);
  interrupt_mask_changed();
}

std::optional<GuestPhysAddr> CpuImpl::debug_translate(uint64_t va) {
  const arm64::Translation t =
      arm64::translate(exec_.cpu, machine_.memory(), va, AccessKind::kRead, {.el = 1, .pan = false, .update_tables = false});
  if (t.fault.type != arm64::FaultType::kNone && t.fault.type != arm64::FaultType::kPermission) return std::nullopt;
  return t.pa;
}

Outcome CpuImpl::debug_exit(ExceptionClass ec, uint32_t iss, uint64_t far) {
  constexpr uint32_t kIl = 1u << 25;
  exit_.reason = Exit::Reason::kDebug;
  exit_.debug = {static_cast<uint32_t>(ec) << 26 | kIl | iss, far};
  return Outcome::kExit;
}

bool CpuImpl::stopped_by_debugger() {
  const arm64::CpuState& cpu = exec_.cpu;
  for (unsigned i = 0; i < DebugControl::kBreakpoints; ++i) {
    if (!arm64::address_breakpoint_hits(cpu, outside_.control.breakpoint_value[i], outside_.control.breakpoint_control[i], cpu.pc)) continue;
    debug_exit(ExceptionClass::kBreakpointLower, arm64::kDebugFaultStatus);
    return true;
  }
  return false;
}

bool CpuImpl::breakpoint_taken_outside(uint16_t immediate) {
  if (!outside_.control.software_breakpoints) return false;
  debug_exit(ExceptionClass::kBrk, immediate);
  return true;
}

bool CpuImpl::debug_step() {
  arm64::CpuState& cpu = exec_.cpu;
  if (!outside_.step_done) {
    device_.replayed = 0;
    Outcome outcome = Outcome::kDone;
    if (mode_.single_step && !cpu.il && !(cpu.pc & 3)) {  // the guest debugs itself as well
      uint32_t insn = 0;
      outcome = fetch(cpu.pc, insn);
      if (outcome == Outcome::kDone) outcome = execute_watched(insn);
    } else {
      outcome = interp::step(cpu, *this);
    }
    if (outcome == Outcome::kExit) {
      // A device has to answer first, and the instruction runs again; HVC and WFI are done, but for what others do about them.
      outside_.step_done = exit_.reason != Exit::Reason::kMmio && exit_.reason != Exit::Reason::kDebug;
      return false;
    }
    device_.answered = 0;
  }
  outside_.step_done = false;
  debug_exit(ExceptionClass::kStepLower, arm64::step_exception_iss(true, false));
  return false;
}

bool CpuImpl::holds_breakpoint(uint64_t va) const {
  for (unsigned i = 0; i < DebugControl::kBreakpoints; ++i) {
    if ((outside_.control.breakpoint_control[i] & kEnable) && ((outside_.control.breakpoint_value[i] ^ va) & kAddressMask & kPageMask) == 0) return true;
  }
  return false;
}

bool CpuImpl::holds_watchpoint(uint64_t va) const {
  const uint64_t page = va & kPageMask & kAddressMask;
  for (unsigned i = 0; i < DebugControl::kWatchpoints; ++i) {
    const uint64_t control = outside_.control.watchpoint_control[i];
    if (!(control & kEnable)) continue;
    const arm64::WatchedRange range = arm64::watched_range(outside_.control.watchpoint_value[i], control);
    const uint64_t first = range.first & kAddressMask;
    if (page < first + range.size && first < page + kPageSize) return true;
  }
  return false;
}

unsigned CpuImpl::page_mode(uint64_t va) const {
  if (!outside_.breakpoints || !holds_breakpoint(va)) [[likely]] return mode_number_;
  arm64::TranslationMode mode = mode_;
  mode.single_step = true;
  return mode.number();
}

}  // namespace adyton::engine::jit
