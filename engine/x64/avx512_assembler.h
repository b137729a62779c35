// AVX-512 in its 128-bit EVEX forms, without masks, on registers 0 to 15. The names end in _avx512 because the caller must have
// found the features (HostFeatures) that the SDM names for the instruction: VL always, and DQ, BW, CD, VBMI, BITALG,
// VPOPCNTDQ or VNNI.
#pragma once
#include "engine/x64/vector_assembler.h"

namespace adyton::engine::x64 {

class Avx512Assembler : public VectorAssembler {
 public:
  using VectorAssembler::VectorAssembler;

#define X(name, prefix, map, w, opcode, memory_log2)                                           \
  template <XmmOrMem S>                                                                        \
  void name##_avx512(Xmm dst, Xmm a, S b) {                                                    \
    evex({Map::map, opcode, Prefix::prefix}, w, number_of(dst), number_of(a), b, memory_log2); \
  }
  ADYTON_X64_EVEX_THREE_OPERANDS(X)
#undef X

#define X(name, prefix, map, w, opcode, memory_log2)                                  \
  template <XmmOrMem S>                                                               \
  void name##_avx512(Xmm dst, S src) {                                                \
    evex({Map::map, opcode, Prefix::prefix}, w, number_of(dst), 0, src, memory_log2); \
  }
  ADYTON_X64_EVEX_TWO_OPERANDS(X)
#undef X

#define X(name, prefix, map, w, opcode, memory_log2)                                                    \
  template <XmmOrMem S>                                                                                 \
  void name##_avx512(Xmm dst, Xmm a, S b, unsigned imm) {                                               \
    evex_imm({Map::map, opcode, Prefix::prefix}, w, number_of(dst), number_of(a), b, memory_log2, imm); \
  }
  ADYTON_X64_EVEX_THREE_OPERANDS_IMM(X)
#undef X

#define X(name, w, digit)                                                             \
  template <XmmOrMem S>                                                               \
  void name##_avx512(Xmm dst, S src, unsigned count) {                                \
    evex_imm({Map::k0F, 0x72, Prefix::k66}, w, digit, number_of(dst), src, 4, count); \
  }
  ADYTON_X64_EVEX_SHIFT_IMM(X)
#undef X

#define X(name, opcode) \
  void name##_avx512(Xmm dst, Xmm src) { evex({Map::k0F38, opcode, Prefix::kF3}, false, number_of(src), 0, dst, 0); }
  ADYTON_X64_EVEX_NARROW(X)
#undef X

#define X(name, w, opcode) \
  void name##_avx512(Xmm dst, Gpr src) { evex({Map::k0F38, opcode, Prefix::k66}, w, number_of(dst), 0, src, 0); }
  ADYTON_X64_EVEX_BROADCAST_GPR(X)
#undef X

  // Unsigned integers (32 or 64 bits) from and to scalars.
  template <GprOrMem S>
  void vcvtusi2ss_avx512(Width width, Xmm dst, Xmm rest, S src) {
    evex({Map::k0F, 0x7B, Prefix::kF3}, width == Width::k64, number_of(dst), number_of(rest), src, log2_bytes(width));
  }
  template <GprOrMem S>
  void vcvtusi2sd_avx512(Width width, Xmm dst, Xmm rest, S src) {
    evex({Map::k0F, 0x7B, Prefix::kF2}, width == Width::k64, number_of(dst), number_of(rest), src, log2_bytes(width));
  }
  template <XmmOrMem S>
  void vcvtss2usi_avx512(Width width, Gpr dst, S src) {
    evex({Map::k0F, 0x79, Prefix::kF3}, width == Width::k64, number_of(dst), 0, src, 2);
  }
  template <XmmOrMem S>
  void vcvtsd2usi_avx512(Width width, Gpr dst, S src) {
    evex({Map::k0F, 0x79, Prefix::kF2}, width == Width::k64, number_of(dst), 0, src, 3);
  }
  template <XmmOrMem S>
  void vcvttss2usi_avx512(Width width, Gpr dst, S src) {
    evex({Map::k0F, 0x78, Prefix::kF3}, width == Width::k64, number_of(dst), 0, src, 2);
  }
  template <XmmOrMem S>
  void vcvttsd2usi_avx512(Width width, Gpr dst, S src) {
    evex({Map::k0F, 0x78, Prefix::kF2}, width == Width::k64, number_of(dst), 0, src, 3);
  }

 private:
  static constexpr unsigned log2_bytes(Width width) { return static_cast<unsigned>(width); }

  template <typename S>
  [[gnu::always_inline]] void evex(Opcode op, bool w, unsigned reg, unsigned vvvv, S rm, unsigned memory_log2) {
    finish(put_evex_instruction(start(), op, w, reg, vvvv, rm, memory_log2));
  }
  template <typename S>
  [[gnu::always_inline]] void evex_imm(Opcode op, bool w, unsigned reg, unsigned vvvv, S rm, unsigned memory_log2, unsigned imm) {
    finish(put(put_evex_instruction(start(), op, w, reg, vvvv, rm, memory_log2), static_cast<uint8_t>(imm)));
  }
};

}  // namespace adyton::engine::x64
