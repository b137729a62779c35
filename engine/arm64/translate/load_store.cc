// Loads and stores (Arm ARM C4.1.88), apart from exclusives (exclusive.cc) and structures (simd_structures.cc).
//
// A register is written only after every access of its instruction has succeeded: the IR's memory operations leave the block on a fault before anything
// after them has happened.
#include "engine/arm64/translate/translator.h"

namespace adyton::engine::arm64 {

using ir::MemoryInfo;
using ir::Opcode;

MemoryInfo Translator::memory_info(unsigned size, bool unprivileged) const {
  MemoryInfo info;
  info.size = static_cast<uint8_t>(size);
  info.view = mode_.el == 0 || (unprivileged && !mode_.uao) ? 0 : 1;
  info.page_offset = static_cast<uint16_t>(here());
  return info;
}

Translator::Flow Translator::load_store(uint32_t insn) {
  if (bit(insn, 26) && !mode_.fp_enabled) return Flow::kInterpretExit;
  switch (bits(insn, 29, 27)) {
    case 0b001:
      if (bit(insn, 26)) return structures(insn);
      if (bit(insn, 24)) return Flow::kInterpretExit;
      return load_store_ordered(insn);
    case 0b011: return bit(insn, 24) ? load_store_rcpc(insn) : load_literal(insn);
    case 0b101: return load_store_pair(insn);
    default: return load_store_register(insn);
  }
}

Translator::Flow Translator::load_literal(uint32_t insn) {
  const unsigned opc = bits(insn, 31, 30), t = bits(insn, 4, 0);
  const Value address = b_.page_address(here() + signed_bits(insn, 23, 5) * 4);
  if (bit(insn, 26)) {
    if (opc == 3) return Flow::kInterpretExit;
    b_.set_vec(t, b_.emit(Opcode::kLoadVector, Type::kV128, 0, memory_info(4u << opc).pack(), address));
    return Flow::kNext;
  }
  if (opc == 3) return Flow::kNext;  // PRFM
  MemoryInfo info = memory_info(opc == 1 ? 8 : 4);
  info.sign_extend = opc == 2;
  set_reg(t, b_.load(Type::kI64, address, info));
  return Flow::kNext;
}

Translator::Flow Translator::single_access(uint32_t insn, Value address, unsigned size, unsigned opc, bool vector, bool unprivileged) {
  const unsigned t = bits(insn, 4, 0);
  if (vector) {
    if (opc & 2) {
      if (size) return Flow::kInterpretExit;
      size = 4;
    }
    const uint64_t info = memory_info(1u << size, unprivileged).pack();
    if (opc & 1) {
      b_.set_vec(t, b_.emit(Opcode::kLoadVector, Type::kV128, 0, info, address));
    } else {
      b_.emit(Opcode::kStoreVector, Type::kVoid, 0, info, address, b_.get_vec(t));
    }
    return Flow::kNext;
  }
  MemoryInfo info = memory_info(1u << size, unprivileged);
  if (opc == 0) {
    b_.store(address, reg(t), info);
    return Flow::kNext;
  }
  if (opc >= 2) {
    if (size == 3 || (size == 2 && opc == 3)) return Flow::kInterpretExit;
    info.sign_extend = true;
  }
  set_reg(t, b_.load(opc == 3 ? Type::kI32 : Type::kI64, address, info));
  return Flow::kNext;
}

Translator::Flow Translator::load_store_register(uint32_t insn) {
  const unsigned size = bits(insn, 31, 30), opc = bits(insn, 23, 22), n = bits(insn, 9, 5), t = bits(insn, 4, 0);
  const bool vector = bit(insn, 26);
  const bool prefetch = !vector && size == 3 && opc == 2;
  const unsigned scale = vector && (opc & 2) ? 4 : size;
  if (bit(insn, 24)) {  // unsigned offset
    if (prefetch) return Flow::kNext;
    return single_access(insn, b_.add_imm(b_.get_reg(n), static_cast<int64_t>(bits(insn, 21, 10)) << scale), size, opc, vector, false);
  }
  if (bit(insn, 21)) {
    switch (bits(insn, 11, 10)) {
      case 0: return vector ? Flow::kInterpretExit : atomic(insn);
      case 2: {
        if (!bit(insn, 14)) return Flow::kInterpretExit;
        if (prefetch) return Flow::kNext;
        const Value offset = extended(bits(insn, 20, 16), bits(insn, 15, 13), bit(insn, 12) ? scale : 0);
        return single_access(insn, b_.add(Type::kI64, b_.get_reg(n), offset), size, opc, vector, false);
      }
      default: return Flow::kInterpretExit;
    }
  }
  const int64_t offset = signed_bits(insn, 20, 12);
  const Value base = b_.get_reg(n);
  switch (bits(insn, 11, 10)) {
    case 0:  // unscaled
      if (prefetch) return Flow::kNext;
      return single_access(insn, b_.add_imm(base, offset), size, opc, vector, false);
    case 2:  // unprivileged
      if (vector || prefetch) return Flow::kInterpretExit;
      return single_access(insn, b_.add_imm(base, offset), size, opc, vector, true);
    default: break;
  }
  // Write-back. Transferring the base itself is CONSTRAINED UNPREDICTABLE: the interpreter chooses.
  if (prefetch || (!vector && n == t && n != 31)) return Flow::kInterpret;
  const bool post = bits(insn, 11, 10) == 1;
  const Value updated = b_.add_imm(base, offset);
  const Flow flow = single_access(insn, post ? base : updated, size, opc, vector, false);
  if (flow == Flow::kNext) b_.set_reg(n, updated);
  return flow;
}

Translator::Flow Translator::load_store_pair(uint32_t insn) {
  const unsigned opc = bits(insn, 31, 30), mode = bits(insn, 24, 23), n = bits(insn, 9, 5);
  const unsigned t = bits(insn, 4, 0), t2 = bits(insn, 14, 10);
  const bool vector = bit(insn, 26), is_load = bit(insn, 22);
  if (opc == 3 || (!vector && opc == 1 && (!is_load || mode == 0))) return Flow::kInterpretExit;
  const bool write_back = mode == 1 || mode == 3;
  if ((is_load && t == t2) || (write_back && !vector && n != 31 && (n == t || n == t2))) return Flow::kInterpret;
  const unsigned size = vector ? 4u << opc : (opc == 2 ? 8 : 4);
  const Value base = b_.get_reg(n);
  const Value updated = b_.add_imm(base, signed_bits(insn, 21, 15) * static_cast<int64_t>(size));
  const Value address = mode == 1 ? base : updated;
  MemoryInfo info = memory_info(size);
  if (vector) {
    if (is_load) {
      const Value first = b_.emit(Opcode::kLoadVectorPair, Type::kV128, 0, info.pack(), address);
      const Value second = b_.emit(Opcode::kVectorPairSecond, Type::kV128, 0, 0, first);
      b_.set_vec(t, first);
      b_.set_vec(t2, second);
    } else {
      b_.emit(Opcode::kStoreVectorPair, Type::kVoid, 0, info.pack(), address, b_.get_vec(t), b_.get_vec(t2));
    }
  } else if (is_load) {
    info.sign_extend = opc == 1;
    const Value first = b_.emit(Opcode::kLoadPair, Type::kI64, 0, info.pack(), address);
    const Value second = b_.emit(Opcode::kPairSecond, Type::kI64, 0, 0, first);
    set_reg(t, first);
    set_reg(t2, second);
  } else {
    b_.emit(Opcode::kStorePair, Type::kVoid, 0, info.pack(), address, reg(t), reg(t2));
  }
  if (write_back) b_.set_reg(n, updated);
  return Flow::kNext;
}

// LDAR, STLR, and the way to exclusives and CAS.
Translator::Flow Translator::load_store_ordered(uint32_t insn) {
  const bool o2 = bit(insn, 23), load = bit(insn, 22), o1 = bit(insn, 21), o0 = bit(insn, 15);
  if (o2 && o1) return compare_and_swap(insn);
  if (!o2 && o1 && !bit(insn, 31)) {  // CASP: too many operands for IR
    b_.call(Opcode::kCallMayExit, helpers_.compare_and_swap_pair, b_.constant(insn), ir::kNoValue, ir::kNoValue, static_cast<uint16_t>(here()));
    return Flow::kNext;
  }
  if (!o2 && !o1) return load ? load_exclusive(insn) : store_exclusive(insn);
  if (!o2 || o1 || !o0) return Flow::kInterpret;
  MemoryInfo info = memory_info(1u << bits(insn, 31, 30));
  info.aligned = true;
  const unsigned t = bits(insn, 4, 0);
  const Value address = b_.get_reg(bits(insn, 9, 5));
  if (load) {
    b_.emit(Opcode::kFenceIfReleasePending, Type::kVoid, 0, 0);
    set_reg(t, b_.load(Type::kI64, address, info));
  } else {
    b_.store(address, reg(t), info);
    b_.emit(Opcode::kMarkRelease, Type::kVoid, 0, 0);
  }
  return Flow::kNext;
}

// LDAPUR, STLUR.
Translator::Flow Translator::load_store_rcpc(uint32_t insn) {
  const unsigned size = bits(insn, 31, 30), opc = bits(insn, 23, 22), t = bits(insn, 4, 0);
  if (bit(insn, 26) || bit(insn, 21) || bits(insn, 11, 10)) return Flow::kInterpretExit;
  if (opc >= 2 && (size == 3 || (size == 2 && opc == 3))) return Flow::kInterpretExit;
  MemoryInfo info = memory_info(1u << size);
  info.aligned = true;
  const Value address = b_.add_imm(b_.get_reg(bits(insn, 9, 5)), signed_bits(insn, 20, 12));
  if (opc == 0) {
    b_.store(address, reg(t), info);
    b_.emit(Opcode::kMarkRelease, Type::kVoid, 0, 0);
    return Flow::kNext;
  }
  info.sign_extend = opc >= 2;
  set_reg(t, b_.load(opc == 3 ? Type::kI32 : Type::kI64, address, info));
  return Flow::kNext;
}

Translator::Flow Translator::atomic(uint32_t insn) {
  const unsigned s = bits(insn, 20, 16), t = bits(insn, 4, 0), operation = bits(insn, 14, 12);
  MemoryInfo info = memory_info(1u << bits(insn, 31, 30));
  info.aligned = true;
  const Value address = b_.get_reg(bits(insn, 9, 5));
  if (bit(insn, 15)) {
    if (operation == 4 && bit(insn, 23) && !bit(insn, 22) && s == 31) {  // LDAPR
      set_reg(t, b_.load(Type::kI64, address, info));
      return Flow::kNext;
    }
    if (operation != 0) return Flow::kInterpretExit;
    set_reg(t, b_.emit(Opcode::kAtomicSwap, Type::kI64, 0, info.pack(), address, reg(s)));
    return Flow::kNext;
  }
  constexpr Opcode kOps[] = {Opcode::kAtomicAdd, Opcode::kAtomicClear, Opcode::kAtomicXor, Opcode::kAtomicOr,
                             Opcode::kAtomicMaxSigned, Opcode::kAtomicMinSigned, Opcode::kAtomicMaxUnsigned, Opcode::kAtomicMinUnsigned};
  set_reg(t, b_.emit(kOps[operation], Type::kI64, 0, info.pack(), address, reg(s)));
  return Flow::kNext;
}

Translator::Flow Translator::compare_and_swap(uint32_t insn) {
  if (bits(insn, 14, 10) != 31) return Flow::kInterpret;
  const unsigned s = bits(insn, 20, 16);
  MemoryInfo info = memory_info(1u << bits(insn, 31, 30));
  info.aligned = true;
  set_reg(s, b_.emit(Opcode::kCompareAndSwap, Type::kI64, 0, info.pack(), b_.get_reg(bits(insn, 9, 5)), reg(s), reg(bits(insn, 4, 0))));
  return Flow::kNext;
}

}  // namespace adyton::engine::arm64
