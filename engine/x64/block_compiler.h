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
#include "engine/x64/host_features.h"
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
  BlockCompiler(const StateLayout& layout, const RuntimeThunks& thunks, const HostFeatures& features = {});

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
  bool vector(Value v, const Inst& inst);          // moves and bitwise (compile_vector.cc), and what follows
  bool vector_lanes(Value v, const Inst& inst);    // arithmetic and shifts of integer elements (compile_vector_lanes.cc)
  bool vector_multiply(Value v, const Inst& inst);  // products, pairwise and across (compile_vector_multiply.cc)
  bool vector_permute(Value v, const Inst& inst);  // rearrangement, widening, narrowing (compile_vector_permute.cc)
  bool vector_crypto(Value v, const Inst& inst);   // (compile_vector_crypto.cc)
  bool floating_point(Value v, const Inst& inst);

  // --- integer helpers (compile_integer.cc)
  static Width width_of(const Inst& inst) { return inst.type == ir::Type::kI32 ? Width::k32 : Width::k64; }
  Gpr use(Value v);  // integer value in a register (constants are made)
  void alu(Value v, const Inst& inst);
  void shift(Value v, const Inst& inst);
  void divide(Value v, const Inst& inst);
  void crc32(Value v, const Inst& inst);

  // --- flags (compile_flags.cc)
  // To be called before EFLAGS are destroyed by an instruction after which the guest's flags are still wanted.
  void save_flags_if(bool wanted_afterwards);
  // EFLAGS hold flags that somebody reads after this instruction: a form that leaves them alone is worth an instruction more.
  [[nodiscard]] bool flags_wanted_in_eflags(const Inst& inst) const { return flags_in_ != FlagsIn::kMemory && inst.flags_live; }
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

  // --- floating point (compile_fp*.cc)
  enum class FpCompare : uint8_t { kEqual = 0x00, kUnordered = 0x03, kGreaterEqual = 0x0d, kGreater = 0x0e };  // vcmp's predicate
  struct FpSlow;
  void fp_binary(Value v, const Inst& inst);
  void fp_extremum(Value v, const Inst& inst);
  void fp_sqrt(Value v, const Inst& inst);
  void fp_fma(Value v, const Inst& inst);
  void fp_sign(Value v, const Inst& inst);
  void fp_compare_lanes(Value v, const Inst& inst);
  void fp_compare_flags(const Inst& inst);
  void fp_compare_if(const Inst& inst);
  void fp_select(Value v, const Inst& inst);
  void fp_by_helper(Value v, const Inst& inst);
  bool fp_conversion(Value v, const Inst& inst);  // compile_fp_convert.cc
  void fp_round(Value v, const Inst& inst);
  void fp_convert(Value v, const Inst& inst);
  void fp_from_int(Value v, const Inst& inst);
  void fp_to_int(Value v, const Inst& inst);
  void fp_from_int_lanes(Value v, const Inst& inst);
  void fp_to_int_lanes(Value v, const Inst& inst);
  // `source` as a packed operation may read it: for kHalf the low half twice, in `scratch`.
  Xmm fp_lanes(ir::FpShape shape, Xmm scratch, Xmm source);
  void fp_op(ir::Opcode op, ir::FpShape shape, bool is64, Xmm d, Xmm a, Xmm b);
  void fp_vcmp(ir::FpShape shape, bool is64, Xmm d, Xmm a, Xmm b, FpCompare predicate);
  void fp_jump_if_nan(ir::FpShape shape, bool is64, Xmm result, const uint8_t* cold);  // destroys xmm1
  void fp_zero_rest(Xmm d, ir::FpShape shape, unsigned bytes);
  [[nodiscard]] bool fp_rest_is_zero(Value v, unsigned bytes) const;  // above the low `bytes` bytes
  void fp_constant(Xmm d, bool is64, uint64_t single_bits, uint64_t double_bits);  // in element 0, rest zero; destroys rax
  void fp_jump_if_exponent(bool is64, Xmm a, bool ignore_sign, unsigned limit, const uint8_t* cold);
  void fp_slow_path(const Inst& inst, const FpSlow& slow);

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
  void vector_call(Value v, const Inst& inst);
  [[nodiscard]] bool in_page(const ir::ExitTarget& target) const { return target.page_offset >= 0 && target.page_offset < 4096; }

  [[nodiscard]] static Mem state(int32_t offset) { return mem(Gpr::rbp, offset); }
  void consume(const Inst& inst);
  [[nodiscard]] bool is_vector(Value v) const { return (*block_)[v].type == ir::Type::kV128; }
  Xmm vuse(Value v) { return xmms_.use(v); }

  // --- vectors. Arrays of instructions are indexed by log2 of the element's bytes.
  using VectorOp1 = void (Assembler::*)(Xmm, Xmm);
  using VectorOp2 = void (Assembler::*)(Xmm, Xmm, Xmm);
  using VectorShift = void (Assembler::*)(Xmm, Xmm, unsigned);
  static unsigned log2_of(const Inst& inst) { return static_cast<unsigned>(std::countr_zero(inst.aux)); }
  // An instruction whose second operand may be in memory: read there when nobody else wants it in a register.
  struct VectorOpOrMem {
    void (Assembler::*with_register)(Xmm, Xmm, Xmm);
    void (Assembler::*with_memory)(Xmm, Xmm, Mem);
  };
  [[nodiscard]] bool read_in_place(Value v) const { return xmms_.in_memory(v) && xmms_.last_use(v); }
  void emit2(Value v, const Inst& inst, VectorOpOrMem op) {
    const Xmm a = vuse(inst.args[0]);
    if (read_in_place(inst.args[1])) {
      const Mem b = xmms_.memory(inst.args[1]);
      (hot_.*op.with_memory)(xmms_.define(v), a, b);
    } else {
      const Xmm b = vuse(inst.args[1]);
      (hot_.*op.with_register)(xmms_.define(v), a, b);
    }
  }
  void load_vector_constant(Xmm d, uint64_t bits, unsigned bytes);  // `bits` repeated every `bytes` bytes; destroys rax
  Mem table(const void* constants) {  // 16-byte aligned constants of this program; destroys rax
    hot_.mov_imm64(Gpr::rax, reinterpret_cast<uint64_t>(constants));
    return mem(Gpr::rax);
  }
  // d := ~a. Destroys xmm1; d may be a.
  void vector_not(Xmm d, Xmm a) {
    if (features_.avx512vl) {
      hot_.vpternlogd_avx512(d, a, a, 0x55);
    } else {
      hot_.vpcmpeqd(Xmm::xmm1, Xmm::xmm1, Xmm::xmm1);
      hot_.vpxor(d, a, Xmm::xmm1);
    }
  }
  // d := a with each element shifted; 8-bit elements and arithmetic shifts of 64 bits included. d may be a, not xmm1.
  void shift_left(Xmm d, Xmm a, unsigned log2, unsigned amount);
  void shift_right(Xmm d, Xmm a, unsigned log2, unsigned amount);
  void shift_right_arithmetic(Xmm d, Xmm a, unsigned log2, unsigned amount);
  void unzip(Xmm d, Xmm a, Xmm b, unsigned log2, bool odd);  // destroys xmm0 and xmm1
  void narrow(Xmm d, Xmm a, unsigned log2);                  // log2 of the result's elements
  void vector_shift_variable(Value v, const Inst& inst, bool is_signed);
  void vector_reduce(Value v, const Inst& inst, bool is_signed, bool max);

  const StateLayout& layout_;
  const RuntimeThunks& thunks_;
  const HostFeatures features_;
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
