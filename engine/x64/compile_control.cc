// Leaving the block: side exits, links, indirect jumps, and calls into the runtime.
#include "engine/x64/block_compiler.h"

namespace adyton::engine::x64 {

using ir::Opcode;

namespace {
constexpr int32_t kItlbTag = 0, kItlbEntryPoints = 8;  // fields of an instruction TLB entry
}

void BlockCompiler::write_back_all() {
  gprs_.write_back();
  xmms_.write_back();
}

// Tells the runtime which jump to patch once the target is translated.
void BlockCompiler::emit_link(Assembler& as, uint8_t* field, uint16_t page_offset) {
  as.mov_imm32(Gpr::rax, page_offset);
  as.mov_imm64(Gpr::rdx, reinterpret_cast<uint64_t>(field + as.exec_delta()));
  as.jmp(thunks_.link);
}

void BlockCompiler::emit_page_exit(Assembler& as, uint16_t page_offset) {
  const uint8_t* target = page_offset == entry_offset_ ? entry_exec_ : links_->find(page_offset);
  if (target) {
    as.jmp_rel32_aligned(target);
    return;
  }
  // The stub is always on the cold side.
  if (&as == &cold_) {
    Label stub;
    uint8_t* field = as.jmp_rel32_aligned(stub);
    as.bind(stub);
    emit_link(as, field, page_offset);
  } else {
    uint8_t* field = as.jmp_rel32_aligned(cold_.exec_cursor());
    emit_link(cold_, field, page_offset);
  }
}

void BlockCompiler::emit_far_exit(Assembler& as, int64_t page_offset) {
  const int64_t page_delta = page_offset & ~int64_t{4095};
  const auto offset = static_cast<uint32_t>(page_offset & 4095);
  const int32_t table = layout_.itlb[code_view_];
  as.mov(Width::k64, Gpr::rsi, state(layout_.pc));
  if (page_delta == static_cast<int32_t>(page_delta)) {
    as.add(Width::k64, Gpr::rsi, static_cast<int32_t>(page_delta));
  } else {
    as.mov_imm64(Gpr::rax, static_cast<uint64_t>(page_delta));
    as.add(Width::k64, Gpr::rsi, Gpr::rax);
  }
  as.mov(Width::k32, Gpr::rcx, Gpr::rsi);
  as.shr(Width::k32, Gpr::rcx, StateLayout::kPageShift - StateLayout::kEntryShift);
  as.and_(Width::k32, Gpr::rcx, static_cast<int32_t>(layout_.itlb_index_mask << StateLayout::kEntryShift));
  Gpr tag = Gpr::rsi;
  if (!layout_.context_is_zero[code_view_]) {
    tag = Gpr::rdx;
    as.mov(Width::k64, tag, Gpr::rsi);
    as.or_(Width::k64, tag, state(layout_.context[code_view_]));
  }
  Label miss;
  as.cmp(Width::k64, tag, mem(Gpr::rbp, Gpr::rcx, 1, table + kItlbTag));
  as.jcc(Cond::ne, miss);
  as.mov(Width::k64, Gpr::rcx, mem(Gpr::rbp, Gpr::rcx, 1, table + kItlbEntryPoints));
  as.mov(Width::k64, state(layout_.pc), Gpr::rsi);
  as.mov_imm32(Gpr::rax, offset);
  as.jmp(mem(Gpr::rcx, static_cast<int32_t>(offset * 2)));
  as.bind(miss);
  as.lea(Width::k64, Gpr::rax, mem(Gpr::rsi, static_cast<int32_t>(offset)));
  as.jmp(thunks_.find_indirect);
}

void BlockCompiler::emit_exit(Assembler& as, const ir::ExitTarget& target) {
  if (in_page(target))
    emit_page_exit(as, static_cast<uint16_t>(target.page_offset));
  else
    emit_far_exit(as, target.page_offset);
}

void BlockCompiler::emit_indirect() {
  const int32_t table = layout_.itlb[code_view_];
  hot_.mov(Width::k32, Gpr::rcx, Gpr::rax);
  hot_.shr(Width::k32, Gpr::rcx, StateLayout::kPageShift - StateLayout::kEntryShift);
  hot_.and_(Width::k32, Gpr::rcx, static_cast<int32_t>(layout_.itlb_index_mask << StateLayout::kEntryShift));
  hot_.mov(Width::k64, Gpr::rdx, Gpr::rax);
  hot_.and_(Width::k64, Gpr::rdx, -4096 | 3);  // a misaligned target must miss
  Gpr tag = Gpr::rdx;
  if (!layout_.context_is_zero[code_view_]) {
    tag = Gpr::rsi;
    hot_.mov(Width::k64, tag, Gpr::rdx);
    hot_.or_(Width::k64, tag, state(layout_.context[code_view_]));
    hot_.and_(Width::k64, Gpr::rdx, -4096);
  }
  hot_.cmp(Width::k64, tag, mem(Gpr::rbp, Gpr::rcx, 1, table + kItlbTag));
  hot_.jcc(Cond::ne, thunks_.find_indirect);
  hot_.mov(Width::k64, Gpr::rcx, mem(Gpr::rbp, Gpr::rcx, 1, table + kItlbEntryPoints));
  hot_.mov(Width::k64, state(layout_.pc), Gpr::rdx);
  hot_.and_(Width::k32, Gpr::rax, 0xffc);
  hot_.jmp(mem(Gpr::rcx, Gpr::rax, 2));
}

void BlockCompiler::conditional_exit(Value v, const Inst& inst) {
  const ir::ExitTarget& target = block_->exit(static_cast<unsigned>(inst.imm));
  const Inst* next = v + 1u < block_->size() ? &(*block_)[static_cast<Value>(v + 1)] : nullptr;
  const bool last = next && next->op == Opcode::kExit;  // a two-way end: both ways share the write-back
  if (inst.op == Opcode::kExitIf && flags_in_ == FlagsIn::kEflagsCompare && inst.flags_live) save_flags_if(true);
  if (inst.op != Opcode::kExitIf) clobber_flags(inst);

  HostCondition hc;
  Gpr tested = Gpr::rax;
  if (inst.op != Opcode::kExitIf) tested = use(inst.args[0]);
  if (last) {
    if (flags_in_ != FlagsIn::kMemory && !flags_saved_ && inst.flags_live) {
      emit_save_flags(hot_);  // leaves EFLAGS as they are: compares have been saved above
      flags_saved_ = true;
    }
    write_back_all();
  }
  switch (inst.op) {
    case Opcode::kExitIf: hc = condition(static_cast<ir::Condition>(inst.aux)); break;
    case Opcode::kExitIfZero:
    case Opcode::kExitIfNotZero: {
      const Width width = inst.aux == 4 ? Width::k32 : Width::k64;
      hot_.test(width, tested, tested);
      hc.first = inst.op == Opcode::kExitIfZero ? Cond::e : Cond::ne;
      break;
    }
    default:
      if (inst.aux < 31) {
        hot_.test(Width::k32, tested, static_cast<int32_t>(1u << inst.aux));
        hc.first = inst.op == Opcode::kExitIfBitSet ? Cond::ne : Cond::e;
      } else {
        hot_.bt(Width::k64, tested, static_cast<unsigned>(inst.aux));
        hc.first = inst.op == Opcode::kExitIfBitSet ? Cond::b : Cond::ae;
      }
  }

  const uint8_t* known = nullptr;
  if (last && in_page(target)) {
    const auto offset = static_cast<uint16_t>(target.page_offset);
    known = offset == entry_offset_ ? entry_exec_ : links_->find(offset);
  }
  Label stay;
  const uint8_t* stub = known ? known : cold_.exec_cursor();
  uint8_t* field = nullptr;
  if (hc.has_second && hc.both) {
    hot_.jcc(invert(hc.second), stay);
    field = hot_.jcc_rel32_aligned(hc.first, stub);
  } else {
    if (hc.has_second) hot_.jcc(hc.second, stub);
    field = hot_.jcc_rel32_aligned(hc.first, stub);
  }
  if (stay.used()) hot_.bind(stay);
  if (known) return;
  if (last && in_page(target) && !(hc.has_second && !hc.both)) {
    emit_link(cold_, field, static_cast<uint16_t>(target.page_offset));
    return;
  }
  if (!last) {
    if (target.flags_live && !flags_saved_) emit_save_flags(cold_);
    gprs_.emit_write_back(cold_);
    xmms_.emit_write_back(cold_);
  }
  emit_exit(cold_, target);
}

void BlockCompiler::place_arguments(const Inst& inst, bool state_changes) {
  constexpr Gpr kArguments[] = {Gpr::rsi, Gpr::rdx, Gpr::rcx};
  int count = 0;
  for (Value arg : inst.args) count += arg != ir::kNoValue;
  for (int i = 0; i < count; ++i) hot_.push(use(inst.args[i]));
  gprs_.vacate(state_changes);
  xmms_.vacate(state_changes);
  for (int i = count; i-- > 0;) hot_.pop(kArguments[i]);
  hot_.lea(Width::k64, Gpr::rdi, mem(Gpr::rbp, -StateLayout::kBias));
}

void BlockCompiler::call_helper(Value v, const Inst& inst) {
  const bool state_changes = inst.op != Opcode::kCallPure;
  if (state_changes) {
    save_flags_if(true);
    hot_.mov_imm(Width::k32, state(layout_.page_offset), static_cast<int32_t>(inst.imm >> 32));
  } else {
    clobber_flags(inst);
  }
  place_arguments(inst, state_changes);
  hot_.mov_imm64(Gpr::rax, reinterpret_cast<uint64_t>(block_->helper(static_cast<unsigned>(inst.imm & 0xffffffff))));
  hot_.call(Gpr::rax);
  if (inst.op == Opcode::kExitThroughCall) {
    hot_.jmp(Gpr::rax);
    return;
  }
  if (inst.op == Opcode::kCallMayExit) {
    const uint8_t* leave = cold_.exec_cursor();
    hot_.test(Width::k64, Gpr::rdx, Gpr::rdx);
    hot_.jcc(Cond::ne, leave);
    cold_.jmp(Gpr::rdx);
  }
  if (inst.type != ir::Type::kVoid && inst.uses) hot_.mov(Width::k64, gprs_.define(v), Gpr::rax);
}

void BlockCompiler::vector_call(Value v, const Inst& inst) {
  clobber_flags(inst);
  for (unsigned i = 0; i < 3; ++i)
    hot_.vmovdqa(state(layout_.call_vectors + 16 * static_cast<int32_t>(i + 1)), vuse(inst.args[i]));
  gprs_.vacate(false);
  xmms_.vacate(false);
  constexpr Gpr kArguments[] = {Gpr::rdi, Gpr::rsi, Gpr::rdx, Gpr::rcx};
  for (unsigned i = 0; i < 4; ++i)
    hot_.lea(Width::k64, kArguments[i], state(layout_.call_vectors + 16 * static_cast<int32_t>(i)));
  hot_.mov_imm32(Gpr::r8, inst.aux);
  hot_.mov_imm64(Gpr::rax, reinterpret_cast<uint64_t>(block_->helper(static_cast<unsigned>(inst.imm))));
  hot_.call(Gpr::rax);
  if (inst.uses) hot_.vmovdqa(xmms_.define(v), state(layout_.call_vectors));
}

void BlockCompiler::control(Value v, const Inst& inst) {
  switch (inst.op) {
    case Opcode::kExitIf:
    case Opcode::kExitIfZero:
    case Opcode::kExitIfNotZero:
    case Opcode::kExitIfBitSet:
    case Opcode::kExitIfBitClear: conditional_exit(v, inst); break;
    case Opcode::kExit: {
      const ir::ExitTarget& target = block_->exit(static_cast<unsigned>(inst.imm));
      save_flags_if(target.flags_live);
      write_back_all();
      emit_exit(hot_, target);
      break;
    }
    case Opcode::kExitIndirect: {
      save_flags_if(true);
      const Gpr target = use(inst.args[0]);
      hot_.mov(Width::k64, Gpr::rax, target);
      write_back_all();
      emit_indirect();
      break;
    }
    default: call_helper(v, inst); break;
  }
}

}  // namespace adyton::engine::x64
