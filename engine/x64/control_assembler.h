// Transfers of control: jumps, calls, returns, and the branches that are patched while they may be executing.
#pragma once
#include "engine/x64/integer_assembler.h"

namespace adyton::engine::x64 {

class ControlAssembler : public IntegerAssembler {
 public:
  using IntegerAssembler::IntegerAssembler;

  // --- To a label ---
  void jmp(Label& label, Reach reach = Reach::kNear) {
    if (reach == Reach::kShort && short_jump(0xEB, label)) return;
    uint8_t* p = start();
    *p++ = 0xE9;
    finish(put_rel32(p, label));
  }
  void jcc(Cond cond, Label& label, Reach reach = Reach::kNear) {
    if (reach == Reach::kShort && short_jump(with_cond(0x70, cond), label)) return;
    uint8_t* p = start();
    *p++ = 0x0F;
    *p++ = with_cond(0x80, cond);
    finish(put_rel32(p, label));
  }
  void call(Label& label) {
    uint8_t* p = start();
    *p++ = 0xE8;
    finish(put_rel32(p, label));
  }

  // --- To an absolute address in the executable view, by rel32. Out of reach: out_of_reach() becomes true; ask reaches() first
  // where that can happen. ---
  void jmp(const void* exec_target) {
    uint8_t* p = start();
    *p++ = 0xE9;
    finish(put_rel32(p, exec_target));
  }
  void jcc(Cond cond, const void* exec_target) {
    uint8_t* p = start();
    *p++ = 0x0F;
    *p++ = with_cond(0x80, cond);
    finish(put_rel32(p, exec_target));
  }
  void call(const void* exec_target) {
    uint8_t* p = start();
    *p++ = 0xE8;
    finish(put_rel32(p, exec_target));
  }

  // --- Indirect ---
  template <GprOrMem T>
  void jmp(T target) {
    op_digit_rm(Width::k32, {Map::kPrimary, 0xFF}, 4, target);
  }
  template <GprOrMem T>
  void call(T target) {
    op_digit_rm(Width::k32, {Map::kPrimary, 0xFF}, 2, target);
  }
  void ret() { bare({Map::kPrimary, 0xC3}); }

  // --- Patchable: the rel32 field, which is returned, is 4-byte aligned for Emitter::patch_rel32 (no-operations
  // come first), unless the code has overflowed ---
  uint8_t* jmp_rel32_aligned(const void* exec_target) {
    align_field(1);
    jmp(exec_target);
    return cursor() - 4;
  }
  uint8_t* jcc_rel32_aligned(Cond cond, const void* exec_target) {
    align_field(2);
    jcc(cond, exec_target);
    return cursor() - 4;
  }
  uint8_t* call_rel32_aligned(const void* exec_target) {
    align_field(1);
    call(exec_target);
    return cursor() - 4;
  }
  // The same towards a label, chiefly one in a stub further down.
  uint8_t* jmp_rel32_aligned(Label& label) {
    align_field(1);
    jmp(label);
    return cursor() - 4;
  }
  uint8_t* jcc_rel32_aligned(Cond cond, Label& label) {
    align_field(2);
    jcc(cond, label);
    return cursor() - 4;
  }

 private:
  void align_field(unsigned opcode_bytes) {
    nop(static_cast<unsigned>(-(reinterpret_cast<uintptr_t>(cursor()) + opcode_bytes)) & 3);
  }
  // False: a bound label is too far away.
  bool short_jump(uint8_t opcode, Label& label) {
    uint8_t* p = start();
    if (!label.bound()) {
      *p++ = opcode;
      finish(put_rel8(p, label));
      return true;
    }
    const ptrdiff_t distance = distance_to(label, 2);
    if (!fits_int8(distance)) return false;
    *p++ = opcode;
    finish(put(p, static_cast<int8_t>(distance)));
    return true;
  }
};

}  // namespace adyton::engine::x64
