#include "engine/x64/block_compiler.h"

namespace adyton::engine::x64 {

using ir::Opcode;

BlockCompiler::BlockCompiler(const StateLayout& layout, const RuntimeThunks& thunks, const HostFeatures& features)
    : layout_(layout),
      thunks_(thunks),
      features_(features),
      hot_(nullptr, nullptr, 0),
      cold_(nullptr, nullptr, 0),
      gprs_(hot_, layout, slots_),
      xmms_(hot_, layout, slots_) {}

bool BlockCompiler::compile(const ir::Block& block, uint16_t page_offset, unsigned view, LinkResolver& links, uint8_t* hot,
                            uint8_t* hot_end, uint8_t* cold, uint8_t* cold_end, ptrdiff_t exec_delta, CompiledBlock& result) {
  hot_.reset(hot, hot_end, exec_delta);
  cold_.reset(cold, cold_end, exec_delta);
  slots_.reset();
  gprs_.begin_block();
  xmms_.begin_block();
  block_ = &block;
  links_ = &links;
  entry_offset_ = page_offset;
  code_view_ = view;
  flags_in_ = FlagsIn::kMemory;
  flags_saved_ = true;

  hot_.align(8);
  hot_.emit64(page_offset);
  result.entry = hot_.cursor();
  entry_exec_ = hot_.exec_cursor();
  // The interrupt poll: eight bytes, so that invalidation can replace it by a call in one store.
  const uint8_t* poll_stub = cold_.exec_cursor();
  hot_.emit8(0x48), hot_.emit8(0x83), hot_.emit8(0xbd), hot_.emit32(static_cast<uint32_t>(layout_.requests)), hot_.emit8(0);  // cmp qword [rbp + requests], 0
  hot_.jcc(Cond::ne, poll_stub);
  cold_.mov_imm32(Gpr::rax, page_offset);
  cold_.jmp(thunks_.poll);

  for (unsigned n = 1; n < block.size(); ++n) {
    const auto v = static_cast<Value>(n);
    instruction(v, block[v]);
    if (hot_.failed() || cold_.failed()) return false;
  }
  if (gprs_.failed() || xmms_.failed()) return false;
  result.hot_end = hot_.cursor();
  result.cold_end = cold_.cursor();
  return true;
}

void BlockCompiler::consume(const Inst& inst) {
  for (Value arg : inst.args) {
    if (!arg) continue;
    if (is_vector(arg))
      xmms_.consumed(arg);
    else
      gprs_.consumed(arg);
  }
}

void BlockCompiler::instruction(Value v, const Inst& inst) {
  const bool is_vec = inst.type == ir::Type::kV128;
  const uint8_t properties = ir::info(inst.op).properties;
  if (inst.op == Opcode::kGetReg) return gprs_.announce_guest(v, inst.uses, static_cast<unsigned>(inst.imm));
  if (inst.op == Opcode::kGetVec) return xmms_.announce_guest(v, inst.uses, static_cast<unsigned>(inst.imm));
  if (inst.op == Opcode::kPairSecond || inst.op == Opcode::kVectorPairSecond) {  // bound by the pair load
    consume(inst);
    return;
  }
  if (is_vec) {
    xmms_.announce(v, inst.uses);
  } else if (inst.type != ir::Type::kVoid) {
    gprs_.announce(v, inst.uses);
  }
  const bool removable =
      !(properties & ~ir::kUsesFlags) || ((properties & ir::kDefinesFlags) && !inst.flags_live && inst.type != ir::Type::kVoid);
  if (!(removable && inst.uses == 0) && inst.op != Opcode::kConst) {
    if (inst.op >= Opcode::kGetVec) {
      if (!vector(v, inst)) floating_point(v, inst);
    } else if (inst.op >= Opcode::kExitIf) {
      control(v, inst);
    } else if (inst.op >= Opcode::kLoad) {
      memory(v, inst);
    } else {
      integer(v, inst);
    }
  }
  consume(inst);
  if (inst.type != ir::Type::kVoid && inst.uses == 0 && inst.op != Opcode::kConst) {
    if (is_vec)
      xmms_.consumed(v);
    else
      gprs_.consumed(v);
  }
  gprs_.end_instruction();
  xmms_.end_instruction();
}

}  // namespace adyton::engine::x64
