// One vCPU: the run loop, and the machine as one instruction sees it (memory, system registers, barriers), for the interpreter and for
// the slow paths of translated code alike.
#pragma once
#include <array>
#include <atomic>
#include <memory>

#include "base/mapping.h"
#include "base/tally.h"
#include "engine/arm64/exception.h"
#include "engine/arm64/mmu.h"
#include "engine/arm64/sysreg.h"
#include "engine/engine.h"
#include "engine/interp/environment.h"
#include "engine/jit/exec_state.h"
#include "engine/arm64/translate/translator.h"
#include "engine/ir/block.h"
#include "engine/jit/code_cache.h"
#include "engine/jit/code_pages.h"
#include "engine/jit/shootdown.h"
#include "engine/jit/soft_tlb.h"
#include "engine/x64/block_compiler.h"

namespace adyton::engine::jit {

class MachineImpl;

class CpuImpl final : public Cpu, public interp::Environment, public arm64::SystemEffects {
 public:
  static Result<std::unique_ptr<CpuImpl>> create(MachineImpl& machine, const CpuConfig& config, CpuHost& host);
  ~CpuImpl() override;

  // --- Cpu
  Exit run() override;
  void complete_mmio(uint64_t data) override;
  void kick() override { request(kRequestKick); }
  void set_irq(bool level) override;
  void set_fiq(bool level) override;
  [[nodiscard]] bool irq() const override { return irq_.load(std::memory_order_relaxed); }
  arm64::CpuState& state() override { return exec_.cpu; }
  void state_changed() override;
  [[nodiscard]] CpuStatistics statistics() const override;
  void set_debug(const DebugControl& control) override;
  [[nodiscard]] std::optional<GuestPhysAddr> debug_translate(uint64_t va) override;

  // --- interp::Environment
  interp::Outcome fetch(uint64_t va, uint32_t& insn) override;
  interp::Outcome read(uint64_t va, unsigned size, interp::Access access, void* data) override;
  interp::Outcome write(uint64_t va, unsigned size, interp::Access access, const void* data) override;
  interp::Outcome atomic(uint64_t va, unsigned size, interp::Access access, interp::AtomicOp op, uint64_t operand,
                         uint64_t& old_value) override;
  interp::Outcome compare_and_swap(uint64_t va, unsigned size, interp::Access access, void* expected, const void* desired) override;
  interp::Outcome load_exclusive(uint64_t va, unsigned size, interp::Access access, void* data) override;
  interp::Outcome store_exclusive(uint64_t va, unsigned size, interp::Access access, const void* data, bool& failed) override;
  void clear_exclusive() override;
  interp::Outcome read_system_register(uint16_t encoding, uint32_t insn, uint64_t& value) override;
  interp::Outcome write_system_register(uint16_t encoding, uint32_t insn, uint64_t value) override;
  interp::Outcome system_instruction(uint16_t encoding, uint32_t insn, uint64_t value) override;
  interp::Outcome hypervisor_call(uint16_t immediate) override;
  interp::Outcome secure_monitor_call(uint16_t immediate) override;
  bool breakpoint_taken_outside(uint16_t immediate) override;
  interp::Outcome wait_for_interrupt() override;
  interp::Outcome wait_for_event() override;
  void send_event() override;
  void yield() override;
  void memory_barrier(bool full) override;
  void instruction_barrier() override;
  void pstate_changed() override;
  void fp_control_changed() override;

  // --- arm64::SystemEffects
  void translation_context_changed() override;
  void fp_mode_changed() override;
  void interrupt_mask_changed() override;
  void debug_changed() override;
  void tlbi(uint16_t op, uint64_t value) override;
  uint64_t pending_interrupts() override { return (irq_.load() ? 1u << 7 : 0u) | (fiq_.load() ? 1u << 6 : 0u); }
  void instruction_cache(uint16_t op, uint64_t va) override;
  uint64_t physical_count() override { return engine::physical_count(); }
  void timer_changed() override { host_.timer_changed(); }
  bool read_icc(uint16_t encoding, uint64_t& value) override { return host_.read_icc(encoding, value); }
  bool write_icc(uint16_t encoding, uint64_t value) override { return host_.write_icc(encoding, value); }

  // --- for translated code (runtime.cc), which keeps the page of the PC in cpu.pc
  // Performs `access` on behalf of the instruction at `page_offset`. Null when it succeeded; else where to go on.
  template <typename Access>
  const void* in_block(uint16_t page_offset, Access access) {
    const uint64_t page = exec_.cpu.pc;
    exec_.cpu.pc = page + page_offset;
    device_.replayed = 0;
    const interp::Outcome outcome = access(*this);
    if (outcome == interp::Outcome::kDone) [[likely]] {
      exec_.cpu.pc = page;
      return nullptr;
    }
    return after(outcome);
  }
  const void* interpret_in_block(uint32_t insn);
  const void* interpret_and_go_on(uint32_t insn);
  // CASP where the TLB has the page; false: nothing has been done.
  bool compare_and_swap_pair(uint32_t insn);
  // The translation to run at cpu.pc, which becomes the page's address.
  const void* resume();
  // The same, and lets the jump at `field` (executable view) lead there from now on if it is in the same page.
  const void* resume_and_link(uint64_t field);
  [[nodiscard]] unsigned mode() const { return mode_number_; }

  // --- for the machine
  void request(uint32_t bits) { exec_.requests.fetch_or(bits, std::memory_order_seq_cst); }
  void post(const Invalidation& invalidation);
  void drain_inbox();
  [[nodiscard]] const ShootdownInbox& inbox() const { return inbox_; }
  // An event for WFE (SEV); any thread.
  void set_event() { event_.store(true, std::memory_order_release); }

 private:
  // Where an access ends up.
  struct Location {
    uint8_t* host = nullptr;   // null: a device at `pa`, or `outcome` says what happened
    uint64_t pa = 0;
    bool guarded = false;      // stores must clear exclusive monitors of others
    interp::Outcome outcome = interp::Outcome::kDone;
  };

  CpuImpl(MachineImpl& machine, const CpuConfig& config, CpuHost& host, Mapping exec_mapping);

  // Serves `requests`. True when run() must return with exit_.
  bool serve_requests();
  bool take_pending_interrupt();
  void update_interrupt_level();
  void update_mode();
  // Self-hosted debug, which is armed, asks for every instruction to be looked at.
  [[nodiscard]] bool debugging() const;
  // A breakpoint or step exception due before the instruction at cpu.pc has been taken.
  bool take_debug_exception();
  // kException: a watchpoint exception has been taken for this access. kExit: a watchpoint of the debugger's stopped it. Else kDone.
  interp::Outcome watched(uint64_t va, unsigned size, arm64::AccessKind kind, bool unprivileged) {
    if (!mode_.single_step && !outside_.watchpoints) [[likely]] return interp::Outcome::kDone;
    return check_watchpoints(va, size, kind, unprivileged);
  }
  interp::Outcome check_watchpoints(uint64_t va, unsigned size, arm64::AccessKind kind, bool unprivileged);
  interp::Outcome execute_watched(uint32_t insn);
  // --- the debugger outside the guest (cpu_debug.cc)
  // run() returns kDebug.
  interp::Outcome debug_exit(arm64::ExceptionClass ec, uint32_t iss, uint64_t far = 0);
  // One of the debugger's breakpoints is at cpu.pc: run() returns.
  bool stopped_by_debugger();
  // Runs one instruction for single step. False when run() must return, which it must unless the instruction is to run again.
  bool debug_step();
  // Pages that hold breakpoints are translated instruction by instruction, pages that hold watchpoints are never in the TLB.
  [[nodiscard]] bool holds_breakpoint(uint64_t va) const;
  [[nodiscard]] bool holds_watchpoint(uint64_t va) const;
  [[nodiscard]] unsigned page_mode(uint64_t va) const;
  // Merges the host's cumulative floating-point flags into FPSR.
  void collect_fp_flags();
  // Where to go on after an instruction that did not just complete.
  const void* after(interp::Outcome outcome);
  // Finds or makes the instruction TLB entry for cpu.pc; null when that raised an exception.
  const InstructionTlbEntry* instruction_page();
  const void* translate_block(CodePage& page, uint16_t page_offset);
  // Runs one instruction in the interpreter. False when run() must return.
  bool step();

  Location locate(uint64_t va, arm64::AccessKind kind, bool unprivileged);
  interp::Outcome data_abort(uint32_t iss, uint64_t va);
  interp::Outcome external_abort(uint64_t va, arm64::AccessKind kind, bool unprivileged);
  interp::Outcome trap_wait(bool event);
  [[nodiscard]] arm64::AccessContext access_context(bool unprivileged) const;
  interp::Outcome alignment_abort(uint64_t va, bool write);
  interp::Outcome device_read(uint64_t pa, unsigned size, void* data);
  interp::Outcome device_write(uint64_t pa, unsigned size, const void* data);
  interp::Outcome device_access(uint64_t pa, unsigned size, bool is_write, uint64_t& data);
  interp::Outcome sysreg_outcome(arm64::SysRegResult result, uint32_t insn);
  void apply(const Invalidation& invalidation);
  [[nodiscard]] uint64_t physical_address(const uint8_t* host) const;
  template <typename Store>
  void store_to(const Location& where, Store store);

  // The registers on which every cached translation depends.
  struct TranslationControls {
    uint64_t sctlr = 0, tcr = 0, mair = 0;
    bool operator==(const TranslationControls&) const = default;
  };

  MachineImpl& machine_;
  CpuHost& host_;
  const unsigned index_;
  Mapping exec_mapping_;
  ExecState& exec_;
  SoftTlb tlb_;
  ShootdownInbox inbox_;
  std::atomic<bool> irq_{false}, fiq_{false}, event_{false};
  struct {
    Tally blocks, instructions, tlb_refills, table_walks, interrupts;
  } tallies_;
  TranslationControls controls_;
  arm64::TranslationMode mode_;
  unsigned mode_number_ = 0;
  unsigned view_mode_[2] = {~0u, ~0u};   // the mode of what each view's instruction TLB holds
  ir::Block block_;
  arm64::Translator translator_;
  x64::BlockCompiler compiler_;
  CodeChunk chunk_;
  bool chunk_fresh_ = false;             // nothing has been put in chunk_ yet
  uint64_t code_generation_ = 0;
  bool leaving_ = false;                 // run() must return exit_
  bool in_translated_code_ = false;
  bool stepped_exclusive_ = false;       // the last single-stepped instruction was a load-exclusive
  Exit exit_;

  // The debugger outside the guest; the flags say what of `control` is in use.
  struct Outside {
    DebugControl control;
    bool breakpoints = false, watchpoints = false;
    bool step_done = false;  // the stepped instruction left run() for another reason: the step is reported by the next run()
  } outside_;

  // Device accesses of the current instruction: those answered are replayed when it runs again.
  struct DeviceAccesses {
    std::array<uint64_t, 4> answers{};
    unsigned answered = 0;
    unsigned replayed = 0;
    bool waiting = false;
    uint64_t pc = 0;         // of that instruction
  } device_;
};

}  // namespace adyton::engine::jit
