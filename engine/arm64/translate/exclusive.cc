// Load-exclusive and store-exclusive.
//
// Where the translator sees the whole sequence, and nothing between the two touches memory, a compare-and-swap with the loaded value is exact: no store can
// have come between unnoticed that the program could tell from none (docs/engine.md, "Exclusives"). A load-exclusive that only waits for its
// location to change (LDXR ... WFE) is a plain load, because WFE may end at any time. Everything else goes to the interpreter and its monitor, where
// a value that has come back (ABA) makes the store fail as the architecture wants.
#include "engine/arm64/translate/translator.h"

namespace adyton::engine::arm64 {

using ir::MemoryInfo;
using ir::Opcode;

namespace {

constexpr unsigned kLongestSequence = 12;

bool is_single_exclusive(uint32_t insn) { return bits(insn, 29, 24) == 0b001000 && !bit(insn, 23) && !bit(insn, 21); }

enum class Sequence : uint8_t { kPair, kWait, kOther };

// What follows a load-exclusive at `words[0]`, of which `count` words may be looked at.
Sequence classify(const uint32_t* words, unsigned count) {
  const uint32_t load = __atomic_load_n(&words[0], __ATOMIC_RELAXED);
  const unsigned base = bits(load, 9, 5);
  for (unsigned n = 1; n < count && n < kLongestSequence; ++n) {
    const uint32_t insn = __atomic_load_n(&words[n], __ATOMIC_RELAXED);
    if (is_single_exclusive(insn) && !bit(insn, 22)) {
      const bool same = bits(insn, 9, 5) == base && bits(insn, 31, 30) == bits(load, 31, 30);
      return same ? Sequence::kPair : Sequence::kOther;
    }
    if (insn == 0xd503205f) return Sequence::kWait;
    switch (bits(insn, 28, 25)) {
      case 0b1000: case 0b1001: case 0b0101: case 0b1101:  // data processing: must leave the base alone
        if (bits(insn, 4, 0) == base && base != 31) return Sequence::kOther;
        break;
      case 0b1010: case 0b1011: {  // forward conditional branches leave the sequence; nothing else may be here
        const bool conditional = bits(insn, 31, 24) == 0b01010100 || bits(insn, 30, 25) == 0b011010;
        const bool test_bit = bits(insn, 30, 25) == 0b011011;
        if (conditional && signed_bits(insn, 23, 5) > 0) break;
        if (test_bit && signed_bits(insn, 18, 5) > 0) break;
        return Sequence::kOther;
      }
      default: return Sequence::kOther;
    }
  }
  return Sequence::kOther;
}

}  // namespace

Translator::Flow Translator::load_exclusive(uint32_t insn) {
  exclusive_ = {};
  const auto words_left = static_cast<unsigned>((4096 - here()) / 4);
  const Sequence sequence = classify(&page_[here() / 4], words_left < instructions_left_ ? words_left : instructions_left_);
  if (sequence == Sequence::kOther) return Flow::kInterpret;
  MemoryInfo info = memory_info(1u << bits(insn, 31, 30));
  info.aligned = true;
  const Value address = b_.get_reg(bits(insn, 9, 5));
  if (bit(insn, 15)) b_.emit(Opcode::kFenceIfReleasePending, Type::kVoid, 0, 0);
  const Value loaded = b_.load(Type::kI64, address, info);
  set_reg(bits(insn, 4, 0), loaded);
  if (sequence == Sequence::kPair) exclusive_ = {true, address, loaded};
  return Flow::kNext;
}

Translator::Flow Translator::store_exclusive(uint32_t insn) {
  if (!exclusive_.open) return Flow::kInterpret;
  const Value address = exclusive_.address, loaded = exclusive_.loaded;
  exclusive_ = {};
  MemoryInfo info = memory_info(1u << bits(insn, 31, 30));
  info.aligned = true;
  const Value old = b_.emit(Opcode::kCompareAndSwap, Type::kI64, 0, info.pack(), address, loaded, reg(bits(insn, 4, 0)));
  // Status 1 when memory no longer held what was loaded: the sign of (d | -d).
  const Value difference = b_.binary(Opcode::kXor, Type::kI64, old, loaded);
  const Value negated = b_.binary(Opcode::kSub, Type::kI64, b_.constant(0), difference);
  set_reg(bits(insn, 20, 16), b_.shift_imm(Opcode::kShr, Type::kI64, b_.binary(Opcode::kOr, Type::kI64, difference, negated), 63));
  return Flow::kNext;
}

}  // namespace adyton::engine::arm64
