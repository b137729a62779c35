// Instructions on general registers. Operands are in Intel order, the width comes first; a 32-bit result clears the upper half
// of its register, an 8- or 16-bit result leaves the rest. Flags are as in the Intel SDM.
#pragma once
#include <concepts>
#include <utility>

#include "engine/x64/emitter.h"

namespace adyton::engine::x64 {

// clang-format off: one instruction, one line
class IntegerAssembler : public Emitter {
 public:
  using Emitter::Emitter;

  // --- Moves ---
  void mov(Width width, Gpr dst, Gpr src) { op_reg_rm(width, {Map::kPrimary, sized(0x8A, width)}, dst, src); }
  void mov(Width width, Gpr dst, Mem src) { op_reg_rm(width, {Map::kPrimary, sized(0x8A, width)}, dst, src); }
  void mov(Width width, Mem dst, Gpr src) { op_reg_rm(width, {Map::kPrimary, sized(0x88, width)}, src, dst); }
  // The immediate is sign-extended to 64 bits.
  template <std::integral I>
  void mov_imm(Width width, Mem dst, I imm) {
    uint8_t* p = put_instruction(start(), width, {Map::kPrimary, sized(0xC6, width)}, 0, dst, false);
    finish(put_imm(p, width, imm32(width, imm)));
  }
  // The whole register, by the shortest encoding that leaves the flags alone.
  void mov_imm64(Gpr dst, uint64_t value) {
    uint8_t* p = start();
    const unsigned reg = number_of(dst);
    if (value <= UINT32_MAX) {
      *p = 0x41;
      p += reg >> 3;
      *p++ = static_cast<uint8_t>(0xB8 | (reg & 7));
      p = put(p, static_cast<uint32_t>(value));
    } else if (static_cast<int64_t>(value) == static_cast<int32_t>(value)) {
      p = put(put_instruction(p, Width::k64, {Map::kPrimary, 0xC7}, 0, reg, false), static_cast<uint32_t>(value));
    } else {
      *p++ = static_cast<uint8_t>(0x48 | reg >> 3);
      *p++ = static_cast<uint8_t>(0xB8 | (reg & 7));
      p = put(p, value);
    }
    finish(p);
  }
  void mov_imm32(Gpr dst, uint32_t value) { mov_imm64(dst, value); }  // clears the upper half
  // xor dst, dst: changes the flags.
  void zero(Gpr dst) { xor_(Width::k32, dst, dst); }

  // Zero-extends to 64 bits.
  template <GprOrMem S>
  void movzx(Width from, Gpr dst, S src) {
    if (from == Width::k64) return mov(Width::k64, dst, src);
    if (from == Width::k32) return mov(Width::k32, dst, src);
    finish(put_instruction(start(), Width::k32, {Map::k0F, from == Width::k8 ? uint8_t{0xB6} : uint8_t{0xB7}}, number_of(dst),
                           src, byte_rm(from, src)));
  }
  // Sign-extends to `to`; above 32 bits of `to` the result is zero-extended as always.
  template <GprOrMem S>
  void movsx(Width from, Width to, Gpr dst, S src) {
    assert(to != Width::k8 && from <= to);
    if (from == to) return mov(to, dst, src);
    const Opcode op =
        from == Width::k32 ? Opcode{Map::kPrimary, 0x63} : Opcode{Map::k0F, from == Width::k8 ? uint8_t{0xBE} : uint8_t{0xBF}};
    finish(put_instruction(start(), to, op, number_of(dst), src, byte_rm(from, src)));
  }
  void lea(Width width, Gpr dst, Mem src) { op_reg_rm(width, {Map::kPrimary, 0x8D}, dst, src, false); }
  // The executable address of a label, relative to the instruction pointer.
  void lea(Gpr dst, Label& label) {
    uint8_t* p = put_opcode(start(), Width::k64, {Map::kPrimary, 0x8D}, number_of(dst), 0, 0, false);
    *p++ = static_cast<uint8_t>((number_of(dst) & 7) << 3 | 5);
    finish(put_rel32(p, label));
  }
  template <GprOrMem D>
  void xchg(Width width, D dst, Gpr src) {  // with memory it is atomic and a full fence
    op_reg_rm(width, {Map::kPrimary, sized(0x86, width)}, src, dst);
  }
  void movbe(Width width, Gpr dst, Mem src) { op_reg_rm(width, {Map::k0F38, 0xF0}, dst, src); }
  void movbe(Width width, Mem dst, Gpr src) { op_reg_rm(width, {Map::k0F38, 0xF1}, src, dst); }
  template <GprOrMem S>
  void cmov(Width width, Cond cond, Gpr dst, S src) {
    op_reg_rm(width, {Map::k0F, with_cond(0x40, cond)}, dst, src);
  }
  template <GprOrMem D>
  void setcc(Cond cond, D dst) {
    op_digit_rm(Width::k8, {Map::k0F, with_cond(0x90, cond)}, 0, dst);
  }
  void push(Gpr src) { short_form(0x50, src); }
  void pop(Gpr dst) { short_form(0x58, dst); }
  void push(Mem src) { op_digit_rm(Width::k32, {Map::kPrimary, 0xFF}, 6, src); }
  void pop(Mem dst) { op_digit_rm(Width::k32, {Map::kPrimary, 0x8F}, 0, dst); }
  void push_imm(int32_t imm) {  // sign-extended to 64 bits
    uint8_t* p = start();
    *p++ = fits_int8(imm) ? 0x6A : 0x68;
    put(p, imm);
    finish(p + (fits_int8(imm) ? 1 : 4));
  }

  // --- Arithmetic and logic: each (Gpr, Gpr | Mem | imm) and (Mem, Gpr | imm). Immediates are of any integer type; up to 32 bits
  // wide they may be meant as signed or unsigned, for 64 bits they are sign-extended and must fit int32_t. ---
  template <typename D, typename S>
  void add(Width width, D dst, S src) {
    alu(0, width, dst, src);
  }
  template <typename D, typename S>
  void or_(Width width, D dst, S src) {
    alu(1, width, dst, src);
  }
  template <typename D, typename S>
  void adc(Width width, D dst, S src) {
    alu(2, width, dst, src);
  }
  template <typename D, typename S>
  void sbb(Width width, D dst, S src) {
    alu(3, width, dst, src);
  }
  template <typename D, typename S>
  void and_(Width width, D dst, S src) {
    alu(4, width, dst, src);
  }
  template <typename D, typename S>
  void sub(Width width, D dst, S src) {
    alu(5, width, dst, src);
  }
  template <typename D, typename S>
  void xor_(Width width, D dst, S src) {
    alu(6, width, dst, src);
  }
  template <typename D, typename S>
  void cmp(Width width, D dst, S src) {
    alu(7, width, dst, src);
  }

  template <GprOrMem D>
  void test(Width width, D dst, Gpr src) {
    op_reg_rm(width, {Map::kPrimary, sized(0x84, width)}, src, dst);
  }
  template <GprOrMem D, std::integral I>
  void test(Width width, D dst, I imm) {
    uint8_t* p = put_instruction(start(), width, {Map::kPrimary, sized(0xF6, width)}, 0, dst, byte_rm(width, dst));
    finish(put_imm(p, width, imm32(width, imm)));
  }
  template <GprOrMem D>
  void inc(Width width, D dst) {
    op_digit_rm(width, {Map::kPrimary, sized(0xFE, width)}, 0, dst);
  }
  template <GprOrMem D>
  void dec(Width width, D dst) {
    op_digit_rm(width, {Map::kPrimary, sized(0xFE, width)}, 1, dst);
  }
  template <GprOrMem D>
  void not_(Width width, D dst) {
    op_digit_rm(width, {Map::kPrimary, sized(0xF6, width)}, 2, dst);
  }
  template <GprOrMem D>
  void neg(Width width, D dst) {
    op_digit_rm(width, {Map::kPrimary, sized(0xF6, width)}, 3, dst);
  }

  // rdx:rax (or ax) = rax * src; imul1 is the signed one.
  template <GprOrMem S>
  void mul(Width width, S src) {
    op_digit_rm(width, {Map::kPrimary, sized(0xF6, width)}, 4, src);
  }
  template <GprOrMem S>
  void imul1(Width width, S src) {
    op_digit_rm(width, {Map::kPrimary, sized(0xF6, width)}, 5, src);
  }
  // rax, rdx = quotient and remainder of rdx:rax / src.
  template <GprOrMem S>
  void div(Width width, S src) {
    op_digit_rm(width, {Map::kPrimary, sized(0xF6, width)}, 6, src);
  }
  template <GprOrMem S>
  void idiv(Width width, S src) {
    op_digit_rm(width, {Map::kPrimary, sized(0xF6, width)}, 7, src);
  }
  // 16, 32 or 64 bits.
  template <GprOrMem S>
  void imul(Width width, Gpr dst, S src) {
    op_reg_rm(width, {Map::k0F, 0xAF}, dst, src);
  }
  template <GprOrMem S, std::integral I>
  void imul(Width width, Gpr dst, S src, I factor) {
    const int32_t imm = imm32(width, factor);
    const bool small = fits_int8(imm);
    uint8_t* p =
        put_instruction(start(), width, {Map::kPrimary, small ? uint8_t{0x6B} : uint8_t{0x69}}, number_of(dst), src, false);
    finish(put_imm(p, small ? Width::k8 : width, imm));
  }
  void cdq() { bare({Map::kPrimary, 0x99}); }              // edx = sign of eax
  void cqo() { bare({Map::kPrimary, 0x99}, Width::k64); }  // rdx = sign of rax
  void bswap(Width width, Gpr reg) {                       // 32 or 64 bits
    finish(
        put_opcode(start(), width, {Map::k0F, static_cast<uint8_t>(0xC8 | (number_of(reg) & 7))}, 0, 0, number_of(reg), false));
  }

  // --- Shifts: the count is modulo 32, or 64 for 64 bits ---
  template <GprOrMem D>
  void rol(Width width, D dst, unsigned count) {
    shift_imm(0, width, dst, count);
  }
  template <GprOrMem D>
  void ror(Width width, D dst, unsigned count) {
    shift_imm(1, width, dst, count);
  }
  template <GprOrMem D>
  void rcl(Width width, D dst, unsigned count) {
    shift_imm(2, width, dst, count);
  }
  template <GprOrMem D>
  void rcr(Width width, D dst, unsigned count) {
    shift_imm(3, width, dst, count);
  }
  template <GprOrMem D>
  void shl(Width width, D dst, unsigned count) {
    shift_imm(4, width, dst, count);
  }
  template <GprOrMem D>
  void shr(Width width, D dst, unsigned count) {
    shift_imm(5, width, dst, count);
  }
  template <GprOrMem D>
  void sar(Width width, D dst, unsigned count) {
    shift_imm(7, width, dst, count);
  }
  template <GprOrMem D>
  void rol_cl(Width width, D dst) {
    op_digit_rm(width, {Map::kPrimary, sized(0xD2, width)}, 0, dst);
  }
  template <GprOrMem D>
  void ror_cl(Width width, D dst) {
    op_digit_rm(width, {Map::kPrimary, sized(0xD2, width)}, 1, dst);
  }
  template <GprOrMem D>
  void rcl_cl(Width width, D dst) {
    op_digit_rm(width, {Map::kPrimary, sized(0xD2, width)}, 2, dst);
  }
  template <GprOrMem D>
  void rcr_cl(Width width, D dst) {
    op_digit_rm(width, {Map::kPrimary, sized(0xD2, width)}, 3, dst);
  }
  template <GprOrMem D>
  void shl_cl(Width width, D dst) {
    op_digit_rm(width, {Map::kPrimary, sized(0xD2, width)}, 4, dst);
  }
  template <GprOrMem D>
  void shr_cl(Width width, D dst) {
    op_digit_rm(width, {Map::kPrimary, sized(0xD2, width)}, 5, dst);
  }
  template <GprOrMem D>
  void sar_cl(Width width, D dst) {
    op_digit_rm(width, {Map::kPrimary, sized(0xD2, width)}, 7, dst);
  }
  // Shifts `dst`, filling with bits of `src`.
  template <GprOrMem D>
  void shld(Width width, D dst, Gpr src, unsigned count) {
    finish(put(put_instruction(start(), width, {Map::k0F, 0xA4}, number_of(src), dst, false), static_cast<uint8_t>(count)));
  }
  template <GprOrMem D>
  void shrd(Width width, D dst, Gpr src, unsigned count) {
    finish(put(put_instruction(start(), width, {Map::k0F, 0xAC}, number_of(src), dst, false), static_cast<uint8_t>(count)));
  }
  template <GprOrMem D>
  void shld_cl(Width width, D dst, Gpr src) {
    op_reg_rm(width, {Map::k0F, 0xA5}, src, dst);
  }
  template <GprOrMem D>
  void shrd_cl(Width width, D dst, Gpr src) {
    op_reg_rm(width, {Map::k0F, 0xAD}, src, dst);
  }

  // --- BMI1, BMI2: 32 or 64 bits; the shifts, rorx, mulx, pdep and pext leave the flags alone ---
  template <GprOrMem S>
  void shlx(Width w, Gpr dst, S src, Gpr count) {
    bmi({Map::k0F38, 0xF7, Prefix::k66}, w, dst, count, src);
  }
  template <GprOrMem S>
  void shrx(Width w, Gpr dst, S src, Gpr count) {
    bmi({Map::k0F38, 0xF7, Prefix::kF2}, w, dst, count, src);
  }
  template <GprOrMem S>
  void sarx(Width w, Gpr dst, S src, Gpr count) {
    bmi({Map::k0F38, 0xF7, Prefix::kF3}, w, dst, count, src);
  }
  template <GprOrMem S>
  void rorx(Width w, Gpr dst, S src, unsigned count) {
    uint8_t* p = put_vex_instruction(start(), {Map::k0F3A, 0xF0, Prefix::kF2}, w == Width::k64, number_of(dst), 0, src);
    finish(put(p, static_cast<uint8_t>(count)));
  }
  // dst = ~inverted & src
  template <GprOrMem S>
  void andn(Width w, Gpr dst, Gpr inverted, S src) {
    bmi({Map::k0F38, 0xF2}, w, dst, inverted, src);
  }
  template <GprOrMem S>
  void bzhi(Width w, Gpr dst, S src, Gpr index) {
    bmi({Map::k0F38, 0xF5}, w, dst, index, src);
  }
  template <GprOrMem S>
  void bextr(Width w, Gpr dst, S src, Gpr control) {
    bmi({Map::k0F38, 0xF7}, w, dst, control, src);
  }
  template <GprOrMem S>
  void pext(Width w, Gpr dst, Gpr src, S mask) {
    bmi({Map::k0F38, 0xF5, Prefix::kF3}, w, dst, src, mask);
  }
  template <GprOrMem S>
  void pdep(Width w, Gpr dst, Gpr src, S mask) {
    bmi({Map::k0F38, 0xF5, Prefix::kF2}, w, dst, src, mask);
  }
  // high:low = rdx * src
  template <GprOrMem S>
  void mulx(Width w, Gpr high, Gpr low, S src) {
    bmi({Map::k0F38, 0xF6, Prefix::kF2}, w, high, low, src);
  }
  template <GprOrMem S>
  void blsr(Width w, Gpr dst, S src) {
    bmi_digit(1, w, dst, src);
  }
  template <GprOrMem S>
  void blsmsk(Width w, Gpr dst, S src) {
    bmi_digit(2, w, dst, src);
  }
  template <GprOrMem S>
  void blsi(Width w, Gpr dst, S src) {
    bmi_digit(3, w, dst, src);
  }

  // --- Bits: 16, 32 or 64 bits ---
  template <GprOrMem S>
  void lzcnt(Width w, Gpr dst, S src) {
    op_reg_rm(w, {Map::k0F, 0xBD, Prefix::kF3}, dst, src);
  }
  template <GprOrMem S>
  void tzcnt(Width w, Gpr dst, S src) {
    op_reg_rm(w, {Map::k0F, 0xBC, Prefix::kF3}, dst, src);
  }
  template <GprOrMem S>
  void popcnt(Width w, Gpr dst, S src) {
    op_reg_rm(w, {Map::k0F, 0xB8, Prefix::kF3}, dst, src);
  }
  // CF = the bit; the register forms take the bit number modulo the width.
  void bt(Width width, Gpr dst, Gpr bit) { op_reg_rm(width, {Map::k0F, 0xA3}, bit, dst); }
  void bts(Width width, Gpr dst, Gpr bit) { op_reg_rm(width, {Map::k0F, 0xAB}, bit, dst); }
  void btr(Width width, Gpr dst, Gpr bit) { op_reg_rm(width, {Map::k0F, 0xB3}, bit, dst); }
  void btc(Width width, Gpr dst, Gpr bit) { op_reg_rm(width, {Map::k0F, 0xBB}, bit, dst); }
  template <GprOrMem D>
  void bt(Width width, D dst, unsigned bit) {
    bit_imm(4, width, dst, bit);
  }
  template <GprOrMem D>
  void bts(Width width, D dst, unsigned bit) {
    bit_imm(5, width, dst, bit);
  }
  template <GprOrMem D>
  void btr(Width width, D dst, unsigned bit) {
    bit_imm(6, width, dst, bit);
  }
  template <GprOrMem D>
  void btc(Width width, D dst, unsigned bit) {
    bit_imm(7, width, dst, bit);
  }
  // CRC-32C of `src` (8 to 64 bits) added to the sum in `dst`.
  template <GprOrMem S>
  void crc32(Width width, Gpr dst, S src) {
    op_reg_rm(width, {Map::k0F38, sized(0xF0, width), Prefix::kF2}, dst, src);
  }

  // --- Flags ---
  void lahf() { bare({Map::kPrimary, 0x9F}); }
  void sahf() { bare({Map::kPrimary, 0x9E}); }
  void cmc() { bare({Map::kPrimary, 0xF5}); }
  void stc() { bare({Map::kPrimary, 0xF9}); }
  void clc() { bare({Map::kPrimary, 0xF8}); }
  void cld() { bare({Map::kPrimary, 0xFC}); }
  void pushfq() { bare({Map::kPrimary, 0x9C}); }
  void popfq() { bare({Map::kPrimary, 0x9D}); }

  // --- Atomics: full fences, at any alignment (but slow across cache lines) ---
  void lock_xadd(Width width, Mem dst, Gpr src) { locked_reg_rm(width, {Map::k0F, sized(0xC0, width)}, src, dst); }
  void lock_cmpxchg(Width width, Mem dst, Gpr src) { locked_reg_rm(width, {Map::k0F, sized(0xB0, width)}, src, dst); }
  void lock_cmpxchg8b(Mem dst) { locked_digit_rm(Width::k32, {Map::k0F, 0xC7}, 1, dst); }
  void lock_cmpxchg16b(Mem dst) { locked_digit_rm(Width::k64, {Map::k0F, 0xC7}, 1, dst); }
  template <typename S>
  void lock_add(Width width, Mem dst, S src) {
    lock_prefix(), alu(0, width, dst, src);
  }
  template <typename S>
  void lock_or(Width width, Mem dst, S src) {
    lock_prefix(), alu(1, width, dst, src);
  }
  template <typename S>
  void lock_and(Width width, Mem dst, S src) {
    lock_prefix(), alu(4, width, dst, src);
  }
  template <typename S>
  void lock_sub(Width width, Mem dst, S src) {
    lock_prefix(), alu(5, width, dst, src);
  }
  template <typename S>
  void lock_xor(Width width, Mem dst, S src) {
    lock_prefix(), alu(6, width, dst, src);
  }
  void mfence() { fence(0xF0); }
  void lfence() { fence(0xE8); }
  void sfence() { fence(0xF8); }
  void pause() { bare({Map::kPrimary, 0x90, Prefix::kF3}); }
  void prefetcht0(Mem src) { op_digit_rm(Width::k32, {Map::k0F, 0x18}, 1, src); }
  void prefetchw(Mem src) { op_digit_rm(Width::k32, {Map::k0F, 0x0D}, 1, src); }

  // --- System ---
  void rdtsc() { bare({Map::k0F, 0x31}); }
  void rdtscp() {
    uint8_t* p = put_opcode(start(), Width::k32, {Map::k0F, 0x01}, 0, 0, 0, false);
    finish(put(p, uint8_t{0xF9}));
  }
  void cpuid() { bare({Map::k0F, 0xA2}); }
  void ldmxcsr(Mem src) { op_digit_rm(Width::k32, {Map::k0F, 0xAE}, 2, src); }
  void stmxcsr(Mem dst) { op_digit_rm(Width::k32, {Map::k0F, 0xAE}, 3, dst); }
  void ud2() { bare({Map::k0F, 0x0B}); }
  void int3() { bare({Map::kPrimary, 0xCC}); }

 protected:
  // Most opcodes have bit 0 clear for bytes and set for everything wider.
  static constexpr uint8_t sized(uint8_t opcode, Width width) { return static_cast<uint8_t>(opcode | (width != Width::k8)); }
  static constexpr uint8_t with_cond(uint8_t opcode, Cond cond) {
    return static_cast<uint8_t>(opcode | static_cast<uint8_t>(cond));
  }
  static constexpr bool byte_rm(Width width, Gpr rm) { return needs_rex(width, rm); }
  static constexpr bool byte_rm(Width, Mem) { return false; }

  [[gnu::always_inline]] void bare(Opcode op, Width width = Width::k32) {
    finish(put_opcode(start(), width, op, 0, 0, 0, false));
  }

  template <GprOrMem S>
  [[gnu::always_inline]] void op_reg_rm(Width width, Opcode op, Gpr reg, S rm, bool may_be_byte = true) {
    finish(put_instruction(start(), width, op, number_of(reg), rm, may_be_byte && (needs_rex(width, reg) || byte_rm(width, rm))));
  }
  template <GprOrMem D>
  [[gnu::always_inline]] void op_digit_rm(Width width, Opcode op, unsigned digit, D rm) {
    finish(put_instruction(start(), width, op, digit, rm, byte_rm(width, rm)));
  }

 private:
  // An immediate that silently lost its upper bits would be a wrong program.
  template <std::integral I>
  [[gnu::always_inline]] static int32_t imm32(Width width, I value) {
    if constexpr (sizeof(I) > 4 || (sizeof(I) == 4 && std::unsigned_integral<I>)) {
      assert(std::in_range<int32_t>(value) || (width != Width::k64 && std::in_range<uint32_t>(value)));
    }
    (void)width;
    return static_cast<int32_t>(value);
  }

  // The eight operations that share one encoding; `number` is their place in it.
  [[gnu::always_inline]] void alu(unsigned number, Width width, Gpr dst, Gpr src) {
    op_reg_rm(width, {Map::kPrimary, sized(static_cast<uint8_t>(number << 3 | 2), width)}, dst, src);
  }
  [[gnu::always_inline]] void alu(unsigned number, Width width, Gpr dst, Mem src) {
    op_reg_rm(width, {Map::kPrimary, sized(static_cast<uint8_t>(number << 3 | 2), width)}, dst, src);
  }
  [[gnu::always_inline]] void alu(unsigned number, Width width, Mem dst, Gpr src) {
    op_reg_rm(width, {Map::kPrimary, sized(static_cast<uint8_t>(number << 3), width)}, src, dst);
  }
  template <GprOrMem D, std::integral I>
  [[gnu::always_inline]] void alu(unsigned number, Width width, D dst, I value) {
    const int32_t imm = imm32(width, value);
    const bool small = width != Width::k8 && fits_int8(imm);
    uint8_t* p = put_instruction(start(), width, {Map::kPrimary, small ? uint8_t{0x83} : sized(0x80, width)}, number, dst,
                                 byte_rm(width, dst));
    finish(put_imm(p, small ? Width::k8 : width, imm));
  }
  template <GprOrMem D>
  [[gnu::always_inline]] void shift_imm(unsigned number, Width width, D dst, unsigned count) {
    if (count == 1) return op_digit_rm(width, {Map::kPrimary, sized(0xD0, width)}, number, dst);
    uint8_t* p = put_instruction(start(), width, {Map::kPrimary, sized(0xC0, width)}, number, dst, byte_rm(width, dst));
    finish(put(p, static_cast<uint8_t>(count)));
  }
  template <GprOrMem D>
  [[gnu::always_inline]] void bit_imm(unsigned number, Width width, D dst, unsigned bit) {
    finish(put(put_instruction(start(), width, {Map::k0F, 0xBA}, number, dst, false), static_cast<uint8_t>(bit)));
  }
  template <GprOrMem S>
  [[gnu::always_inline]] void bmi(Opcode op, Width width, Gpr reg, Gpr vvvv, S rm) {
    finish(put_vex_instruction(start(), op, width == Width::k64, number_of(reg), number_of(vvvv), rm));
  }
  template <GprOrMem S>
  [[gnu::always_inline]] void bmi_digit(unsigned digit, Width width, Gpr dst, S src) {
    finish(put_vex_instruction(start(), {Map::k0F38, 0xF3}, width == Width::k64, digit, number_of(dst), src));
  }
  [[gnu::always_inline]] void short_form(uint8_t opcode, Gpr reg) {
    uint8_t* p = start();
    *p = 0x41;
    p += number_of(reg) >> 3;
    *p++ = static_cast<uint8_t>(opcode | (number_of(reg) & 7));
    finish(p);
  }
  [[gnu::always_inline]] void lock_prefix() { emit8(0xF0); }
  [[gnu::always_inline]] void locked_reg_rm(Width width, Opcode op, Gpr reg, Mem rm) {
    lock_prefix();
    op_reg_rm(width, op, reg, rm);
  }
  [[gnu::always_inline]] void locked_digit_rm(Width width, Opcode op, unsigned digit, Mem rm) {
    lock_prefix();
    op_digit_rm(width, op, digit, rm);
  }
  [[gnu::always_inline]] void fence(uint8_t modrm) {
    uint8_t* p = put_opcode(start(), Width::k32, {Map::k0F, 0xAE}, 0, 0, 0, false);
    finish(put(p, modrm));
  }
};
// clang-format on

}  // namespace adyton::engine::x64
