#include "engine/jit/cpu.h"

#include <immintrin.h>
#include <sched.h>

#include <mutex>
#include <new>
#include <shared_mutex>

#include "engine/interp/interpreter.h"
#include "engine/jit/machine.h"
#include "engine/jit/thunks.h"

namespace adyton::engine::jit {

using interp::Outcome;

Result<std::unique_ptr<CpuImpl>> CpuImpl::create(MachineImpl& machine, const CpuConfig& config, CpuHost& host) {
  constexpr size_t kBytes = (sizeof(ExecState) + kPageSize - 1) & kPageMask;
  Mapping mapping = TRY(Mapping::anonymous(kBytes));
  return std::unique_ptr<CpuImpl>(new CpuImpl(machine, config, host, std::move(mapping)));
}

CpuImpl::CpuImpl(MachineImpl& machine, const CpuConfig& config, CpuHost& host, Mapping exec_mapping)
    : machine_(machine), host_(host), index_(config.index), exec_mapping_(std::move(exec_mapping)),
      exec_(*new (exec_mapping_.data()) ExecState()), tlb_(exec_), translator_(block_, machine.helpers()),
      compiler_(state_layout(), machine.thunks().for_compiler, machine.features()) {
  exec_.owner = this;
  exec_.counter_offset = counter_origin();
  arm64::reset(exec_.cpu, config.affinity);
  exec_.cpu.cntfrq = counter_frequency();
  state_changed();
}

CpuImpl::~CpuImpl() = default;

void CpuImpl::state_changed() {
  tlb_.flush_all();
  translation_context_changed();
  fp_mode_changed();
  interrupt_mask_changed();
}

void CpuImpl::update_interrupt_level() {
  const bool level = irq_.load(std::memory_order_acquire) || fiq_.load(std::memory_order_acquire);
  exec_.interrupt_level.store(level, std::memory_order_release);
  if (level) request(kRequestInterrupt);
}

void CpuImpl::set_irq(bool level) {
  irq_.store(level, std::memory_order_release);
  update_interrupt_level();
}

void CpuImpl::set_fiq(bool level) {
  fiq_.store(level, std::memory_order_release);
  update_interrupt_level();
}

bool CpuImpl::take_pending_interrupt() {
  arm64::CpuState& cpu = exec_.cpu;
  if (fiq_.load(std::memory_order_acquire) && !(cpu.daif & arm64::kDaifF)) {
    arm64::take_interrupt(cpu, arm64::Interrupt::kFiq, cpu.pc);
  } else if (irq_.load(std::memory_order_acquire) && !(cpu.daif & arm64::kDaifI)) {
    arm64::take_interrupt(cpu, arm64::Interrupt::kIrq, cpu.pc);
  } else {
    return false;
  }
  tallies_.interrupts.add();
  pstate_changed();
  return true;
}

CpuStatistics CpuImpl::statistics() const {
  return {.translated_blocks = tallies_.blocks.value(),
          .translated_instructions = tallies_.instructions.value(),
          .tlb_refills = tallies_.tlb_refills.value(),
          .table_walks = tallies_.table_walks.value(),
          .interrupts = tallies_.interrupts.value()};
}

bool CpuImpl::serve_requests() {
  const uint32_t requests = exec_.requests.exchange(0, std::memory_order_seq_cst);
  exec_.recheck = 0;
  if (requests & kRequestShootdown) drain_inbox();
  if (requests & kRequestRendezvous) machine_.flush_code();
  if (requests & kRequestKick) {
    exit_.reason = Exit::Reason::kKicked;
    interrupt_mask_changed();
    return true;
  }
  if (outside_.control.single_step) [[unlikely]] {
    interrupt_mask_changed();  // it is looked at when the step is over
    return false;
  }
  take_pending_interrupt();
  return false;
}

bool CpuImpl::step() {
  device_.replayed = 0;
  if (outside_.breakpoints && !device_.answered && stopped_by_debugger()) return false;
  const Outcome outcome = interp::step(exec_.cpu, *this);
  if (outcome == Outcome::kExit) return false;
  device_.answered = 0;
  return true;
}

Exit CpuImpl::run() {
  inbox_.set_running(true);
  drain_inbox();
  exit_ = {};
  leaving_ = false;
  if (device_.answered && device_.pc != exec_.cpu.pc) device_.answered = 0;  // a debugger sent it elsewhere
  const bool interpret = machine_.config().interpret || outside_.control.single_step;
  const uint32_t host_mxcsr = _mm_getcsr();
  for (;;) {
    if ((exec_.requests.load(std::memory_order_relaxed) | exec_.recheck) && serve_requests()) break;
    std::shared_lock lock(machine_.code_lock());
    if (code_generation_ != machine_.code_generation()) {
      code_generation_ = machine_.code_generation();
      chunk_ = {};
      tlb_.flush_instructions(kUserView);
      tlb_.flush_instructions(kPrivilegedView);
    }
    if (interpret || device_.answered) {
      if (!(outside_.control.single_step ? debug_step() : step())) break;
      continue;
    }
    in_translated_code_ = true;
    _mm_setcsr(exec_.guest_mxcsr);
    const void* code = resume();
    exec_.guest_mxcsr = _mm_getcsr();
    machine_.thunks().enter(&exec_, code);
    in_translated_code_ = false;
    _mm_setcsr(host_mxcsr);
    if (leaving_) break;
  }
  inbox_.set_running(false);
  // Whoever looks at the state finds FPSR in it.
  collect_fp_flags();
  exec_.guest_mxcsr &= ~0x3fu;
  return exit_;
}

void CpuImpl::post(const Invalidation& invalidation) {
  inbox_.post(invalidation);
  request(kRequestShootdown);
}

void CpuImpl::drain_inbox() {
  inbox_.drain([this](const Invalidation& invalidation) { apply(invalidation); });
}

void CpuImpl::apply(const Invalidation& invalidation) {
  switch (invalidation.kind) {
    case Invalidation::Kind::kAll: tlb_.flush_all(); break;
    case Invalidation::Kind::kAsid: tlb_.flush_asid(invalidation.asid); break;
    case Invalidation::Kind::kRange: tlb_.flush_range(invalidation.va, invalidation.size); break;
    case Invalidation::Kind::kWrites: tlb_.flush_writes(); break;
  }
}

}  // namespace adyton::engine::jit
