// From the PC to translated code: instruction TLB, block lookup, translation, and the ways back from helpers.
#include <immintrin.h>

#include "engine/arm64/debug.h"
#include "engine/interp/interpreter.h"
#include "engine/jit/cpu.h"
#include "engine/jit/machine.h"

namespace adyton::engine::jit {

using interp::Outcome;

namespace {

// Blocks already translated in a page, as jump targets.
class PageLinks final : public x64::LinkResolver {
 public:
  PageLinks(CodePage& page, const void* untranslated) : page_(page), untranslated_(untranslated) {}
  const uint8_t* find(uint16_t page_offset) override {
    const void* entry = page_.entry_point(page_offset);
    return entry == untranslated_ ? nullptr : static_cast<const uint8_t*>(entry);
  }

 private:
  CodePage& page_;
  const void* untranslated_;
};

// Whether that exception is the one for an UNDEFINED instruction (ESR_ELx.EC = 0).
bool was_undefined(Outcome outcome, const arm64::CpuState& cpu) {
  return outcome == Outcome::kException && cpu.esr_el[cpu.el] >> 26 == static_cast<uint64_t>(arm64::ExceptionClass::kUnknown);
}

}  // namespace

const InstructionTlbEntry* CpuImpl::instruction_page() {
  arm64::CpuState& cpu = exec_.cpu;
  const View view = cpu.el == 0 ? kUserView : kPrivilegedView;
  const uint64_t va = cpu.pc;
  InstructionTlbEntry& entry = exec_.itlb[view][instruction_tlb_index(va)];
  if (entry.tag == ((va & kPageMask) | exec_.context[view])) return &entry;
  if (tlb_.refill_instruction(view, va)) {
    tallies_.tlb_refills.add();
    return &entry;
  }
  tallies_.table_walks.add();
  const arm64::Translation t = arm64::translate(cpu, machine_.memory(), va, arm64::AccessKind::kExecute, {cpu.el, false});
  arm64::Fault fault = t.fault;
  if (fault.type == arm64::FaultType::kNone) {
    if (CodePage* page = machine_.pages().page(t.pa & kPageMask, page_mode(va))) {
      tlb_.insert_instruction(view, va, t, page->entry_points(), page);
      return &entry;
    }
    fault = {arm64::FaultType::kSyncExternal, 0};
  }
  arm64::take_sync_exception(cpu, arm64::ExceptionClass::kInstructionAbortLower, arm64::instruction_abort_iss(fault), va, va);
  pstate_changed();
  return nullptr;
}

const void* CpuImpl::resume() {
  arm64::CpuState& cpu = exec_.cpu;
  for (;;) {
    if (cpu.pc & 3) {
      arm64::take_sync_exception(cpu, arm64::ExceptionClass::kPcAlignment, 0, cpu.pc, cpu.pc);
      pstate_changed();
    }
    const InstructionTlbEntry* entry = instruction_page();
    if (!entry) {
      // A guest whose vectors are not mapped would go round here for ever: look up for whoever wants it to stop.
      if (exec_.requests.load(std::memory_order_relaxed)) return machine_.thunks().leave;
      continue;
    }
    const auto offset = static_cast<uint16_t>(cpu.pc & (kPageSize - 1));
    const void* code = entry->page->entry_point(offset);
    if (code == machine_.thunks().for_compiler.translate) {
      code = translate_block(*entry->page, offset);
      if (!code) {  // no room: leave, everything is flushed, and we come back
        machine_.request_code_flush();
        return machine_.thunks().leave;
      }
    }
    cpu.pc &= kPageMask;
    return code;
  }
}

const void* CpuImpl::resume_and_link(uint64_t field) {
  // Only a jump within one page reaches here, and its mode is the block's: the entry may be linked if the translation is there afterwards.
  arm64::CpuState& cpu = exec_.cpu;
  const uint64_t pc = cpu.pc;
  const void* code = resume();
  if (cpu.pc != (pc & kPageMask)) return code;
  const InstructionTlbEntry* entry = instruction_page();
  if (entry) {
    machine_.pages().link(*entry->page, static_cast<uint16_t>(pc & (kPageSize - 1)),
                          reinterpret_cast<uint8_t*>(field) - machine_.code().exec_delta());
  }
  return code;
}

const void* CpuImpl::translate_block(CodePage& page, uint16_t page_offset) {
  const unsigned view = exec_.cpu.el == 0 ? kUserView : kPrivilegedView;
  PageLinks links(page, machine_.thunks().for_compiler.translate);
  const arm64::KnownBlocks known{page.entry_points(), machine_.thunks().for_compiler.translate};
  unsigned limit = arm64::Translator::kMaxInstructions;
  arm64::TranslationMode mode = mode_;
  mode.single_step = page.mode() != mode_number_ || mode_.single_step;  // a page with the debugger's breakpoints
  host_.translating();
  for (;;) {
    const uint64_t generation = page.generation();
    const unsigned count = translator_.translate(page.words(), page_offset, mode, known, limit);
    x64::CompiledBlock compiled;
    if (!chunk_.hot || !compiler_.compile(block_, page_offset, view, links, chunk_.hot, chunk_.hot_end, chunk_.cold, chunk_.cold_end,
                                          machine_.code().exec_delta(), compiled)) {
      const bool fresh = chunk_.hot && chunk_fresh_;
      if (fresh) {  // an empty chunk did not help: the block needs too many registers
        limit /= 2;
        continue;
      }
      if (!machine_.code().take_chunk(chunk_)) return nullptr;
      chunk_fresh_ = true;
      continue;
    }
    const BlockRecord record{page_offset, static_cast<uint16_t>(page_offset + 4 * count), compiled.entry};
    if (!machine_.pages().publish(page, record, generation)) continue;
    chunk_.hot = compiled.hot_end;
    chunk_.cold = compiled.cold_end;
    chunk_fresh_ = false;
    tallies_.blocks.add();
    tallies_.instructions.add(count);
    host_.translated(exec_.cpu.pc, count);
    return compiled.entry + machine_.code().exec_delta();
  }
}

const void* CpuImpl::after(Outcome outcome) {
  if (outcome != Outcome::kExit) {
    device_.answered = 0;
    return resume();
  }
  leaving_ = true;
  return machine_.thunks().leave;
}

const void* CpuImpl::interpret_in_block(uint32_t insn) {
  arm64::CpuState& cpu = exec_.cpu;
  const uint64_t page = cpu.pc;
  const unsigned mode = mode_number_;
  cpu.pc = page + exec_.page_offset;
  const uint64_t next = cpu.pc + 4;
  device_.replayed = 0;
  const Outcome outcome = interp::execute(cpu, *this, insn);
  if (outcome == Outcome::kDone && cpu.pc == next && mode == mode_number_) [[likely]] {
    cpu.pc = page;
    return nullptr;
  }
  if (was_undefined(outcome, cpu)) [[unlikely]] machine_.note_undefined(insn);
  return after(outcome);
}

const void* CpuImpl::interpret_and_go_on(uint32_t insn) {
  arm64::CpuState& cpu = exec_.cpu;
  cpu.pc += exec_.page_offset;
  device_.replayed = 0;
  if (outside_.breakpoints && stopped_by_debugger()) return after(Outcome::kExit);
  const Outcome outcome = mode_.single_step ? execute_watched(insn) : interp::execute(cpu, *this, insn);
  if (was_undefined(outcome, cpu)) [[unlikely]] machine_.note_undefined(insn);
  return after(outcome);
}

bool CpuImpl::take_debug_exception() {
  arm64::CpuState& cpu = exec_.cpu;
  if (arm64::step_state(cpu) == arm64::StepState::kActivePending) {
    arm64::take_sync_exception(cpu, arm64::ExceptionClass::kStepLower, arm64::step_exception_iss(true, stepped_exclusive_), cpu.pc);
  } else if (arm64::breakpoints_armed(cpu) && arm64::breakpoint_matches(cpu, cpu.pc)) {
    arm64::take_sync_exception(cpu, arm64::ExceptionClass::kBreakpointLower, arm64::kDebugFaultStatus, cpu.pc);
  } else {
    return false;
  }
  pstate_changed();
  return true;
}

Outcome CpuImpl::execute_watched(uint32_t insn) {
  arm64::CpuState& cpu = exec_.cpu;
  if (take_debug_exception()) return Outcome::kException;
  const bool stepping = arm64::step_state(cpu) == arm64::StepState::kActiveNotPending;
  const bool is_svc = (insn & 0xffe0001f) == 0xd4000001;
  if (stepping && is_svc) arm64::step_completed(cpu);  // it counts as done when its exception is taken
  const Outcome outcome = interp::execute(cpu, *this, insn);
  if (stepping && !is_svc && outcome == Outcome::kDone) {
    stepped_exclusive_ = (insn & 0x3f400000) == 0x08400000;
    arm64::step_completed(cpu);
    pstate_changed();
  }
  return outcome;
}

}  // namespace adyton::engine::jit
