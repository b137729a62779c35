// Guest memory: the TLB probe, the access itself, and the slow path beside it.
#include "engine/x64/block_compiler.h"

namespace adyton::engine::x64 {

using ir::MemoryInfo;
using ir::Opcode;

namespace {

constexpr int32_t kReadTag = 0, kWriteTag = 8, kAddend = 16;  // fields of a TLB entry

constexpr uint32_t kCallerSavedGprs = 0x0fc6;  // rcx rdx rsi rdi r8-r11 (rax is scratch)

Width width_for(unsigned bytes) {
  return bytes == 1 ? Width::k8 : bytes == 2 ? Width::k16 : bytes == 4 ? Width::k32 : Width::k64;
}

}  // namespace

// What a slow path needs to know: which function, with what, and where results go.
struct BlockCompiler::SlowCall {
  const void* function = nullptr;
  uint64_t info = 0;
  Gpr address = Gpr::rax;
  int operands = 0;  // further integer arguments
  Gpr operand[3] = {};
  const uint8_t* resume = nullptr;
  int vectors_in = 0;  // stored to call_vectors before the call
  Xmm vector_in[2] = {};
  bool has_result = false;
  Gpr result = Gpr::rax;
  bool has_second = false;  // comes in call_vectors[0]
  Gpr second = Gpr::rax;
  int vectors_out = 0;  // loaded from call_vectors afterwards
  Xmm vector_out[2] = {};
};

Gpr BlockCompiler::probe(const MemoryInfo& info, unsigned span, bool write, Gpr address) {
  const uint8_t* miss = cold_.exec_cursor();
  const Gpr tag = gprs_.temp();
  if (info.aligned && info.size > 1) {
    hot_.test(Width::k32, address, static_cast<int32_t>(info.size - 1));
    hot_.jcc(Cond::ne, miss);
  }
  const int32_t table = layout_.tlb[info.view];
  hot_.mov(Width::k32, Gpr::rax, address);
  hot_.shr(Width::k32, Gpr::rax, StateLayout::kPageShift - StateLayout::kEntryShift);
  hot_.and_(Width::k32, Gpr::rax, static_cast<int32_t>(layout_.tlb_index_mask << StateLayout::kEntryShift));
  if (span == 1 || (info.aligned && span == info.size))
    hot_.mov(Width::k64, tag, address);
  else
    hot_.lea(Width::k64, tag, mem(address, static_cast<int32_t>(span - 1)));
  hot_.and_(Width::k64, tag, -4096);
  if (!layout_.context_is_zero[info.view]) hot_.or_(Width::k64, tag, state(layout_.context[info.view]));
  hot_.cmp(Width::k64, tag, mem(Gpr::rbp, Gpr::rax, 1, table + (write ? kWriteTag : kReadTag)));
  hot_.jcc(Cond::ne, miss);
  hot_.mov(Width::k64, tag, mem(Gpr::rbp, Gpr::rax, 1, table + kAddend));
  return tag;
}

void BlockCompiler::slow_path(const SlowCall& call) {
  Assembler& as = cold_;
  gprs_.emit_write_back(as);
  xmms_.emit_write_back(as);
  // Registers that the straight way goes on to use.
  uint32_t saved = gprs_.used() & kCallerSavedGprs;
  if (call.has_result) saved &= ~(1u << number_of(call.result));
  if (call.has_second) saved &= ~(1u << number_of(call.second));
  uint32_t saved_vectors = xmms_.used();
  for (int i = 0; i < call.vectors_out; ++i) saved_vectors &= ~(1u << number_of(call.vector_out[i]));
  const int pushes = std::popcount(saved), vectors = std::popcount(saved_vectors);
  for (unsigned r = 0; r < 16; ++r) {
    if (saved >> r & 1) as.push(static_cast<Gpr>(r));
  }
  const int32_t frame = vectors * 16 + (pushes % 2 ? 8 : 0);
  // Arguments first: their registers are still what they were.
  for (int i = 0; i < call.vectors_in; ++i) as.vmovdqa(state(layout_.call_vectors + 16 * i), call.vector_in[i]);
  as.push(call.address);
  for (int i = 0; i < call.operands; ++i) as.push(call.operand[i]);
  constexpr Gpr kArguments[] = {Gpr::rcx, Gpr::r8, Gpr::r9};
  for (int i = call.operands; i-- > 0;) as.pop(kArguments[i]);
  as.pop(Gpr::rsi);
  if (frame) as.lea(Width::k64, Gpr::rsp, mem(Gpr::rsp, -frame));
  int32_t slot = 0;
  for (unsigned r = 0; r < 16; ++r) {
    if (saved_vectors >> r & 1) as.vmovdqu(mem(Gpr::rsp, slot), static_cast<Xmm>(r)), slot += 16;
  }
  as.mov_imm64(Gpr::rdx, call.info);
  as.lea(Width::k64, Gpr::rdi, mem(Gpr::rbp, -StateLayout::kBias));
  as.mov_imm64(Gpr::rax, reinterpret_cast<uint64_t>(call.function));
  as.call(Gpr::rax);
  slot = 0;
  for (unsigned r = 0; r < 16; ++r) {
    if (saved_vectors >> r & 1) as.vmovdqu(static_cast<Xmm>(r), mem(Gpr::rsp, slot)), slot += 16;
  }
  Label completed;
  as.test(Width::k64, Gpr::rdx, Gpr::rdx);
  as.jcc(Cond::e, completed);
  as.lea(Width::k64, Gpr::rsp, mem(Gpr::rsp, frame + 8 * pushes));
  as.jmp(Gpr::rdx);
  as.bind(completed);
  if (frame) as.lea(Width::k64, Gpr::rsp, mem(Gpr::rsp, frame));
  for (unsigned r = 16; r-- > 0;) {
    if (saved >> r & 1) as.pop(static_cast<Gpr>(r));
  }
  if (call.has_result) as.mov(Width::k64, call.result, Gpr::rax);
  if (call.has_second) as.mov(Width::k64, call.second, state(layout_.call_vectors));
  for (int i = 0; i < call.vectors_out; ++i) as.vmovdqa(call.vector_out[i], state(layout_.call_vectors + 16 * i));
  as.jmp(call.resume);
}

void BlockCompiler::load(Value v, const Inst& inst) {
  const MemoryInfo info = MemoryInfo::unpack(inst.imm);
  const Gpr address = use(inst.args[0]);
  const Gpr d = gprs_.define(v);
  const Gpr addend = probe(info, info.size, false, address);
  const Mem from = mem(address, addend);
  const Width size = width_for(info.size);
  if (info.sign_extend) {
    hot_.movsx(size, width_of(inst), d, from);
  } else {
    hot_.movzx(size, d, from);
  }
  slow_path({.function = thunks_.slow_load,
             .info = inst.imm | (inst.type == ir::Type::kI32 ? 1ull << 18 : 0),
             .address = address,
             .resume = hot_.exec_cursor(),
             .has_result = true,
             .result = d});
}

void BlockCompiler::load_pair(Value v, const Inst& inst) {
  const MemoryInfo info = MemoryInfo::unpack(inst.imm);
  const Gpr address = use(inst.args[0]);
  const Gpr first = gprs_.define(v);
  const auto second_value = static_cast<Value>(v + 1);
  gprs_.announce(second_value, (*block_)[second_value].uses);
  const Gpr second = gprs_.define(second_value);
  const Gpr addend = probe(info, info.size * 2u, false, address);
  const Width size = width_for(info.size);
  auto load_one = [&](Gpr d, int32_t offset) {
    if (info.sign_extend)
      hot_.movsx(size, Width::k64, d, mem(address, addend, 1, offset));
    else
      hot_.movzx(size, d, mem(address, addend, 1, offset));
  };
  load_one(first, 0);
  load_one(second, info.size);
  slow_path({.function = thunks_.slow_load_pair,
             .info = inst.imm,
             .address = address,
             .resume = hot_.exec_cursor(),
             .has_result = true,
             .result = first,
             .has_second = true,
             .second = second});
  if ((*block_)[second_value].uses == 0) gprs_.consumed(second_value);
}

void BlockCompiler::load_vector(Value v, const Inst& inst, bool pair) {
  const MemoryInfo info = MemoryInfo::unpack(inst.imm);
  const Gpr address = use(inst.args[0]);
  const Xmm first = xmms_.define(v);
  const auto second_value = static_cast<Value>(v + 1);
  Xmm second = first;
  if (pair) {
    xmms_.announce(second_value, (*block_)[second_value].uses);
    second = xmms_.define(second_value);
  }
  const Gpr addend = probe(info, info.size * (pair ? 2u : 1u), false, address);
  auto load_one = [&](Xmm d, int32_t offset) {
    const Mem from = mem(address, addend, 1, offset);
    switch (info.size) {
      case 1:
        hot_.movzx(Width::k8, Gpr::rax, from);
        hot_.vmovd(d, Gpr::rax);
        break;
      case 2:
        hot_.movzx(Width::k16, Gpr::rax, from);
        hot_.vmovd(d, Gpr::rax);
        break;
      case 4: hot_.vmovd(d, from); break;
      case 8: hot_.vmovq(d, from); break;
      default: hot_.vmovdqu(d, from); break;
    }
  };
  load_one(first, 0);
  if (pair) load_one(second, info.size);
  slow_path({.function = thunks_.slow_load_vector,
             .info = inst.imm | (pair ? 1ull << 19 : 0),
             .address = address,
             .resume = hot_.exec_cursor(),
             .vectors_out = pair ? 2 : 1,
             .vector_out = {first, second}});
  if (pair && (*block_)[second_value].uses == 0) xmms_.consumed(second_value);
}

void BlockCompiler::store(const Inst& inst) {
  const MemoryInfo info = MemoryInfo::unpack(inst.imm);
  const Gpr address = use(inst.args[0]), value = use(inst.args[1]);
  const Gpr addend = probe(info, info.size, true, address);
  hot_.mov(width_for(info.size), mem(address, addend), value);
  slow_path({.function = thunks_.slow_store,
             .info = inst.imm,
             .address = address,
             .operands = 1,
             .operand = {value},
             .resume = hot_.exec_cursor()});
}

void BlockCompiler::store_pair(const Inst& inst) {
  const MemoryInfo info = MemoryInfo::unpack(inst.imm);
  const Gpr address = use(inst.args[0]), first = use(inst.args[1]), second = use(inst.args[2]);
  const Gpr addend = probe(info, info.size * 2u, true, address);
  hot_.mov(width_for(info.size), mem(address, addend), first);
  hot_.mov(width_for(info.size), mem(address, addend, 1, info.size), second);
  slow_path({.function = thunks_.slow_store_pair,
             .info = inst.imm,
             .address = address,
             .operands = 2,
             .operand = {first, second},
             .resume = hot_.exec_cursor()});
}

void BlockCompiler::store_vector(const Inst& inst, bool pair) {
  const MemoryInfo info = MemoryInfo::unpack(inst.imm);
  const Gpr address = use(inst.args[0]);
  const Xmm first = vuse(inst.args[1]), second = pair ? vuse(inst.args[2]) : first;
  const Gpr addend = probe(info, info.size * (pair ? 2u : 1u), true, address);
  auto store_one = [&](Xmm s, int32_t offset) {
    const Mem to = mem(address, addend, 1, offset);
    switch (info.size) {
      case 1: hot_.vpextrb(to, s, 0); break;
      case 2: hot_.vpextrw(to, s, 0); break;
      case 4: hot_.vmovd(to, s); break;
      case 8: hot_.vmovq(to, s); break;
      default: hot_.vmovdqu(to, s); break;
    }
  };
  store_one(first, 0);
  if (pair) store_one(second, info.size);
  slow_path({.function = thunks_.slow_store_vector,
             .info = inst.imm | (pair ? 1ull << 19 : 0),
             .address = address,
             .resume = hot_.exec_cursor(),
             .vectors_in = pair ? 2 : 1,
             .vector_in = {first, second}});
}

void BlockCompiler::atomic(Value v, const Inst& inst) {
  const MemoryInfo info = MemoryInfo::unpack(inst.imm);
  const Width size = width_for(info.size);
  const bool cas = inst.op == Opcode::kCompareAndSwap;
  const Gpr address = use(inst.args[0]), operand = use(inst.args[1]);
  const Gpr desired = cas ? use(inst.args[2]) : operand;
  const Gpr d = gprs_.define(v);
  const bool loop = inst.op != Opcode::kAtomicAdd && inst.op != Opcode::kAtomicSwap && !cas;
  const Gpr next = loop ? gprs_.temp() : operand;
  const Gpr addend = probe(info, info.size, true, address);
  const Mem where = mem(address, addend);
  if (inst.op == Opcode::kAtomicAdd || inst.op == Opcode::kAtomicSwap) {
    hot_.mov(Width::k64, d, operand);
    if (inst.op == Opcode::kAtomicAdd)
      hot_.lock_xadd(size, where, d);
    else
      hot_.xchg(size, where, d);
    hot_.movzx(size, d, d);
  } else if (cas) {
    hot_.mov(Width::k64, Gpr::rax, operand);
    hot_.lock_cmpxchg(size, where, desired);
    hot_.movzx(size, d, Gpr::rax);
  } else {
    // AND and OR whose old value nobody wants need no loop.
    hot_.movzx(size, Gpr::rax, where);
    Label again;
    hot_.bind(again);
    const Width w = size == Width::k64 ? Width::k64 : Width::k32;
    switch (inst.op) {
      case Opcode::kAtomicClear: hot_.andn(w, next, operand, Gpr::rax); break;
      case Opcode::kAtomicXor:
        hot_.mov(w, next, Gpr::rax);
        hot_.xor_(w, next, operand);
        break;
      case Opcode::kAtomicOr:
        hot_.mov(w, next, Gpr::rax);
        hot_.or_(w, next, operand);
        break;
      default: {
        const bool is_signed = inst.op == Opcode::kAtomicMaxSigned || inst.op == Opcode::kAtomicMinSigned;
        const bool max = inst.op == Opcode::kAtomicMaxSigned || inst.op == Opcode::kAtomicMaxUnsigned;
        hot_.mov(w, next, Gpr::rax);
        hot_.cmp(size, Gpr::rax, operand);
        const Cond keep_operand = is_signed ? (max ? Cond::l : Cond::g) : (max ? Cond::b : Cond::a);
        hot_.cmov(w, keep_operand, next, operand);
      }
    }
    hot_.lock_cmpxchg(size, where, next);
    hot_.jcc(Cond::ne, again);
    hot_.movzx(size, d, Gpr::rax);
  }
  // Every locked operation is a full barrier.
  hot_.mov_imm(Width::k32, state(layout_.release_pending), 0);
  const Gpr second = cas ? desired : operand;
  slow_path({.function = thunks_.slow_atomic,
             .info = inst.imm | (static_cast<uint64_t>(inst.op) << 56),
             .address = address,
             .operands = 2,
             .operand = {operand, second},
             .resume = hot_.exec_cursor(),
             .has_result = true,
             .result = d});
}

void BlockCompiler::memory(Value v, const Inst& inst) {
  clobber_flags(inst);
  switch (inst.op) {
    case Opcode::kLoad: load(v, inst); break;
    case Opcode::kLoadPair: load_pair(v, inst); break;
    case Opcode::kStore: store(inst); break;
    case Opcode::kStorePair: store_pair(inst); break;
    case Opcode::kLoadVector: load_vector(v, inst, false); break;
    case Opcode::kLoadVectorPair: load_vector(v, inst, true); break;
    case Opcode::kStoreVector: store_vector(inst, false); break;
    case Opcode::kStoreVectorPair: store_vector(inst, true); break;
    case Opcode::kFence:
      // x86 keeps everything in order but a store and a later load.
      if (inst.imm & ir::kFenceStoreLoad) {
        hot_.lock_or(Width::k32, mem(Gpr::rsp, -64), 0);
        hot_.mov_imm(Width::k32, state(layout_.release_pending), 0);
      }
      break;
    case Opcode::kMarkRelease: hot_.mov_imm(Width::k32, state(layout_.release_pending), 1); break;
    case Opcode::kFenceIfReleasePending: {
      const uint8_t* fence = cold_.exec_cursor();
      hot_.cmp(Width::k32, state(layout_.release_pending), 0);
      hot_.jcc(Cond::ne, fence);
      cold_.lock_or(Width::k32, mem(Gpr::rsp, -64), 0);
      cold_.mov_imm(Width::k32, state(layout_.release_pending), 0);
      cold_.jmp(hot_.exec_cursor());
      break;
    }
    default: atomic(v, inst); break;
  }
}

}  // namespace adyton::engine::x64
