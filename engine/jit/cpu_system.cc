// System registers, maintenance instructions, barriers and waiting, as one instruction sees them.
#include <immintrin.h>

#include <array>

#include "engine/arm64/debug.h"
#include "engine/arm64/system_instruction.h"
#include "engine/arm64/tlbi.h"
#include "engine/jit/cpu.h"
#include "engine/jit/machine.h"

namespace adyton::engine::jit {

using arm64::ExceptionClass;
using interp::Outcome;

namespace {

uint16_t current_asid(const arm64::CpuState& cpu) {
  const uint64_t tcr = cpu.tcr_el[1];
  const bool a1 = (tcr >> 22) & 1, wide = (tcr >> 36) & 1;
  const uint64_t asid = (a1 ? cpu.ttbr1_el1 : cpu.ttbr0_el[1]) >> 48;
  return static_cast<uint16_t>(wide ? asid : asid & 0xff);
}

}  // namespace

Outcome CpuImpl::sysreg_outcome(arm64::SysRegResult result, uint32_t insn) {
  switch (result) {
    case arm64::SysRegResult::kDone: return Outcome::kDone;
    case arm64::SysRegResult::kUndefined: arm64::take_sync_exception(exec_.cpu, ExceptionClass::kUnknown, 0, exec_.cpu.pc); break;
    case arm64::SysRegResult::kTrapped:
      arm64::take_sync_exception(exec_.cpu, ExceptionClass::kSysReg, arm64::sysreg_trap_iss(insn), exec_.cpu.pc);
      break;
  }
  pstate_changed();
  return Outcome::kException;
}

Outcome CpuImpl::read_system_register(uint16_t encoding, uint32_t insn, uint64_t& value) {
  constexpr uint16_t kFpsr = arm64::sysreg_encoding(3, 3, 4, 4, 1);
  if (encoding == kFpsr) collect_fp_flags();
  return sysreg_outcome(arm64::read_sysreg(exec_.cpu, *this, encoding, value), insn);
}

Outcome CpuImpl::write_system_register(uint16_t encoding, uint32_t insn, uint64_t value) {
  constexpr uint16_t kFpcr = arm64::sysreg_encoding(3, 3, 4, 4, 0);
  if (encoding == kFpcr) collect_fp_flags();
  return sysreg_outcome(arm64::write_sysreg(exec_.cpu, *this, encoding, value), insn);
}

Outcome CpuImpl::system_instruction(uint16_t encoding, uint32_t insn, uint64_t value) {
  using arm64::SystemInstruction;
  arm64::CpuState& cpu = exec_.cpu;
  const SystemInstruction instruction = arm64::decode_system_instruction(encoding);
  if (Outcome outcome = sysreg_outcome(arm64::check_system_instruction(cpu, instruction), insn); outcome != Outcome::kDone) return outcome;
  switch (instruction) {
    case SystemInstruction::kTlbi: tlbi(encoding, value); return Outcome::kDone;
    case SystemInstruction::kIcIallu: case SystemInstruction::kIcIalluis: instruction_cache(encoding, value); return Outcome::kDone;
    case SystemInstruction::kAtS1e1r: case SystemInstruction::kAtS1e1w: case SystemInstruction::kAtS1e0r: case SystemInstruction::kAtS1e0w:
    case SystemInstruction::kAtS1e1rp: case SystemInstruction::kAtS1e1wp: {
      arm64::Fault fault;
      if (!arm64::address_translate(cpu, machine_.memory(), instruction, value, fault)) return Outcome::kDone;
      arm64::take_sync_exception(cpu, ExceptionClass::kDataAbortLower, arm64::maintenance_abort_iss(instruction, fault), cpu.pc, value);
      pstate_changed();
      return Outcome::kException;
    }
    default: break;
  }
  arm64::AccessKind kind{};
  if (!arm64::maintenance_access(instruction, kind)) return Outcome::kDone;
  if (instruction == SystemInstruction::kDcZva) {
    static constexpr std::array<uint64_t, 2> kZeroes{};
    constexpr uint64_t kBlock = 64;  // DCZID_EL0.BS
    const uint64_t block = value & ~(kBlock - 1);
    for (uint64_t offset = 0; offset < kBlock; offset += 16) {
      if (Outcome outcome = write(block + offset, 16, {}, kZeroes.data()); outcome != Outcome::kDone) return outcome;
    }
    return Outcome::kDone;
  }
  const arm64::Translation t = arm64::translate(cpu, machine_.memory(), value, kind, arm64::maintenance_context(cpu, instruction));
  if (t.fault.type != arm64::FaultType::kNone) {
    arm64::take_sync_exception(cpu, ExceptionClass::kDataAbortLower, arm64::maintenance_abort_iss(instruction, t.fault), cpu.pc, value);
    pstate_changed();
    return Outcome::kException;
  }
  if (instruction == SystemInstruction::kIcIvau) instruction_cache(encoding, t.pa);
  return Outcome::kDone;
}

Outcome CpuImpl::hypervisor_call(uint16_t) {
  exit_.reason = Exit::Reason::kHypercall;
  return Outcome::kExit;
}

Outcome CpuImpl::secure_monitor_call(uint16_t) {
  exit_.reason = Exit::Reason::kSecureCall;
  return Outcome::kExit;
}

Outcome CpuImpl::trap_wait(bool event) {
  // PC is already past the instruction; the trap returns to it.
  arm64::take_sync_exception(exec_.cpu, ExceptionClass::kWfx, arm64::wfx_trap_iss(event), exec_.cpu.pc - 4);
  pstate_changed();
  return Outcome::kException;
}

Outcome CpuImpl::wait_for_interrupt() {
  if (arm64::wfx_traps(exec_.cpu, false)) return trap_wait(false);
  if (irq_.load(std::memory_order_acquire) || fiq_.load(std::memory_order_acquire)) return Outcome::kDone;
  exit_.reason = Exit::Reason::kWaitForInterrupt;
  exit_.wait_for_event = false;
  return Outcome::kExit;
}

Outcome CpuImpl::wait_for_event() {
  if (arm64::wfx_traps(exec_.cpu, true) && !event_.load(std::memory_order_acquire)) return trap_wait(true);
  if (event_.exchange(false, std::memory_order_acq_rel) || irq_.load(std::memory_order_acquire)) return Outcome::kDone;
  exit_.reason = Exit::Reason::kWaitForInterrupt;
  exit_.wait_for_event = true;
  return Outcome::kExit;
}

void CpuImpl::send_event() {
  for (const auto& cpu : machine_.cpus()) cpu->set_event();
  host_.send_event();
}

void CpuImpl::yield() { _mm_pause(); }

void CpuImpl::memory_barrier(bool full) {
  if (!full) return;
  __atomic_thread_fence(__ATOMIC_SEQ_CST);
  exec_.release_pending = 0;
  if (exec_.shootdown_pending) {
    exec_.shootdown_pending = 0;
    machine_.await_shootdowns(*this);
  }
}

void CpuImpl::instruction_barrier() {}

void CpuImpl::pstate_changed() {
  tlb_.set_context(current_asid(exec_.cpu), exec_.cpu.pan);
  update_mode();
  interrupt_mask_changed();
}

void CpuImpl::fp_control_changed() { fp_mode_changed(); }

void CpuImpl::fp_mode_changed() {
  // FPCR.RMode 0..3: nearest, up, down, zero; MXCSR.RC: nearest, down, up, zero. All exceptions masked, cumulative flags clear.
  constexpr uint32_t kRounding[] = {0, 2, 1, 3};
  constexpr uint32_t kMasked = 0x1f80;
  const uint32_t fresh = kMasked | (kRounding[(exec_.cpu.fpcr >> 22) & 3] << 13);
  exec_.guest_mxcsr = fresh;
  if (in_translated_code_) _mm_setcsr(fresh);
  update_mode();
}

void CpuImpl::collect_fp_flags() {
  const uint32_t mxcsr = in_translated_code_ ? _mm_getcsr() : exec_.guest_mxcsr;
  // MXCSR IE, -, ZE, OE, UE, PE -> FPSR IOC, DZC, OFC, UFC, IXC.
  exec_.cpu.fpsr |= (mxcsr & 1) | ((mxcsr >> 1) & 0x1e);
}

bool CpuImpl::debugging() const {
  const arm64::CpuState& cpu = exec_.cpu;
  return arm64::step_state(cpu) != arm64::StepState::kInactive || arm64::breakpoints_armed(cpu) || arm64::watchpoints_armed(cpu);
}

void CpuImpl::debug_changed() { update_mode(); }

void CpuImpl::update_mode() {
  const arm64::CpuState& cpu = exec_.cpu;
  constexpr uint32_t kSpecialFp = (1u << 26) | (1u << 25) | (1u << 24) | (1u << 19);  // AHP, DN, FZ, FZ16
  constexpr uint64_t kSctlrDze = 1u << 14;
  arm64::TranslationMode mode;
  mode.el = cpu.el;
  mode.fp_enabled = arm64::fp_enabled(cpu);
  mode.fp_default = !(cpu.fpcr & kSpecialFp);
  mode.sp_elx = cpu.sp_sel;
  mode.uao = cpu.uao;
  mode.cache_by_user = cpu.sctlr_el[1] & kSctlrDze;
  mode.debug_armed = cpu.mdscr_el1 & (arm64::kMdscrSs | arm64::kMdscrMde);
  mode.single_step = cpu.il || (mode.debug_armed && debugging());
  const View view = cpu.el == 0 ? kUserView : kPrivilegedView;
  const unsigned number = mode.number();
  mode_ = mode;
  mode_number_ = number;
  if (view_mode_[view] != number) {
    view_mode_[view] = number;
    tlb_.flush_instructions(view);
  }
}

void CpuImpl::translation_context_changed() {
  const arm64::CpuState& cpu = exec_.cpu;
  const TranslationControls now{cpu.sctlr_el[1], cpu.tcr_el[1], cpu.mair_el[1]};
  if (now != controls_) {
    controls_ = now;
    tlb_.flush_all();
  }
  tlb_.set_context(current_asid(cpu), cpu.pan);
  update_mode();
}

void CpuImpl::interrupt_mask_changed() {
  exec_.recheck = exec_.interrupt_level.load(std::memory_order_acquire);
}

void CpuImpl::tlbi(uint16_t op, uint64_t value) {
  const arm64::TlbInvalidation decoded = arm64::decode_tlbi(op, value, exec_.cpu.tcr_el[1]);
  Invalidation invalidation;
  switch (decoded.scope) {
    case arm64::TlbInvalidation::Scope::kEverything: invalidation.kind = Invalidation::Kind::kAll; break;
    case arm64::TlbInvalidation::Scope::kAsid: invalidation = {Invalidation::Kind::kAsid, decoded.asid}; break;
    default: invalidation = {Invalidation::Kind::kRange, decoded.asid, decoded.va, decoded.size}; break;
  }
  apply(invalidation);
  if (decoded.broadcast && machine_.cpus().size() > 1) {
    machine_.broadcast(*this, invalidation);
    exec_.shootdown_pending = 1;
  }
}

void CpuImpl::instruction_cache(uint16_t op, uint64_t pa) {
  constexpr uint64_t kLine = 64;  // CTR_EL0.IminLine
  if (arm64::decode_system_instruction(op) == arm64::SystemInstruction::kIcIvau) {
    machine_.pages().invalidate(pa & ~(kLine - 1), kLine);
  } else {
    machine_.pages().invalidate_all();
  }
}

}  // namespace adyton::engine::jit
