// The way from translated code to exact floating point in software, for what the fast path does not settle (NaNs above all).
#pragma once
#include "engine/ir/opcode_vector.h"
#include "engine/x64/assembler.h"
#include "engine/x64/state_layout.h"

namespace adyton::engine::x64 {

// What the software is asked to do: one IR operation. Operands are in StateLayout::call_vectors[1..3], the result goes to [0] (an integer
// result to its low 64 bits, zero-extended). Cumulative flags that the host has raised on the way are true ones.
struct FpOperation {
  ir::Opcode op = ir::Opcode::kNone;
  uint8_t aux = 0;
  ir::FpInfo info;

  [[nodiscard]] constexpr uint64_t pack() const { return static_cast<uint64_t>(op) | (uint64_t{aux} << 8) | (info.pack() << 16); }
  static constexpr FpOperation unpack(uint64_t v) {
    return {static_cast<ir::Opcode>(v & 0xff), static_cast<uint8_t>(v >> 8), ir::FpInfo::unpack(v >> 16)};
  }
};

// Emits RuntimeThunks::fp_slow: calls fn(state, packed FpOperation) with the C calling convention.
const void* emit_fp_thunk(Assembler& as, const void* fn);

}  // namespace adyton::engine::x64
