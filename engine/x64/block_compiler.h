// Tier 1: IR block to x86-64 in one forward pass.
//
// Two streams are written at once: the straight way (hot), and what is rarely run (cold: side exits, slow paths), so that neither
// needs moving afterwards. Slow paths know the PC and the register map statically (the state is written home on the cold side
// only). rbp is the state's base, rsp is 16-byte aligned, rax is every sequence's scratch; flags live in EFLAGS between a
// producer and its readers. Threading: one compiler per translating thread.
#pragma once
#include <cstdint>

#include "engine/ir/block.h"
#include "engine/x64/assembler.h"
#include "engine/x64/register_file.h"
#include "engine/x64/state_layout.h"

namespace adyton::engine::x64 {

// What a compiled block is allowed to know of the others in its page.
class LinkResolver {
 public:
  virtual ~LinkResolver() = default;
  // Executable address of the block that starts at `page_offset` of the same page, or null.
  virtual const uint8_t* find(uint16_t page_offset) = 0;
};

struct CompiledBlock {
  uint8_t* entry = nullptr;  // in the writable view; 8-byte aligned. Its first instruction has at least 8 bytes, so that the
                             // entry can be replaced by a call
  uint8_t* hot_end = nullptr;
  uint8_t* cold_end = nullptr;
};

class BlockCompiler {
 public:
  BlockCompiler(const StateLayout& layout, const RuntimeThunks& thunks);

  // Compiles `block`, which starts at `page_offset` of its page and runs in TLB view `view`, to [hot, hot_end) and [cold,
  // cold_end). False when it does not fit or needs too many spill slots.
  bool compile(const ir::Block& block, uint16_t page_offset, unsigned view, LinkResolver& links, uint8_t* hot, uint8_t* hot_end,
               uint8_t* cold, uint8_t* cold_end, ptrdiff_t exec_delta, CompiledBlock& result);

  // The 32-bit value in front of a block's entry: its page offset.
  static constexpr int kHeaderBytes = 8;

 private:
  using Inst = ir::Inst;
  using Value = ir::Value;

  // Where the guest's condition flags are.
  enum class FlagsIn : uint8_t {
    kMemory,
    kEflagsBorrow,   // C is the inverse of CF (after a subtraction)
    kEflagsCarry,    // C is CF (after an addition; logic, where both are 0)
    kEflagsCompare,  // after ucomis(a, b): unordered sets ZF, PF and CF
  };

  void instruction(Value v, const Inst& inst);
  void integer(Value v, const Inst& inst);
  void bits(Value v, const Inst& inst);
  void flags(Value v, const Inst& inst);
  void memory(Value v, const Inst& inst);
  void control(Value v, const Inst& inst);
  bool vector(Value v, const Inst& inst);  // moves, bitwise, integer lanes, permutes, crypto
  bool floating_point(Value v, const Inst& inst);

  // --- integer helpers (compile_integer.cc)
  static Width width_of(const Inst& inst) { return inst.type == ir::Type::kI32 ? Width::k32 : Width::k64; }
  Gpr use(Value v);  // integer value in a register (constants are made)
  void alu(Value v, const Inst& inst);
  void shift(Value v, const Inst& inst);
  void divide(Value v, const Inst& inst);

  // --- flags (compile_flags.cc)
  // To be called before EFLAGS are destroyed by an instruction after which the guest's flags are still wanted.
  void save_flags_if(bool wanted_afterwards);
  void clobber_flags(const Inst& inst) { save_flags_if(inst.flags_live || (ir::info(inst.op).properties & ir::kUsesFlags)); }
  void emit_save_flags(Assembler& as) const;  // EFLAGS -> memory; destroys rax
  void flags_to_eflags();                     // memory -> EFLAGS as kEflagsBorrow; destroys rax
  // Emits whatever makes one or two x86 conditions stand for `c`.
  struct HostCondition {
    Cond first = Cond::e;
    bool has_second = false;
    Cond second = Cond::e;
    bool both = false;  // first && second, else first || second
  };
  HostCondition condition(ir::Condition c);
  void carry_to_cf(bool inverted);  // CF := C, or !C

  // --- memory (compile_memory.cc)
  // Leaves the host addend for [address, address + span) in a temporary; on a miss goes to the cold stream, where the caller
  // emits slow_path() next.
  Gpr probe(const ir::MemoryInfo& info, unsigned span, bool write, Gpr address);
  struct SlowCall;
  void slow_path(const SlowCall& call);
  void load(Value v, const Inst& inst);
  void load_pair(Value v, const Inst& inst);
  void load_vector(Value v, const Inst& inst, bool pair);
  void store(const Inst& inst);
  void store_pair(const Inst& inst);
  void store_vector(const Inst& inst, bool pair);
  void atomic(Value v, const Inst& inst);

  // --- control (compile_control.cc)
  void conditional_exit(Value v, const Inst& inst);
  void write_back_all();
  void emit_exit(Assembler& as, const ir::ExitTarget& target);
  void emit_page_exit(Assembler& as, uint16_t page_offset);
  void emit_link(Assembler& as, uint8_t* field, uint16_t page_offset);
  void emit_far_exit(Assembler& as, int64_t page_offset);
  void emit_indirect();  // target virtual address in rax
  void place_arguments(const Inst& inst, bool state_changes);
  void call_helper(Value v, const Inst& inst);
  void vector_call(Value v, const Inst& inst, unsigned operands);
  [[nodiscard]] bool in_page(const ir::ExitTarget& target) const { return target.page_offset >= 0 && target.page_offset < 4096; }

  [[nodiscard]] static Mem state(int32_t offset) { return mem(Gpr::rbp, offset); }
  void consume(const Inst& inst);
  [[nodiscard]] bool is_vector(Value v) const { return (*block_)[v].type == ir::Type::kV128; }
  Xmm vuse(Value v) { return xmms_.use(v); }

  const StateLayout& layout_;
  const RuntimeThunks& thunks_;
  Assembler hot_, cold_;
  SpillSlots slots_;
  RegisterFile<GprBank> gprs_;
  RegisterFile<XmmBank> xmms_;
  const ir::Block* block_ = nullptr;
  LinkResolver* links_ = nullptr;
  const uint8_t* entry_exec_ = nullptr;
  uint16_t entry_offset_ = 0;
  unsigned code_view_ = 0;
  Value second_of_pair_ = ir::kNoValue;  // PairSecond of the pair load being compiled
  FlagsIn flags_in_ = FlagsIn::kMemory;
  bool flags_saved_ = true;  // memory holds the current flags
};

}  // namespace adyton::engine::x64
