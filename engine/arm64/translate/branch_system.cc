// Branches, exception generation and system instructions (Arm ARM C4.1.87).
#include <cstddef>

#include "engine/arm64/id_registers.h"
#include "engine/arm64/sysreg.h"
#include "engine/arm64/translate/translator.h"

namespace adyton::engine::arm64 {

using ir::Condition;
using ir::IndirectHint;
using ir::Opcode;

Translator::Flow Translator::branch_or_system(uint32_t insn) {
  // B, BL
  if (bits(insn, 30, 26) == 0b00101) {
    const int64_t target = here() + signed_bits(insn, 25, 0) * 4;
    if (bit(insn, 31)) set_reg(30, b_.page_address(here() + 4));
    end_block_at(target);
    return Flow::kEnd;
  }
  // B.cond
  if (bits(insn, 31, 24) == 0b01010100 && !bit(insn, 4)) {
    const int64_t target = here() + signed_bits(insn, 23, 5) * 4;
    const unsigned cond = bits(insn, 3, 0);
    if (cond >= 14) {
      end_block_at(target);
      return Flow::kEnd;
    }
    b_.exit_if(static_cast<Condition>(cond), exit_to(target));
    return after_conditional(target);
  }
  // CBZ, CBNZ
  if (bits(insn, 30, 25) == 0b011010) {
    const int64_t target = here() + signed_bits(insn, 23, 5) * 4;
    b_.emit(bit(insn, 24) ? Opcode::kExitIfNotZero : Opcode::kExitIfZero, Type::kVoid, bit(insn, 31) ? 8 : 4, exit_to(target),
            reg(bits(insn, 4, 0)));
    return after_conditional(target);
  }
  // TBZ, TBNZ
  if (bits(insn, 30, 25) == 0b011011) {
    const int64_t target = here() + signed_bits(insn, 18, 5) * 4;
    const auto position = static_cast<uint8_t>((bits(insn, 31, 31) << 5) | bits(insn, 23, 19));
    b_.emit(bit(insn, 24) ? Opcode::kExitIfBitSet : Opcode::kExitIfBitClear, Type::kVoid, position, exit_to(target), reg(bits(insn, 4, 0)));
    return after_conditional(target);
  }
  // BR, BLR, RET, ERET
  if (bits(insn, 31, 25) == 0b1101011) {
    if (insn == 0xd69f03e0 && mode_.el != 0) {
      b_.call(Opcode::kExitThroughCall, helpers_.exception_return, ir::kNoValue, ir::kNoValue, ir::kNoValue, static_cast<uint16_t>(here()));
      return Flow::kEnd;
    }
    const unsigned opc = bits(insn, 24, 21);
    if (opc > 2 || bits(insn, 20, 16) != 31 || bits(insn, 15, 10) || bits(insn, 4, 0)) return Flow::kInterpretExit;
    const Value target = reg(bits(insn, 9, 5));
    if (opc == 1) set_reg(30, b_.page_address(here() + 4));
    b_.exit_indirect(target, opc == 0 ? IndirectHint::kJump : opc == 1 ? IndirectHint::kCall : IndirectHint::kReturn);
    return Flow::kEnd;
  }
  // SVC
  if ((insn & 0xffe0001f) == 0xd4000001) {
    b_.call(Opcode::kExitThroughCall, helpers_.supervisor_call, b_.constant(bits(insn, 20, 5)), ir::kNoValue, ir::kNoValue,
            static_cast<uint16_t>(here()));
    return Flow::kEnd;
  }
  if (bits(insn, 31, 22) == 0b1101010100) return system(insn);
  return Flow::kInterpretExit;
}

// Goes on behind a conditional branch, unless it closes a loop (then both ways out are hot), or what follows is a block already.
Translator::Flow Translator::after_conditional(int64_t target) {
  const int64_t next = here() + 4;
  if (target > here() && ++side_exits_ < kMaxSideExits && next < 4096 && !known_.contains(next)) return Flow::kNext;
  end_block_at(next);
  return Flow::kEnd;
}

Translator::Flow Translator::barrier(uint32_t insn) {
  const unsigned type = bits(insn, 9, 8);  // of CRm: 0 is "all" for DSB and DMB SY's siblings are 1 loads, 2 stores, 3 all
  switch (bits(insn, 7, 5)) {
    case 4:  // DSB
      b_.call(Opcode::kCall, helpers_.data_barrier);
      return Flow::kNext;
    case 5:  // DMB
      b_.fence(type == 1 ? ir::kFenceLoadLoad | ir::kFenceLoadStore : type == 2 ? ir::kFenceStoreStore : ir::kFenceAll);
      return Flow::kNext;
    case 6:  // ISB
    case 7:  // SB
      end_block_at(here() + 4);
      return Flow::kEnd;
    default: return Flow::kInterpret;  // CLREX and the unallocated
  }
}

Translator::Flow Translator::system(uint32_t insn) {
  if ((insn & 0xfffff01f) == 0xd503201f) {  // hints
    const unsigned hint = bits(insn, 11, 5);
    if (hint == 2 || hint == 3) return Flow::kInterpretExit;  // WFE, WFI
    return hint == 1 || hint == 4 || hint == 5 ? Flow::kInterpret : Flow::kNext;  // YIELD, SEV, SEVL; the others are NOPs on this CPU
  }
  if ((insn & 0xfffff01f) == 0xd503301f) return barrier(insn);
  if ((insn & 0xfff8f01f) == 0xd500401f) {  // MSR (immediate), CFINV
    const unsigned op1 = bits(insn, 18, 16), op2 = bits(insn, 7, 5);
    constexpr size_t kDaif = offsetof(CpuState, daif);
    if (op1 == 0 && op2 == 0 && bits(insn, 11, 8) == 0) {
      b_.emit(Opcode::kInvertCarry, Type::kVoid, 0, 0);
      return Flow::kNext;
    }
    if (op1 == 3 && op2 == 6 && mode_.el != 0 && (!mode_.debug_armed || !(bits(insn, 11, 8) & 8))) {  // DAIFSet
      const Value daif = b_.load_state(Type::kI32, kDaif, 4);
      b_.store_state(kDaif, 4, b_.binary(Opcode::kOr, Type::kI32, daif, b_.constant(bits(insn, 11, 8) << 6)));
      return Flow::kNext;
    }
    if (op1 == 3 && op2 == 7 && mode_.el != 0 && (!mode_.debug_armed || !(bits(insn, 11, 8) & 8))) {  // DAIFClr
      const Value daif = b_.load_state(Type::kI32, kDaif, 4);
      set_daif(b_.binary(Opcode::kAnd, Type::kI32, daif, b_.constant(~(bits(insn, 11, 8) << 6), Type::kI32)));
      return Flow::kNext;
    }
    return Flow::kInterpret;
  }
  if (bits(insn, 20, 20) == 1) return system_register(insn);
  if (bits(insn, 21, 19) == 1) {  // SYS
    const uint16_t encoding = sysreg_encoding_of(insn);
    if (encoding == sysreg_encoding(1, 3, 7, 4, 1) && (mode_.el != 0 || mode_.cache_by_user)) {  // DC ZVA
      const Value block = b_.binary(Opcode::kAnd, Type::kI64, reg(bits(insn, 4, 0)), b_.constant(~63ull));
      const Value zero = b_.emit(Opcode::kVecZero, Type::kV128, 0, 0);
      for (int64_t offset = 0; offset < 64; offset += 32) {
        b_.emit(Opcode::kStoreVectorPair, Type::kVoid, 0, memory_info(16).pack(), b_.add_imm(block, offset), zero, zero);
      }
      return Flow::kNext;
    }
    return Flow::kInterpret;
  }
  return Flow::kInterpretExit;
}

// Stores PSTATE.DAIF, from which interrupts may have become unmasked: if any is asserted, the block is left for one whose poll looks at them.
void Translator::set_daif(Value daif) {
  b_.store_state(offsetof(CpuState, daif), 4, daif);
  const Value level = b_.load_state(Type::kI32, static_cast<size_t>(helpers_.interrupt_level_offset), 4);
  b_.store_state(static_cast<size_t>(helpers_.recheck_offset), 4, level);
  b_.emit(Opcode::kExitIfNotZero, Type::kVoid, 4, exit_to(here() + 4), level);
}

Translator::Flow Translator::system_register(uint32_t insn) {
  const uint16_t encoding = sysreg_encoding_of(insn);
  const unsigned t = bits(insn, 4, 0);
  const bool read = bit(insn, 21);
  constexpr uint16_t kNzcv = sysreg_encoding(3, 3, 4, 2, 0), kCntvct = sysreg_encoding(3, 3, 14, 0, 2);
  const auto page_offset = static_cast<uint16_t>(here());
  if (encoding == kNzcv) {
    if (read) {
      set_reg(t, b_.shift_imm(Opcode::kShl, Type::kI64, b_.emit(Opcode::kGetNzcv, Type::kI32, 0, 0), 28));
    } else {
      b_.emit(Opcode::kSetNzcv, Type::kVoid, 0, 0, b_.unary(Opcode::kExtractBits, Type::kI64, reg(t), 0, 28 | (4u << 8)));
    }
    return Flow::kNext;
  }
  if (encoding == kCntvct && read && mode_.el != 0) {
    const Value offset = b_.load_state(Type::kI64, offsetof(CpuState, cntvoff), 8);
    set_reg(t, b_.binary(Opcode::kSub, Type::kI64, b_.emit(Opcode::kReadCounter, Type::kI64, 0, 0), offset));
    return Flow::kNext;
  }
  constexpr uint16_t kDaif = sysreg_encoding(3, 3, 4, 2, 1), kDczid = sysreg_encoding(3, 3, 0, 0, 7);
  if (encoding == kDaif && mode_.el != 0 && (read || !mode_.debug_armed)) {
    constexpr uint64_t kMask = kDaifD | kDaifA | kDaifI | kDaifF;
    if (read) set_reg(t, b_.load_state(Type::kI64, offsetof(CpuState, daif), 4)); else set_daif(b_.binary(Opcode::kAnd, Type::kI32, reg(t), b_.constant(kMask)));
    return Flow::kNext;
  }
  if (encoding == kDczid && read) {
    set_reg(t, b_.constant(id::kDczid | (mode_.el == 0 && !mode_.cache_by_user ? id::kDczidProhibited : 0)));
    return Flow::kNext;
  }
  const SysRegAccess access = read ? inline_read(encoding, mode_.el, mode_.sp_elx) : inline_write(encoding, mode_.el, mode_.sp_elx);
  switch (access.kind) {
    case SysRegAccess::Kind::kConstant:
      if (read) set_reg(t, b_.constant(access.value));
      return Flow::kNext;
    case SysRegAccess::Kind::kStorage: case SysRegAccess::Kind::kStorage32: {
      const unsigned bytes = access.kind == SysRegAccess::Kind::kStorage ? 8 : 4;
      if (read) set_reg(t, b_.load_state(Type::kI64, access.offset, bytes)); else b_.store_state(access.offset, bytes, reg(t));
      return Flow::kNext;
    }
    default: break;
  }
  if (read) {
    const Value v = b_.call(Opcode::kCallMayExit, helpers_.read_sysreg, b_.constant(encoding), b_.constant(insn), ir::kNoValue, page_offset);
    set_reg(t, v);
    return Flow::kNext;
  }
  b_.call(Opcode::kCallMayExit, helpers_.write_sysreg, b_.constant(encoding), b_.constant(insn), reg(t), page_offset);
  // The write may have unmasked an interrupt or changed what the poll looks at.
  end_block_at(here() + 4);
  return Flow::kEnd;
}

}  // namespace adyton::engine::arm64
