#include "engine/ir/block.h"

namespace adyton::ir {

const OpcodeInfo kOpcodeInfo[static_cast<size_t>(Opcode::kCount)] = {
    {"None", 0, 0},
#define X(name, type, operands, properties) {#name, operands, properties},
    ADYTON_IR_INTEGER_OPS(X) ADYTON_IR_MEMORY_OPS(X) ADYTON_IR_CONTROL_OPS(X) ADYTON_IR_VECTOR_OPS(X)
#undef X
};

void analyse_flags(Block& block) {
  bool live = true;
  for (unsigned n = block.size(); n-- > 1;) {
    Inst& inst = block[static_cast<Value>(n)];
    const uint8_t properties = info(inst.op).properties;
    if (properties & kTerminator) {
      live = inst.op != Opcode::kExit || block.exit(static_cast<unsigned>(inst.imm)).flags_live;
      continue;
    }
    if (properties & kMaySideExit && !(properties & kObservesState)) live = live || block.exit(static_cast<unsigned>(inst.imm)).flags_live;
    inst.flags_live = live;
    if (properties & kDefinesFlags) live = false;
    if (properties & (kUsesFlags | kObservesState)) live = true;
  }
}

}  // namespace adyton::ir
