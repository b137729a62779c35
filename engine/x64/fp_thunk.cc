#include "engine/x64/fp_thunk.h"

#include <iterator>

namespace adyton::engine::x64 {

const void* emit_fp_thunk(Assembler& as, const void* fn) {
  constexpr Gpr kCallerSaved[] = {Gpr::rcx, Gpr::rdx, Gpr::rsi, Gpr::rdi, Gpr::r8, Gpr::r9, Gpr::r10, Gpr::r11};
  constexpr unsigned kFirstXmm = 2;
  constexpr int32_t kFrame = (16 - kFirstXmm) * 16 + 8;  // with the pushes and the return address a multiple of 16
  static_assert((std::size(kCallerSaved) * 8 + 8 + kFrame) % 16 == 0);
  as.align(16);
  const void* entry = as.exec_cursor();
  for (Gpr reg : kCallerSaved) as.push(reg);
  as.sub(Width::k64, Gpr::rsp, kFrame);
  for (unsigned r = kFirstXmm; r < 16; ++r) as.vmovdqa(mem(Gpr::rsp, static_cast<int32_t>(16 * (r - kFirstXmm))), static_cast<Xmm>(r));
  as.lea(Width::k64, Gpr::rdi, mem(Gpr::rbp, -StateLayout::kBias));
  as.mov(Width::k64, Gpr::rsi, Gpr::rax);
  as.mov_imm64(Gpr::rax, reinterpret_cast<uint64_t>(fn));
  as.call(Gpr::rax);
  for (unsigned r = kFirstXmm; r < 16; ++r) as.vmovdqa(static_cast<Xmm>(r), mem(Gpr::rsp, static_cast<int32_t>(16 * (r - kFirstXmm))));
  as.add(Width::k64, Gpr::rsp, kFrame);
  for (size_t i = std::size(kCallerSaved); i-- > 0;) as.pop(kCallerSaved[i]);
  as.ret();
  return entry;
}

}  // namespace adyton::engine::x64
