// AVX, AVX2, FMA, F16C, AES, PCLMULQDQ and GFNI in their 128-bit VEX forms, and SHA. A VEX instruction that writes an Xmm
// register clears the upper part of the ymm register. Vector integer instructions and moves leave the flags alone.
#pragma once
#include "engine/x64/control_assembler.h"
#include "engine/x64/vector_instructions.h"

namespace adyton::engine::x64 {

class VectorAssembler : public ControlAssembler {
 public:
  using ControlAssembler::ControlAssembler;

  // --- The regular shapes: one method per line of vector_instructions.h ---
#define X(name, prefix, map, w, opcode)                               \
  template <XmmOrMem S>                                               \
  void name(Xmm dst, Xmm a, S b) {                                    \
    vex({Map::map, opcode, Prefix::prefix}, w, dst, number_of(a), b); \
  }
  ADYTON_X64_VEX_THREE_OPERANDS(X)
#undef X

#define ADYTON_X64_FMA_FORM(name, form, opcode) \
  template <XmmOrMem S>                         \
  void name##form##ps(Xmm dst, Xmm a, S b) {    \
    fma(opcode, false, dst, a, b);              \
  }                                             \
  template <XmmOrMem S>                         \
  void name##form##pd(Xmm dst, Xmm a, S b) {    \
    fma(opcode, true, dst, a, b);               \
  }                                             \
  template <XmmOrMem S>                         \
  void name##form##ss(Xmm dst, Xmm a, S b) {    \
    fma((opcode) + 1, false, dst, a, b);        \
  }                                             \
  template <XmmOrMem S>                         \
  void name##form##sd(Xmm dst, Xmm a, S b) {    \
    fma((opcode) + 1, true, dst, a, b);         \
  }
#define X(name, opcode)                           \
  ADYTON_X64_FMA_FORM(name, 132, opcode)          \
  ADYTON_X64_FMA_FORM(name, 213, (opcode) + 0x10) \
  ADYTON_X64_FMA_FORM(name, 231, (opcode) + 0x20)
  ADYTON_X64_FMA(X)
#undef X
#undef ADYTON_X64_FMA_FORM

#define X(name, prefix, map, w, opcode)                      \
  template <XmmOrMem S>                                      \
  void name(Xmm dst, S src) {                                \
    vex({Map::map, opcode, Prefix::prefix}, w, dst, 0, src); \
  }
  ADYTON_X64_VEX_TWO_OPERANDS(X)
#undef X

#define X(name, prefix, map, w, opcode)                                        \
  template <XmmOrMem S>                                                        \
  void name(Xmm dst, Xmm a, S b, unsigned imm) {                               \
    vex_imm({Map::map, opcode, Prefix::prefix}, w, dst, number_of(a), b, imm); \
  }
  ADYTON_X64_VEX_THREE_OPERANDS_IMM(X)
#undef X

#define X(name, prefix, map, w, opcode)                               \
  template <XmmOrMem S>                                               \
  void name(Xmm dst, S src, unsigned imm) {                           \
    vex_imm({Map::map, opcode, Prefix::prefix}, w, dst, 0, src, imm); \
  }
  ADYTON_X64_VEX_TWO_OPERANDS_IMM(X)
#undef X

#define X(name, prefix, map, w, opcode)                                                         \
  template <XmmOrMem S>                                                                         \
  void name(Xmm dst, Xmm a, S b, Xmm mask) {                                                    \
    vex_imm({Map::map, opcode, Prefix::prefix}, w, dst, number_of(a), b, number_of(mask) << 4); \
  }
  ADYTON_X64_VEX_BLEND_VARIABLE(X)
#undef X

#define X(name, opcode, digit)                                                                                     \
  void name(Xmm dst, Xmm src, unsigned count) {                                                                    \
    uint8_t* p = put_vex_instruction(start(), {Map::k0F, opcode, Prefix::k66}, false, digit, number_of(dst), src); \
    finish(put(p, static_cast<uint8_t>(count)));                                                                   \
  }
  ADYTON_X64_VEX_SHIFT_IMM(X)
#undef X

#define X(name, prefix, map, load, store)                                                                                  \
  void name(Xmm dst, Xmm src) { vex_move({Map::map, load, Prefix::prefix}, {Map::map, store, Prefix::prefix}, dst, src); } \
  void name(Xmm dst, Mem src) { vex({Map::map, load, Prefix::prefix}, 0, dst, 0, src); }                                   \
  void name(Mem dst, Xmm src) { vex({Map::map, store, Prefix::prefix}, 0, src, 0, dst); }
  ADYTON_X64_VEX_MOVES(X)
#undef X

#define X(name, opcode)                                                                             \
  template <XmmOrMem S>                                                                             \
  void name(Xmm dst, S src) {                                                                       \
    finish(put_instruction(start(), Width::k32, {Map::k0F38, opcode}, number_of(dst), src, false)); \
  }
  ADYTON_X64_SHA(X)  // sha256rnds2 also reads xmm0
#undef X
  template <XmmOrMem S>
  void sha1rnds4(Xmm dst, S src, unsigned imm) {
    uint8_t* p = put_instruction(start(), Width::k32, {Map::k0F3A, 0xCC}, number_of(dst), src, false);
    finish(put(p, static_cast<uint8_t>(imm)));
  }

  // --- Scalar moves: a load clears the rest of the register ---
  void vmovd(Xmm dst, Gpr src) { vex_gpr({Map::k0F, 0x6E, Prefix::k66}, false, number_of(dst), 0, src); }
  void vmovq(Xmm dst, Gpr src) { vex_gpr({Map::k0F, 0x6E, Prefix::k66}, true, number_of(dst), 0, src); }
  void vmovd(Gpr dst, Xmm src) { vex_gpr({Map::k0F, 0x7E, Prefix::k66}, false, number_of(src), 0, dst); }
  void vmovq(Gpr dst, Xmm src) { vex_gpr({Map::k0F, 0x7E, Prefix::k66}, true, number_of(src), 0, dst); }
  void vmovd(Xmm dst, Mem src) { vex({Map::k0F, 0x6E, Prefix::k66}, 0, dst, 0, src); }
  void vmovq(Xmm dst, Mem src) { vex({Map::k0F, 0x7E, Prefix::kF3}, 0, dst, 0, src); }
  void vmovd(Mem dst, Xmm src) { vex({Map::k0F, 0x7E, Prefix::k66}, 0, src, 0, dst); }
  void vmovq(Mem dst, Xmm src) { vex({Map::k0F, 0xD6, Prefix::k66}, 0, src, 0, dst); }
  // The low 64 bits; the upper ones become zero.
  void vmovq(Xmm dst, Xmm src) { vex_move({Map::k0F, 0x7E, Prefix::kF3}, {Map::k0F, 0xD6, Prefix::k66}, dst, src); }
  void vmovss(Xmm dst, Mem src) { vex({Map::k0F, 0x10, Prefix::kF3}, 0, dst, 0, src); }
  void vmovsd(Xmm dst, Mem src) { vex({Map::k0F, 0x10, Prefix::kF2}, 0, dst, 0, src); }
  void vmovss(Mem dst, Xmm src) { vex({Map::k0F, 0x11, Prefix::kF3}, 0, src, 0, dst); }
  void vmovsd(Mem dst, Xmm src) { vex({Map::k0F, 0x11, Prefix::kF2}, 0, src, 0, dst); }
  // Lane 0 of `low`, the other lanes of `rest`.
  void vmovss(Xmm dst, Xmm rest, Xmm low) { vex({Map::k0F, 0x10, Prefix::kF3}, 0, dst, number_of(rest), low); }
  void vmovsd(Xmm dst, Xmm rest, Xmm low) { vex({Map::k0F, 0x10, Prefix::kF2}, 0, dst, number_of(rest), low); }

  // --- Halves ---
  void vmovhlps(Xmm dst, Xmm a, Xmm b) { vex({Map::k0F, 0x12}, 0, dst, number_of(a), b); }  // b.high : a.high, low half first
  void vmovlhps(Xmm dst, Xmm a, Xmm b) { vex({Map::k0F, 0x16}, 0, dst, number_of(a), b); }  // a.low : b.low
  void vmovlps(Xmm dst, Xmm a, Mem b) { vex({Map::k0F, 0x12}, 0, dst, number_of(a), b); }
  void vmovhps(Xmm dst, Xmm a, Mem b) { vex({Map::k0F, 0x16}, 0, dst, number_of(a), b); }
  void vmovlps(Mem dst, Xmm src) { vex({Map::k0F, 0x13}, 0, src, 0, dst); }
  void vmovhps(Mem dst, Xmm src) { vex({Map::k0F, 0x17}, 0, src, 0, dst); }

  // --- Lanes from and to general registers or memory ---
  template <GprOrMem S>
  void vpinsrb(Xmm dst, Xmm a, S src, unsigned lane) {
    vex_gpr_imm({Map::k0F3A, 0x20, Prefix::k66}, false, number_of(dst), number_of(a), src, lane);
  }
  template <GprOrMem S>
  void vpinsrw(Xmm dst, Xmm a, S src, unsigned lane) {
    vex_gpr_imm({Map::k0F, 0xC4, Prefix::k66}, false, number_of(dst), number_of(a), src, lane);
  }
  template <GprOrMem S>
  void vpinsrd(Xmm dst, Xmm a, S src, unsigned lane) {
    vex_gpr_imm({Map::k0F3A, 0x22, Prefix::k66}, false, number_of(dst), number_of(a), src, lane);
  }
  template <GprOrMem S>
  void vpinsrq(Xmm dst, Xmm a, S src, unsigned lane) {
    vex_gpr_imm({Map::k0F3A, 0x22, Prefix::k66}, true, number_of(dst), number_of(a), src, lane);
  }
  template <GprOrMem D>
  void vpextrb(D dst, Xmm src, unsigned lane) {
    vex_gpr_imm({Map::k0F3A, 0x14, Prefix::k66}, false, number_of(src), 0, dst, lane);
  }
  void vpextrw(Gpr dst, Xmm src, unsigned lane) {  // this one has the general register in ModRM.reg
    uint8_t* p = put_vex_instruction(start(), {Map::k0F, 0xC5, Prefix::k66}, false, number_of(dst), 0, src);
    finish(put(p, static_cast<uint8_t>(lane)));
  }
  void vpextrw(Mem dst, Xmm src, unsigned lane) {
    vex_gpr_imm({Map::k0F3A, 0x15, Prefix::k66}, false, number_of(src), 0, dst, lane);
  }
  template <GprOrMem D>
  void vpextrd(D dst, Xmm src, unsigned lane) {
    vex_gpr_imm({Map::k0F3A, 0x16, Prefix::k66}, false, number_of(src), 0, dst, lane);
  }
  template <GprOrMem D>
  void vpextrq(D dst, Xmm src, unsigned lane) {
    vex_gpr_imm({Map::k0F3A, 0x16, Prefix::k66}, true, number_of(src), 0, dst, lane);
  }
  template <GprOrMem D>
  void vextractps(D dst, Xmm src, unsigned lane) {
    vex_gpr_imm({Map::k0F3A, 0x17, Prefix::k66}, false, number_of(src), 0, dst, lane);
  }
  // The top bit of every lane, zero-extended to 64 bits.
  void vpmovmskb(Gpr dst, Xmm src) { vex_to_gpr({Map::k0F, 0xD7, Prefix::k66}, false, dst, src); }
  void vmovmskps(Gpr dst, Xmm src) { vex_to_gpr({Map::k0F, 0x50}, false, dst, src); }
  void vmovmskpd(Gpr dst, Xmm src) { vex_to_gpr({Map::k0F, 0x50, Prefix::k66}, false, dst, src); }

  // --- Conversions between integers (32 or 64 bits) and scalars; vcvtt* truncates, the others round as MXCSR says ---
  template <GprOrMem S>
  void vcvtsi2ss(Width width, Xmm dst, Xmm rest, S src) {
    vex_gpr({Map::k0F, 0x2A, Prefix::kF3}, width == Width::k64, number_of(dst), number_of(rest), src);
  }
  template <GprOrMem S>
  void vcvtsi2sd(Width width, Xmm dst, Xmm rest, S src) {
    vex_gpr({Map::k0F, 0x2A, Prefix::kF2}, width == Width::k64, number_of(dst), number_of(rest), src);
  }
  template <XmmOrMem S>
  void vcvtss2si(Width width, Gpr dst, S src) {
    vex_to_gpr({Map::k0F, 0x2D, Prefix::kF3}, width == Width::k64, dst, src);
  }
  template <XmmOrMem S>
  void vcvtsd2si(Width width, Gpr dst, S src) {
    vex_to_gpr({Map::k0F, 0x2D, Prefix::kF2}, width == Width::k64, dst, src);
  }
  template <XmmOrMem S>
  void vcvttss2si(Width width, Gpr dst, S src) {
    vex_to_gpr({Map::k0F, 0x2C, Prefix::kF3}, width == Width::k64, dst, src);
  }
  template <XmmOrMem S>
  void vcvttsd2si(Width width, Gpr dst, S src) {
    vex_to_gpr({Map::k0F, 0x2C, Prefix::kF2}, width == Width::k64, dst, src);
  }
  // Four singles to halves; imm bit 2: round as MXCSR says, else bits 1:0 are the rounding mode.
  template <XmmOrMem D>
  void vcvtps2ph(D dst, Xmm src, unsigned imm) {
    uint8_t* p = put_vex_instruction(start(), {Map::k0F3A, 0x1D, Prefix::k66}, false, number_of(src), 0, dst);
    finish(put(p, static_cast<uint8_t>(imm)));
  }
  // Clears the upper halves of all ymm registers: before calls into code that uses legacy SSE.
  void vzeroupper() { finish(put_vex(start(), {Map::k0F, 0x77}, false, 0, 0, 0, 0)); }

 protected:
  template <XmmOrMem S>
  [[gnu::always_inline]] void vex(Opcode op, bool w, Xmm reg, unsigned vvvv, S rm) {
    finish(put_vex_instruction(start(), op, w, number_of(reg), vvvv, rm));
  }
  template <XmmOrMem S>
  [[gnu::always_inline]] void vex_imm(Opcode op, bool w, Xmm reg, unsigned vvvv, S rm, unsigned imm) {
    finish(put(put_vex_instruction(start(), op, w, number_of(reg), vvvv, rm), static_cast<uint8_t>(imm)));
  }
  template <XmmOrMem S>
  [[gnu::always_inline]] void fma(unsigned opcode, bool w, Xmm dst, Xmm a, S b) {
    vex({Map::k0F38, static_cast<uint8_t>(opcode), Prefix::k66}, w, dst, number_of(a), b);
  }
  // Between two registers the store's opcode, which has them the other way round, saves a byte when only `src` is above 7.
  [[gnu::always_inline]] void vex_move(Opcode load, Opcode store, Xmm dst, Xmm src) {
    if (number_of(src) >= 8 && number_of(dst) < 8) return vex(store, false, src, 0, dst);
    vex(load, false, dst, 0, src);
  }
  // A general register or memory in ModRM.rm, a vector register in ModRM.reg.
  template <GprOrMem S>
  [[gnu::always_inline]] void vex_gpr(Opcode op, bool w, unsigned reg, unsigned vvvv, S rm) {
    finish(put_vex_instruction(start(), op, w, reg, vvvv, rm));
  }
  template <GprOrMem S>
  [[gnu::always_inline]] void vex_gpr_imm(Opcode op, bool w, unsigned reg, unsigned vvvv, S rm, unsigned imm) {
    finish(put(put_vex_instruction(start(), op, w, reg, vvvv, rm), static_cast<uint8_t>(imm)));
  }
  template <XmmOrMem S>
  [[gnu::always_inline]] void vex_to_gpr(Opcode op, bool w, Gpr dst, S src) {
    finish(put_vex_instruction(start(), op, w, number_of(dst), 0, src));
  }
};

}  // namespace adyton::engine::x64
