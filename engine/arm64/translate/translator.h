// The A64 front end of the translator: guest instructions to IR, one block at a time.
//
// A block starts where control enters and runs, through conditional branches not taken, to the first instruction that always leaves or changes how
// instructions are to be translated, to the end of the page, or to the length limit. Instructions without a translation of their own are
// executed by a helper (the reference interpreter) in the middle of the block.
// Threading: one Translator per thread; it keeps no state between blocks.
#pragma once
#include <cstdint>

#include "engine/arm64/cpu_state.h"
#include "engine/ir/builder.h"

namespace adyton::engine::arm64 {

// Everything in the CPU's state that a translation may depend on. Two CPUs with equal modes share translations.
struct TranslationMode {
  uint8_t el = 0;
  bool fp_enabled = true;     // CPACR_EL1.FPEN allows FP at this level
  bool fp_default = true;     // FPCR asks for nothing but a rounding mode and (without NaN or denormal rules) exact IEEE arithmetic
  bool sp_elx = true;         // PSTATE.SP
  bool uao = false;           // PSTATE.UAO
  bool cache_by_user = true;  // EL0 may use DC ZVA (SCTLR_EL1.DZE)
  bool single_step = false;   // one instruction per block, by the interpreter
  bool debug_armed = false;   // MDSCR_EL1.SS or .MDE: a change of PSTATE.D matters
  [[nodiscard]] constexpr unsigned number() const {
    return el | (fp_enabled << 1) | (fp_default << 2) | (sp_elx << 3) | (uao << 4) | (cache_by_user << 5) | (single_step << 6) |
           (debug_armed << 7);
  }
  static constexpr unsigned kNumbers = 256;
};

// Addresses of the runtime's functions, as ir::Opcode::kCall* take them. `insn` is the instruction word.
struct TranslatorHelpers {
  const void* interpret = nullptr;        // CallMayExit(insn): executes it, leaves the block unless it just fell through
  const void* interpret_exit = nullptr;   // ExitThroughCall(insn): executes it and goes on wherever the PC then is
  const void* compare_and_swap_pair = nullptr;  // CallMayExit(insn): interpret, at its best for CASP
  const void* supervisor_call = nullptr;  // ExitThroughCall(immediate)
  const void* exception_return = nullptr; // ExitThroughCall()
  const void* read_sysreg = nullptr;      // CallMayExit(encoding, insn) -> value
  const void* write_sysreg = nullptr;     // CallMayExit(encoding, insn, value)
  const void* data_barrier = nullptr;     // Call(): DSB, waits for TLB maintenance
  const void* sha1_rounds = nullptr;      // VecCall(abcd, e, w; aux: the function, as kVecSha1Rounds)
  const void* sha256_rounds = nullptr;    // VecCall(abcd, efgh, w; aux: 0 for the new abcd, 1 for the new efgh)
  bool sha = false;                       // the back end has the operations kVecSha*: no need to call
  // Runtime words in the state: the interrupt inputs' level, and what makes the next poll look at them.
  int32_t interrupt_level_offset = 0;
  int32_t recheck_offset = 0;
};

// Which instructions of the page already start a block, so that a new one can end there instead of repeating it.
struct KnownBlocks {
  const void* const* entry_points = nullptr;   // one per instruction slot
  const void* none = nullptr;                  // what a slot without a block contains
  [[nodiscard]] bool contains(int64_t page_offset) const {
    return entry_points && __atomic_load_n(&entry_points[page_offset / 4], __ATOMIC_RELAXED) != none;
  }
};

class Translator {
 public:
  Translator(ir::Block& block, const TranslatorHelpers& helpers) : b_(block), helpers_(helpers) {}

  // Translates from `page_offset` of the page whose 1024 instruction words are at `page` (guest memory: read once per word).
  // Returns the number of guest instructions in the block; at least 1, at most `limit`.
  unsigned translate(const uint32_t* page, uint16_t page_offset, const TranslationMode& mode, const KnownBlocks& known,
                     unsigned limit = kMaxInstructions);

  static constexpr unsigned kMaxInstructions = 96;
  // Code behind a side exit is translated once more where the exit leads; few exits keep that bounded.
  static constexpr unsigned kMaxSideExits = 4;

 private:
  using Value = ir::Value;
  using Type = ir::Type;

  // Whether the block goes on after an instruction.
  enum class Flow : uint8_t { kNext, kEnd, kInterpret, kInterpretExit };

  Flow instruction(uint32_t insn);
  Flow data_immediate(uint32_t insn);
  Flow data_register(uint32_t insn);
  Flow branch_or_system(uint32_t insn);
  Flow load_store(uint32_t insn);
  Flow simd_fp(uint32_t insn);
  Flow after_conditional(int64_t target);
  Flow fp_scalar(uint32_t insn);  // fp_*.cc
  Flow simd(uint32_t insn);       // simd*.cc

  Flow fp_fixed_conversion(uint32_t insn);
  Flow fp_move_general(uint32_t insn);
  Flow fp_integer_conversion(uint32_t insn);
  Flow fp_one_source(uint32_t insn);
  Flow fp_two_source(uint32_t insn);
  Flow fp_three_source(uint32_t insn);
  Flow fp_compare(uint32_t insn);
  Flow fp_conditional_compare(uint32_t insn);
  Flow fp_conditional_select(uint32_t insn);
  Flow fp_immediate(uint32_t insn);
  Value fp_unary(ir::Opcode op, unsigned bytes, Value a, const ir::FpInfo& info);
  Value fp_binary(ir::Opcode op, unsigned bytes, Value a, Value b, const ir::FpInfo& info);
  Value fp_element(unsigned bytes, Value v, unsigned index);  // in all elements
  Value fp_scalar_of(unsigned n, unsigned bytes);  // element 0 of a vector register, the rest zero

  // The floating-point members of the Advanced SIMD classes (vector_fp*.cc), vector and scalar alike.
  Flow vector_fp_three_same(uint32_t insn);
  Flow vector_fp_two_reg_misc(uint32_t insn);
  Flow vector_fp_convert_format(uint32_t insn);
  Flow vector_fp_by_element(uint32_t insn);
  Flow vector_fp_pairwise_scalar(uint32_t insn);
  Flow vector_fp_across_lanes(uint32_t insn);
  Flow vector_fp_shift_imm(uint32_t insn);
  Flow vector_fp_three_same_extra(uint32_t insn);  // FCMLA, FCADD

  Flow add_sub_immediate(uint32_t insn);
  Flow logical_immediate(uint32_t insn);
  Flow move_wide(uint32_t insn);
  Flow bitfield(uint32_t insn);
  Flow extract(uint32_t insn);

  Flow logical_shifted(uint32_t insn);
  Flow add_sub_shifted(uint32_t insn);
  Flow add_sub_extended(uint32_t insn);
  Flow add_sub_carry(uint32_t insn);
  Flow conditional_compare(uint32_t insn);
  Flow conditional_select(uint32_t insn);
  Flow one_source(uint32_t insn);
  Flow two_source(uint32_t insn);
  Flow three_source(uint32_t insn);

  Flow system(uint32_t insn);
  Flow system_register(uint32_t insn);
  void set_daif(Value daif);
  Flow barrier(uint32_t insn);

  Flow load_store_register(uint32_t insn);
  Flow load_store_pair(uint32_t insn);
  Flow load_literal(uint32_t insn);
  Flow load_store_ordered(uint32_t insn);
  Flow load_store_rcpc(uint32_t insn);
  Flow atomic(uint32_t insn);
  Flow compare_and_swap(uint32_t insn);
  Flow load_exclusive(uint32_t insn);
  Flow store_exclusive(uint32_t insn);
  Flow single_access(uint32_t insn, Value address, unsigned size, unsigned opc, bool vector, bool unprivileged);
  [[nodiscard]] ir::MemoryInfo memory_info(unsigned size, bool unprivileged = false) const;

  // --- Advanced SIMD and cryptography (simd*.cc). Element sizes are log2 of bytes.
  Flow simd_three_same(uint32_t insn);
  Flow simd_logical(uint32_t insn);
  Flow simd_three_same_extra(uint32_t insn);
  Flow simd_three_different(uint32_t insn);
  Flow simd_two_reg_misc(uint32_t insn);
  Flow simd_across_lanes(uint32_t insn);
  Flow simd_pairwise_scalar(uint32_t insn);
  Flow simd_copy(uint32_t insn);
  Flow simd_permute(uint32_t insn);
  Flow simd_extract(uint32_t insn);
  Flow simd_table(uint32_t insn);
  Flow simd_modified_immediate(uint32_t insn);
  Flow simd_shift_immediate(uint32_t insn);
  Flow simd_by_element(uint32_t insn);
  Flow crypto_aes(uint32_t insn);
  Flow crypto_sha_three(uint32_t insn);
  Flow crypto_sha_two(uint32_t insn);
  Flow structures(uint32_t insn);
  Flow structures_multiple(uint32_t insn);
  Flow structure_single(uint32_t insn);

  // The scalar forms of the SIMD classes.
  static bool simd_is_scalar(uint32_t insn) { return (insn >> 28) & 1; }
  // How many bytes of the operands count: of one element, of 64 bits, or all.
  static unsigned simd_bytes(uint32_t insn, unsigned log2) { return simd_is_scalar(insn) ? 1u << log2 : (insn >> 30) & 1 ? 16 : 8; }
  Value vec(ir::Opcode op, unsigned log2, Value a, Value b = ir::kNoValue, Value c = ir::kNoValue, uint64_t imm = 0) {
    return b_.emit(op, Type::kV128, static_cast<uint8_t>(1u << log2), imm, a, b, c);
  }
  Value vec_imm(ir::Opcode op, unsigned log2, Value a, uint64_t imm) { return vec(op, log2, a, ir::kNoValue, ir::kNoValue, imm); }
  Value vec_zero() { return b_.emit(ir::Opcode::kVecZero, Type::kV128, 0, 0); }
  Value vec_constant(unsigned log2, uint64_t element);
  // Is everything above the low `bytes` bytes known to be zero?
  [[nodiscard]] bool vec_rest_is_zero(Value v, unsigned bytes, unsigned depth = 3);
  Value vec_low(Value v, unsigned bytes) {
    if (bytes == 16 || vec_rest_is_zero(v, bytes)) return v;
    return b_.emit(ir::Opcode::kZeroUpper, Type::kV128, static_cast<uint8_t>(bytes), 0, v);
  }
  // For a reader of the low `bytes` bytes alone: there is no need to wait until the rest has been zeroed.
  Value vec_before_zeroing(Value v, unsigned bytes) {
    const ir::Inst& inst = b_.block()[v];
    return inst.op == ir::Opcode::kZeroUpper && inst.aux >= bytes ? inst.args[0] : v;
  }
  // Writes the result of a vector or scalar form with elements of the size.
  void set_simd(uint32_t insn, unsigned log2, Value v) { b_.set_vec(insn & 31, vec_low(v, simd_bytes(insn, log2))); }
  // Writes a narrowed result, which is in the low half of `v` with the upper one zero: to the low half, or (Q) the high half of Vd.
  void set_narrow(uint32_t insn, unsigned log2, Value v);
  // FPSR.QC is set when the low `bytes` bytes of the two differ.
  void mark_saturation(unsigned bytes, Value a, Value b);
  // The low halves of both, one after the other.
  Value vec_join(Value low, Value high) { return vec(ir::Opcode::kVecZipLow, 3, low, high); }
  Value vec_shift_right(bool is_unsigned, unsigned log2, Value a, unsigned amount);
  Value vec_rounding_shift_right(bool is_unsigned, unsigned log2, Value a, unsigned amount);
  Value vec_shift_variable(bool is_unsigned, unsigned log2, Value a, Value amounts);
  Value vec_absolute_difference(bool is_unsigned, unsigned log2, Value a, Value b);
  Value vec_dot(bool is_unsigned, Value accumulator, Value a, Value b);
  Value vec_sum_elements(unsigned log2, Value a, unsigned bytes);
  Value vec_saturating_add(bool subtract, bool is_unsigned, unsigned log2, Value a, Value b, unsigned bytes);
  Value vec_doubling_multiply_high(bool rounds, unsigned log2, Value a, Value b, unsigned bytes);
  Value vec_rounding_doubling_accumulate(bool subtract, unsigned log2, Value accumulator, Value a, Value b, unsigned bytes);
  Value vec_rotate_right(Value a, unsigned amount);  // 32-bit elements
  // a plus two rotations and a shift of b, exclusive-ORed: sigma0 and sigma1 of FIPS 180-4, 4.1.2.
  Value vec_sha256_sigma(Value a, Value b, unsigned rotate1, unsigned rotate2, unsigned shift);
  // The products of 8-bit polynomials: the low 8 bits of each, or the 16-bit products of the elements in the low 8 bytes.
  Value vec_polynomial_product(Value a, Value b, bool widening);
  Value vec_count_leading_zeros(unsigned log2, Value a);
  Value vec_widen(bool is_unsigned, bool high, unsigned log2, Value a);
  Value vec_saturating_narrow(bool unsigned_source, bool unsigned_result, unsigned log2, Value a);
  // MULL, MLAL, MLSL and the saturating doubling forms: operation 0 multiplies, 1 adds, 2 subtracts.
  void multiply_long(uint32_t insn, unsigned log2, bool is_unsigned, bool doubling, unsigned operation, Value n, Value m);
  // The instruction after this one has been translated with it.
  void skip_next() { offset_ += 4; }
  // Values of adjacent vectors in memory, `bytes` (8 or 16) each.
  void load_vectors(Value address, unsigned count, unsigned bytes, Value* values);
  void store_vectors(Value address, unsigned count, unsigned bytes, const Value* values);

  // --- operands. Register 31 is zero in `reg`, the stack pointer in `reg_or_sp`.
  static Type type_of(uint32_t insn) { return insn >> 31 ? Type::kI64 : Type::kI32; }
  Value reg(unsigned n) { return n == 31 ? b_.constant(0) : b_.get_reg(n); }
  void set_reg(unsigned n, Value v) {
    if (n != 31) b_.set_reg(n, v);
  }
  // Register content as an operand of the width: for 32-bit moves the upper half must go.
  Value low(Type type, Value v) { return type == Type::kI32 ? b_.zero_extend(v, 32) : v; }
  Value shifted(Type type, unsigned n, unsigned shift, unsigned amount);
  Value extended(unsigned n, unsigned option, unsigned shift);
  void add_sub(Type type, bool subtract, bool set_flags, unsigned d, bool d_is_sp, Value a, Value b);

  [[nodiscard]] int64_t here() const { return offset_; }  // page offset of the current instruction
  // Can the flags be read at `page_offset` of this page before they are written? Looks a few instructions ahead.
  [[nodiscard]] bool flags_live_at(int64_t page_offset) const;
  unsigned exit_to(int64_t page_offset) { return b_.exit_target(page_offset, flags_live_at(page_offset)); }
  void end_block_at(int64_t page_offset) { b_.exit(exit_to(page_offset)); }

  ir::Builder b_;
  const TranslatorHelpers& helpers_;
  const uint32_t* page_ = nullptr;
  TranslationMode mode_;
  int64_t offset_ = 0;
  // The last four rounds of SHA-256 translated in this block: SHA256H and SHA256H2 each want one half of the same result.
  struct Sha256Rounds {
    Value abcd = ir::kNoValue, efgh = ir::kNoValue, w = ir::kNoValue, new_abcd = ir::kNoValue, new_efgh = ir::kNoValue;
  } sha256_;
  KnownBlocks known_;
  unsigned side_exits_ = 0;
  unsigned instructions_left_ = 0;  // before the length limit, the current one included

  // The load-exclusive that the block's next store-exclusive pairs with.
  struct ExclusivePair {
    bool open = false;
    Value address = ir::kNoValue, loaded = ir::kNoValue;
  } exclusive_;
};

// Bits high:low of an instruction word.
constexpr uint32_t bits(uint32_t insn, unsigned high, unsigned low) { return (insn >> low) & ((2u << (high - low)) - 1); }
constexpr bool bit(uint32_t insn, unsigned n) { return (insn >> n) & 1; }
constexpr int64_t signed_bits(uint32_t insn, unsigned high, unsigned low) {
  return static_cast<int64_t>(static_cast<uint64_t>(bits(insn, high, low)) << (63 - (high - low))) >> (63 - (high - low));
}

}  // namespace adyton::engine::arm64
