// The x86-64 encoder: one method per instruction, about as fast as storing the bytes by hand. It knows nothing of what the code
// is for. An Assembler writes into memory that it does not own; when that is full it goes on without writing there and says so
// (overflowed()), so a caller needs to look only once per block.
//
//   Assembler as(begin, end, exec_delta);
//   Label done;
//   as.cmp(Width::k64, Gpr::rdi, 0);
//   as.jcc(Cond::e, done);
//   as.mov(Width::k64, Gpr::rax, mem(Gpr::rdi, 16));
//   as.bind(done);
//   as.ret();
#pragma once
#include "engine/x64/avx512_assembler.h"

namespace adyton::engine::x64 {

class Assembler final : public Avx512Assembler {
 public:
  using Avx512Assembler::Avx512Assembler;
};

}  // namespace adyton::engine::x64
