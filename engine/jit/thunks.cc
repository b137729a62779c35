#include "engine/jit/thunks.h"

#include "engine/jit/fp_helpers.h"
#include "engine/x64/assembler.h"
#include "engine/x64/block_compiler.h"
#include "engine/x64/fp_thunk.h"

namespace adyton::engine::jit {

using x64::Assembler;
using x64::Gpr;
using x64::mem;
using x64::StateLayout;
using x64::Width;

const StateLayout& state_layout() {
  static const StateLayout layout = [] {
    auto at = [](size_t offset) { return static_cast<int32_t>(offset) - StateLayout::kBias; };
    StateLayout l;
    l.regs = at(offsetof(ExecState, cpu.x));
    l.vecs = at(offsetof(ExecState, cpu.v));
    l.flags = at(offsetof(ExecState, cpu.flags));
    l.pc = at(offsetof(ExecState, cpu.pc));
    l.page_offset = at(offsetof(ExecState, page_offset));
    l.requests = at(offsetof(ExecState, requests));
    l.release_pending = at(offsetof(ExecState, release_pending));
    l.counter_offset = at(offsetof(ExecState, counter_offset));
    l.spill = at(offsetof(ExecState, spill));
    l.call_vectors = at(offsetof(ExecState, call_vectors));
    for (int view = 0; view < 2; ++view) {
      l.context[view] = at(offsetof(ExecState, context)) + 8 * view;
      l.tlb[view] = at(offsetof(ExecState, tlb)) + view * static_cast<int32_t>(sizeof(TlbEntry) * kTlbEntries);
      l.itlb[view] = at(offsetof(ExecState, itlb)) + view * static_cast<int32_t>(sizeof(InstructionTlbEntry) * kInstructionTlbEntries);
    }
    l.context_is_zero[kPrivilegedView] = true;
    l.tlb_index_mask = kTlbEntries - 1;
    l.itlb_index_mask = kInstructionTlbEntries - 1;
    static_assert(sizeof(TlbEntry) == 1u << StateLayout::kEntryShift && sizeof(InstructionTlbEntry) == 1u << StateLayout::kEntryShift);
    return l;
  }();
  return layout;
}

Thunks emit_thunks(CodeCache& cache, const RuntimeEntries& entries) {
  const StateLayout& layout = state_layout();
  Assembler as(cache.thunk_area(), cache.thunk_area() + CodeCache::kThunkArea, cache.exec_delta());
  auto state = [](size_t offset) { return mem(Gpr::rbp, static_cast<int32_t>(offset) - StateLayout::kBias); };
  constexpr Gpr kSaved[] = {Gpr::rbp, Gpr::rbx, Gpr::r12, Gpr::r13, Gpr::r14, Gpr::r15};
  Thunks thunks;

  thunks.enter = reinterpret_cast<void (*)(ExecState*, const void*)>(reinterpret_cast<uintptr_t>(as.exec_cursor()));
  for (Gpr reg : kSaved) as.push(reg);
  as.sub(Width::k64, Gpr::rsp, 8);  // 16-byte alignment for calls from translated code
  as.lea(Width::k64, Gpr::rbp, mem(Gpr::rdi, StateLayout::kBias));
  as.stmxcsr(state(offsetof(ExecState, host_mxcsr)));
  as.ldmxcsr(state(offsetof(ExecState, guest_mxcsr)));
  as.jmp(Gpr::rsi);

  as.align(16);
  thunks.leave = as.exec_cursor();
  as.stmxcsr(state(offsetof(ExecState, guest_mxcsr)));
  as.ldmxcsr(state(offsetof(ExecState, host_mxcsr)));
  as.add(Width::k64, Gpr::rsp, 8);
  for (size_t i = std::size(kSaved); i-- > 0;) as.pop(kSaved[i]);
  as.ret();

  as.align(16);
  thunks.for_compiler.poll = as.exec_cursor();
  as.add(Width::k64, mem(Gpr::rbp, layout.pc), Gpr::rax);
  as.jmp(thunks.leave);

  auto call_runtime = [&](const void* function) {
    as.lea(Width::k64, Gpr::rdi, mem(Gpr::rbp, -StateLayout::kBias));
    as.mov_imm64(Gpr::rcx, reinterpret_cast<uint64_t>(function));
    as.call(Gpr::rcx);
    as.jmp(Gpr::rax);
  };
  as.align(16);
  thunks.for_compiler.translate = as.exec_cursor();
  as.mov(Width::k32, Gpr::rsi, Gpr::rax);
  call_runtime(reinterpret_cast<const void*>(entries.translate));

  as.align(16);
  thunks.for_compiler.find_indirect = as.exec_cursor();
  as.mov(Width::k64, Gpr::rsi, Gpr::rax);
  call_runtime(reinterpret_cast<const void*>(entries.find_indirect));

  as.align(16);
  thunks.for_compiler.link = as.exec_cursor();
  as.mov(Width::k32, Gpr::rsi, Gpr::rax);
  call_runtime(reinterpret_cast<const void*>(entries.link));

  // Called from the first five bytes of a block that is no more; its header says which page offset it had.
  as.align(16);
  thunks.invalidated = as.exec_cursor();
  as.pop(Gpr::rax);
  as.mov(Width::k32, Gpr::rsi, mem(Gpr::rax, -5 - x64::BlockCompiler::kHeaderBytes));
  call_runtime(reinterpret_cast<const void*>(entries.translate));

  thunks.for_compiler.fp_slow = emit_fp_thunk(as, reinterpret_cast<const void*>(&fp_operation));
  return thunks;
}

}  // namespace adyton::engine::jit
