// Vector moves, bitwise and integer lane operations, permutes, crypto.
#include "engine/x64/block_compiler.h"

namespace adyton::engine::x64 {

using ir::Opcode;

bool BlockCompiler::vector(Value v, const Inst& inst) {
  switch (inst.op) {
    case Opcode::kSetVec:
      vuse(inst.args[0]);
      xmms_.set_guest(static_cast<unsigned>(inst.imm), inst.args[0]);
      return true;
    case Opcode::kVecZero: {
      const Xmm d = xmms_.define(v);
      hot_.vpxor(d, d, d);
      return true;
    }
    case Opcode::kVecCall1: vector_call(v, inst, 1); return true;
    case Opcode::kVecCall2: vector_call(v, inst, 2); return true;
    case Opcode::kVecCall3: vector_call(v, inst, 3); return true;
    default: return false;
  }
}

}  // namespace adyton::engine::x64
