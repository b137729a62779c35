// One translated block in IR: straight-line code with side exits, one entry, one terminator.
//
// A Block is an arena reused from translation to translation; nothing is allocated per instruction.
#pragma once
#include <array>
#include <cstdint>
#include <span>

#include "engine/ir/opcode_vector.h"

namespace adyton::ir {

// The number of the instruction that produced a value; 0 is "none".
using Value = uint16_t;
constexpr Value kNoValue = 0;

struct Inst {
  Opcode op = Opcode::kNone;
  Type type = Type::kVoid;
  uint8_t aux = 0;
  bool flags_live = true;       // somebody may read the flags as they are after this instruction (set by analyse_flags)
  Value args[3] = {};
  uint16_t uses = 0;            // how many operands name this value
  uint64_t imm = 0;
};
static_assert(sizeof(Inst) == 24);

// A direct way out of the block.
struct ExitTarget {
  int64_t page_offset = 0;      // target address minus the address of the block's page; outside 0..4095: another page
  bool flags_live = true;       // the flags may be read there
};

class Block {
 public:
  static constexpr unsigned kMaxInsts = 4096;
  static constexpr unsigned kMaxExits = 256;
  static constexpr unsigned kMaxHelpers = 512;
  // A front end must stop when fewer free slots than this remain before an instruction.
  static constexpr unsigned kReserve = 128;

  void clear() { inst_count_ = 1, exit_count_ = 0, helper_count_ = 0; }

  [[nodiscard]] unsigned size() const { return inst_count_; }
  [[nodiscard]] bool nearly_full() const {
    return inst_count_ + kReserve > kMaxInsts || exit_count_ + 4 > kMaxExits || helper_count_ + 16 > kMaxHelpers;
  }
  Inst& operator[](Value v) { return insts_[v]; }
  const Inst& operator[](Value v) const { return insts_[v]; }
  [[nodiscard]] const ExitTarget& exit(unsigned n) const { return exits_[n]; }
  [[nodiscard]] const void* helper(unsigned n) const { return helpers_[n]; }

  Value append(const Inst& inst) {
    insts_[inst_count_] = inst;
    for (Value arg : inst.args) insts_[arg].uses++;
    return static_cast<Value>(inst_count_++);
  }
  unsigned add_exit(const ExitTarget& target) { return exits_[exit_count_] = target, exit_count_++; }
  unsigned add_helper(const void* fn) { return helpers_[helper_count_] = fn, helper_count_++; }

 private:
  unsigned inst_count_ = 1, exit_count_ = 0, helper_count_ = 0;
  std::array<Inst, kMaxInsts> insts_{};
  std::array<ExitTarget, kMaxExits> exits_{};
  std::array<const void*, kMaxHelpers> helpers_{};
};

// Finds where the flags are of no use any more, because neither an instruction of the block nor the target of an exit can read them before they are
// defined again. Memory accesses are not readers (docs/engine.md, "Flags").
void analyse_flags(Block& block);

}  // namespace adyton::ir
