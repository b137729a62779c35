// Advanced SIMD loads and stores of structures (Arm ARM C3.2.14).
//
// Memory is accessed in whole vectors, in order; registers, the base included, are written when all accesses have succeeded.
#include "engine/arm64/translate/translator.h"

namespace adyton::engine::arm64 {

using ir::MemoryInfo;
using ir::Opcode;

void Translator::load_vectors(Value address, unsigned count, unsigned bytes, Value* values) {
  const uint64_t info = memory_info(bytes).pack();
  unsigned i = 0;
  for (; i + 2 <= count; i += 2) {
    values[i] = b_.emit(Opcode::kLoadVectorPair, Type::kV128, 0, info, b_.add_imm(address, i * bytes));
    values[i + 1] = b_.emit(Opcode::kVectorPairSecond, Type::kV128, 0, 0, values[i]);
  }
  if (i < count) values[i] = b_.emit(Opcode::kLoadVector, Type::kV128, 0, info, b_.add_imm(address, i * bytes));
}

void Translator::store_vectors(Value address, unsigned count, unsigned bytes, const Value* values) {
  const uint64_t info = memory_info(bytes).pack();
  unsigned i = 0;
  for (; i + 2 <= count; i += 2)
    b_.emit(Opcode::kStoreVectorPair, Type::kVoid, 0, info, b_.add_imm(address, i * bytes), values[i], values[i + 1]);
  if (i < count) b_.emit(Opcode::kStoreVector, Type::kVoid, 0, info, b_.add_imm(address, i * bytes), values[i]);
}

Translator::Flow Translator::structures(uint32_t insn) {
  // Bits 31 and 29 are 0; without post-indexing (bit 23) the Rm field is 0, and bit 21 exists only for single structures.
  const bool single = bit(insn, 24);
  if (bit(insn, 31) || bit(insn, 29) || (!bit(insn, 23) && bits(insn, 20, 16)) || (!single && bit(insn, 21)))
    return Flow::kInterpretExit;
  return single ? structure_single(insn) : structures_multiple(insn);
}

Translator::Flow Translator::structures_multiple(uint32_t insn) {
  const bool q = bit(insn, 30), load = bit(insn, 22);
  const unsigned log2 = bits(insn, 11, 10), t = bits(insn, 4, 0), n = bits(insn, 9, 5), m = bits(insn, 20, 16);
  unsigned count, structure = 1;
  switch (bits(insn, 15, 12)) {
    case 0b0000: count = structure = 4; break;
    case 0b0010: count = 4; break;
    case 0b0100: count = structure = 3; break;
    case 0b0110: count = 3; break;
    case 0b0111: count = 1; break;
    case 0b1000: count = structure = 2; break;
    case 0b1010: count = 2; break;
    default: return Flow::kInterpretExit;
  }
  if (log2 == 3 && !q && structure != 1) return Flow::kInterpretExit;
  const unsigned bytes = q ? 16 : 8;
  const Value base = b_.get_reg(n);
  Value registers[4] = {};
  // Structures are moved in full vectors, which with 64-bit registers hold twice as many elements: `vectors` of them, the last
  // one by half if there are three.
  Value memory[4] = {};
  const unsigned vectors = q ? structure : (structure + 1) / 2;
  const auto both = [&](Opcode op, Value a, Value b) { return vec(op, log2, a, b); };
  if (load) {
    if (structure == 1) {
      load_vectors(base, count, bytes, registers);
    } else {
      if (!q && structure == 3) {
        memory[0] = b_.emit(Opcode::kLoadVector, Type::kV128, 0, memory_info(16).pack(), base);
        memory[1] = b_.emit(Opcode::kLoadVector, Type::kV128, 0, memory_info(8).pack(), b_.add_imm(base, 16));
      } else {
        load_vectors(base, vectors, 16, memory);
      }
      const Value none = q ? ir::kNoValue : vec_zero();
      if (structure == 2) {
        registers[0] = both(Opcode::kVecUnzipEven, memory[0], q ? memory[1] : none);
        registers[1] = both(Opcode::kVecUnzipOdd, memory[0], q ? memory[1] : none);
      } else if (structure == 3) {
        for (unsigned i = 0; i < 3; ++i)
          registers[i] = vec(Opcode::kVecDeinterleave3, log2, memory[0], memory[1], q ? memory[2] : none, i);
      } else {
        const Value even = both(Opcode::kVecUnzipEven, memory[0], memory[1]),
                    odd = both(Opcode::kVecUnzipOdd, memory[0], memory[1]);
        const Value even2 = q ? both(Opcode::kVecUnzipEven, memory[2], memory[3]) : none;
        const Value odd2 = q ? both(Opcode::kVecUnzipOdd, memory[2], memory[3]) : none;
        registers[0] = both(Opcode::kVecUnzipEven, even, even2);
        registers[1] = both(Opcode::kVecUnzipEven, odd, odd2);
        registers[2] = both(Opcode::kVecUnzipOdd, even, even2);
        registers[3] = both(Opcode::kVecUnzipOdd, odd, odd2);
      }
    }
    // With 64-bit registers everything above the structures was zero, and has been spread to the upper halves.
    for (unsigned i = 0; i < count; ++i) b_.set_vec((t + i) % 32, registers[i]);
  } else {
    for (unsigned i = 0; i < count; ++i) registers[i] = b_.get_vec((t + i) % 32);
    if (structure == 1) {
      store_vectors(base, count, bytes, registers);
    } else {
      if (structure == 2) {
        memory[0] = both(Opcode::kVecZipLow, registers[0], registers[1]);
        if (q) memory[1] = both(Opcode::kVecZipHigh, registers[0], registers[1]);
      } else if (structure == 3) {
        for (unsigned i = 0; i < vectors; ++i)
          memory[i] = vec(Opcode::kVecInterleave3, log2, registers[0], registers[1], registers[2], i);
      } else {
        const Value low02 = both(Opcode::kVecZipLow, registers[0], registers[2]),
                    low13 = both(Opcode::kVecZipLow, registers[1], registers[3]);
        memory[0] = both(Opcode::kVecZipLow, low02, low13);
        memory[1] = both(Opcode::kVecZipHigh, low02, low13);
        if (q) {
          const Value high02 = both(Opcode::kVecZipHigh, registers[0], registers[2]);
          const Value high13 = both(Opcode::kVecZipHigh, registers[1], registers[3]);
          memory[2] = both(Opcode::kVecZipLow, high02, high13);
          memory[3] = both(Opcode::kVecZipHigh, high02, high13);
        }
      }
      if (!q && structure == 3) {
        b_.emit(Opcode::kStoreVector, Type::kVoid, 0, memory_info(16).pack(), base, memory[0]);
        b_.emit(Opcode::kStoreVector, Type::kVoid, 0, memory_info(8).pack(), b_.add_imm(base, 16), memory[1]);
      } else {
        store_vectors(base, vectors, 16, memory);
      }
    }
  }
  if (bit(insn, 23)) b_.set_reg(n, m == 31 ? b_.add_imm(base, count * bytes) : b_.add(Type::kI64, base, b_.get_reg(m)));
  return Flow::kNext;
}

Translator::Flow Translator::structure_single(uint32_t insn) {
  const bool q = bit(insn, 30), load = bit(insn, 22), s = bit(insn, 12);
  const unsigned size = bits(insn, 11, 10), count = ((bit(insn, 13) ? 2u : 0u) | (bit(insn, 21) ? 1u : 0u)) + 1;
  const unsigned t = bits(insn, 4, 0), n = bits(insn, 9, 5), m = bits(insn, 20, 16);
  // Q:S:size is the index, with a bit less for every doubling of the element's size.
  const unsigned byte_index = (q ? 8 : 0) | (s ? 4 : 0) | size;
  unsigned log2 = bits(insn, 15, 14);
  bool replicate = false;
  if (log2 == 3) {  // LD1R..LD4R
    if (!load || s) return Flow::kInterpretExit;
    log2 = size;
    replicate = true;
  } else if (log2 == 2 && size == 1) {
    if (s) return Flow::kInterpretExit;
    log2 = 3;
  } else if (size & ((1u << log2) - 1)) {
    return Flow::kInterpretExit;
  }
  const unsigned bytes = 1u << log2, index = byte_index >> log2;
  const Value base = b_.get_reg(n);
  const MemoryInfo info = memory_info(bytes);
  Value loaded[4] = {};
  for (unsigned i = 0; i < count; ++i) {
    const Value address = b_.add_imm(base, i * bytes);
    if (!load) {
      const Value element = b_.emit(Opcode::kVecToInt, Type::kI64, static_cast<uint8_t>(bytes), index, b_.get_vec((t + i) % 32));
      b_.store(address, element, info);
    } else if (replicate) {
      loaded[i] = b_.emit(Opcode::kLoadVector, Type::kV128, 0, info.pack(), address);
    } else {
      loaded[i] = b_.load(Type::kI64, address, info);
    }
  }
  for (unsigned i = 0; load && i < count; ++i) {
    const unsigned target = (t + i) % 32;
    if (replicate) {
      // One 64-bit element in a 64-bit register is what has been loaded.
      b_.set_vec(target,
                 log2 == 3 && !q ? loaded[i] : vec_low(vec_imm(Opcode::kVecBroadcastElement, log2, loaded[i], 0), q ? 16 : 8));
    } else {
      b_.set_vec(target, vec(Opcode::kVecInsert, log2, b_.get_vec(target), loaded[i], ir::kNoValue, index));
    }
  }
  if (bit(insn, 23)) b_.set_reg(n, m == 31 ? b_.add_imm(base, count * bytes) : b_.add(Type::kI64, base, b_.get_reg(m)));
  return Flow::kNext;
}

}  // namespace adyton::engine::arm64
