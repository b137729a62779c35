// The byte level of the assembler: the output buffer, the encoding of prefixes and operands, labels and displacement fields.
// An instruction is built through a local pointer and ends with one store of the cursor, so that the compiler can keep
// everything in registers between.
#pragma once
#include <cstring>

#include "engine/x64/operands.h"

namespace adyton::engine::x64 {

class Emitter {
 public:
  // Room that must be left in front of an instruction. The longest has 15 bytes.
  static constexpr ptrdiff_t kSlack = 64;

  // Writes go to [begin, end); the bytes will execute at their address + exec_delta (memory mapped twice).
  Emitter(uint8_t* begin, uint8_t* end, ptrdiff_t exec_delta) { reset(begin, end, exec_delta); }
  Emitter(const Emitter&) = delete;
  Emitter& operator=(const Emitter&) = delete;

  // Starts again in another place, without errors.
  void reset(uint8_t* begin, uint8_t* end, ptrdiff_t exec_delta) {
    exec_delta_ = exec_delta;
    overflowed_ = false;
    out_of_reach_ = false;
    cursor_ = begin;
    limit_ = end - begin >= kSlack ? end - kSlack : nullptr;
    if (limit_ == nullptr) overflow();
  }

  // After an overflow the cursor points into a scratch area inside this object, and the code must be thrown away.
  uint8_t* cursor() const { return cursor_; }
  const uint8_t* exec_cursor() const { return cursor_ + exec_delta_; }
  ptrdiff_t exec_delta() const { return exec_delta_; }

  // The code did not fit. Sticky; nothing is ever written past `end`, and emission may go on until it is convenient to look.
  bool overflowed() const { return overflowed_; }
  // A branch cannot hold the distance to its target. Sticky.
  bool out_of_reach() const { return out_of_reach_; }
  bool failed() const { return overflowed_ || out_of_reach_; }

  // Whether a rel32 branch emitted within the next 64 bytes reaches `exec_target`.
  bool reaches(const void* exec_target) const {
    const int64_t distance = address_of(exec_target) - address_of(exec_cursor());
    return distance >= INT32_MIN + kSlack && distance <= INT32_MAX - kSlack;
  }

  void emit8(uint8_t value) { emit_value(value); }
  void emit16(uint16_t value) { emit_value(value); }
  void emit32(uint32_t value) { emit_value(value); }
  void emit64(uint64_t value) { emit_value(value); }

  // `bytes` bytes of no-operation instructions, as few of them as possible.
  void nop(unsigned bytes = 1);
  // No-operations until the executable address is a multiple of `alignment` (a power of two).
  void align(unsigned alignment) {
    assert(std::has_single_bit(alignment));
    nop(static_cast<unsigned>(-reinterpret_cast<uintptr_t>(exec_cursor())) & (alignment - 1));
  }

  // Gives the label its place, here, and resolves the jumps that wait for it.
  void bind(Label& label) {
    assert(!label.bound());
    label.position_ = cursor_;
    if (label.used()) resolve(label);
  }

  // Replaces the target of a branch that may be executing on other threads. The field must be 4-byte aligned (see
  // ControlAssembler::jmp_rel32_aligned), so that the store is atomic and lies within one cache line; `delta` is the distance
  // from the writable to the executable view, a multiple of 4. The target must be within reach, which it is in one code cache.
  static void patch_rel32(uint8_t* writable_field, ptrdiff_t delta, const uint8_t* exec_target) {
    assert(reinterpret_cast<uintptr_t>(writable_field) % 4 == 0);
    const int64_t distance = address_of(exec_target) - address_of(writable_field + delta + 4);
    assert(distance == static_cast<int32_t>(distance));
    __atomic_store_n(reinterpret_cast<int32_t*>(writable_field), static_cast<int32_t>(distance), __ATOMIC_RELEASE);
  }
  // Where a rel32 field points now.
  static const uint8_t* read_rel32(const uint8_t* writable_field, ptrdiff_t delta) {
    int32_t distance;
    std::memcpy(&distance, writable_field, sizeof distance);
    return writable_field + delta + 4 + distance;
  }

 protected:
  enum class Prefix : uint8_t { kNone, k66, kF3, kF2 };      // numbered like VEX.pp
  enum class Map : uint8_t { kPrimary, k0F, k0F38, k0F3A };  // numbered like VEX.mmmmm

  struct Opcode {
    Map map;
    uint8_t byte;
    Prefix prefix = Prefix::kNone;
  };

  static constexpr bool fits_int8(int64_t value) { return value == static_cast<int8_t>(value); }
  static int64_t address_of(const void* pointer) { return static_cast<int64_t>(reinterpret_cast<intptr_t>(pointer)); }

  // Every instruction stands between start() and finish().
  [[gnu::always_inline]] uint8_t* start() {
    if (cursor_ > limit_) [[unlikely]]
      overflow();
    return cursor_;
  }
  [[gnu::always_inline]] void finish(uint8_t* p) { cursor_ = p; }

  template <typename T>
  [[gnu::always_inline]] static uint8_t* put(uint8_t* p, T value) {
    std::memcpy(p, &value, sizeof value);
    return p + sizeof value;
  }

  // An immediate of min(4, width) bytes.
  [[gnu::always_inline]] static uint8_t* put_imm(uint8_t* p, Width width, int32_t value) {
    std::memcpy(p, &value, sizeof value);
    return p + (width >= Width::k32 ? 4 : bytes_of(width));
  }

  // spl, bpl, sil and dil are byte registers only under a REX prefix; without it their numbers mean ah, ch, dh and bh.
  static constexpr bool needs_rex(Width width, Gpr reg) { return width == Width::k8 && (number_of(reg) & ~3u) == 4; }

  // Legacy prefixes, REX and opcode. `reg` goes to ModRM.reg, `index` and `rm` are the other extended register numbers.
  [[gnu::always_inline]] static uint8_t* put_opcode(uint8_t* p, Width width, Opcode op, unsigned reg, unsigned index, unsigned rm,
                                                    bool force_rex) {
    *p = 0x66;
    p += width == Width::k16;
    if (op.prefix == Prefix::k66) *p++ = 0x66;
    if (op.prefix == Prefix::kF3) *p++ = 0xF3;
    if (op.prefix == Prefix::kF2) *p++ = 0xF2;
    const unsigned rex = 0x40 | (width == Width::k64 ? 8 : 0) | (reg >> 3) << 2 | (index >> 3) << 1 | rm >> 3;
    *p = static_cast<uint8_t>(rex);
    p += (rex != 0x40) | force_rex;
    if (op.map != Map::kPrimary) *p++ = 0x0F;
    if (op.map == Map::k0F38) *p++ = 0x38;
    if (op.map == Map::k0F3A) *p++ = 0x3A;
    *p++ = op.byte;
    return p;
  }

  static constexpr uint8_t sib_of(Mem m, unsigned base) {
    return static_cast<uint8_t>(std::countr_zero(m.scale) << 6 | (number_of(m.index) & 7) << 3 | base);
  }
  [[gnu::always_inline]] static uint8_t* put_modrm(uint8_t* p, unsigned reg, unsigned rm) {
    *p++ = static_cast<uint8_t>(0xC0 | (reg & 7) << 3 | (rm & 7));
    return p;
  }

  // ModRM, SIB and displacement of a memory operand. EVEX counts an 8-bit displacement in units of 1 << disp8_shift bytes.
  // Registers and displacements vary from one instruction to the next, so there are no branches on them. Not always_inline: the
  // operand travels in one register, and one copy keeps the callers small enough to be inlined themselves.
  static uint8_t* put_modrm(uint8_t* p, unsigned reg, Mem m, unsigned disp8_shift = 0) {
    const unsigned reg_bits = (reg & 7) << 3;
    const unsigned base = number_of(m.base) & 7;
    if (!m.has_base) [[unlikely]] {  // SIB with base 5 under mod 0
      *p++ = static_cast<uint8_t>(reg_bits | 4);
      *p++ = sib_of(m, 5);
      return put(p, m.disp);
    }
    const int32_t scaled = m.disp >> disp8_shift;
    const unsigned short_disp = static_cast<unsigned>(fits_int8(scaled)) & static_cast<unsigned>(scaled << disp8_shift == m.disp);
    const unsigned no_disp =
        static_cast<unsigned>(m.disp == 0) & static_cast<unsigned>(base != 5);  // mod 0 means another thing there
    const unsigned mod = 2 - short_disp - no_disp;
    const unsigned sib = static_cast<unsigned>(m.has_index()) | static_cast<unsigned>(base == 4);
    p[0] = static_cast<uint8_t>(mod << 6 | reg_bits | (sib != 0 ? 4 : base));
    p[1] = sib_of(m, base);  // overwritten when it is not wanted
    p += 1 + sib;
    put(p, short_disp != 0 ? scaled : m.disp);
    return p + mod + (mod & 2);  // 0, 1 or 4 bytes
  }

  // One instruction with a ModRM byte; returns where an immediate would go.
  [[gnu::always_inline]] static uint8_t* put_instruction(uint8_t* p, Width width, Opcode op, unsigned reg, unsigned rm,
                                                         bool force_rex) {
    return put_modrm(put_opcode(p, width, op, reg, 0, rm, force_rex), reg, rm);
  }
  [[gnu::always_inline]] static uint8_t* put_instruction(uint8_t* p, Width width, Opcode op, unsigned reg, Mem m,
                                                         bool force_rex) {
    return put_modrm(put_opcode(p, width, op, reg, number_of(m.index), number_of(m.base), force_rex), reg, m);
  }
  [[gnu::always_inline]] static uint8_t* put_instruction(uint8_t* p, Width width, Opcode op, unsigned reg, Gpr rm,
                                                         bool force_rex) {
    return put_instruction(p, width, op, reg, number_of(rm), force_rex);
  }
  [[gnu::always_inline]] static uint8_t* put_instruction(uint8_t* p, Width width, Opcode op, unsigned reg, Xmm rm,
                                                         bool force_rex) {
    return put_instruction(p, width, op, reg, number_of(rm), force_rex);
  }

  // VEX prefix and opcode (SDM volume 2, 2.3.5). L is 0: scalar, 128-bit or general registers.
  [[gnu::always_inline]] static uint8_t* put_vex(uint8_t* p, Opcode op, bool w, unsigned reg, unsigned vvvv, unsigned index,
                                                 unsigned rm) {
    const unsigned not_rxb = ((reg & 8) ? 0 : 0x80) | ((index & 8) ? 0 : 0x40) | ((rm & 8) ? 0 : 0x20);
    const unsigned tail = (~vvvv & 15) << 3 | static_cast<unsigned>(op.prefix);
    const bool two_bytes = op.map == Map::k0F && !w && (not_rxb & 0x60) == 0x60;
    const uint32_t short_form = 0xC5 | ((not_rxb & 0x80) | tail) << 8 | uint32_t{op.byte} << 16;
    const uint32_t long_form =
        0xC4 | (not_rxb | static_cast<unsigned>(op.map)) << 8 | ((w ? 0x80 : 0) | tail) << 16 | uint32_t{op.byte} << 24;
    put(p, two_bytes ? short_form : long_form);  // registers vary from one instruction to the next: better without a branch
    return p + 4 - (two_bytes ? 1 : 0);
  }
  [[gnu::always_inline]] static uint8_t* put_vex_instruction(uint8_t* p, Opcode op, bool w, unsigned reg, unsigned vvvv,
                                                             unsigned rm) {
    return put_modrm(put_vex(p, op, w, reg, vvvv, 0, rm), reg, rm);
  }
  [[gnu::always_inline]] static uint8_t* put_vex_instruction(uint8_t* p, Opcode op, bool w, unsigned reg, unsigned vvvv, Mem m) {
    return put_modrm(put_vex(p, op, w, reg, vvvv, number_of(m.index), number_of(m.base)), reg, m);
  }
  [[gnu::always_inline]] static uint8_t* put_vex_instruction(uint8_t* p, Opcode op, bool w, unsigned reg, unsigned vvvv, Gpr rm) {
    return put_vex_instruction(p, op, w, reg, vvvv, number_of(rm));
  }
  [[gnu::always_inline]] static uint8_t* put_vex_instruction(uint8_t* p, Opcode op, bool w, unsigned reg, unsigned vvvv, Xmm rm) {
    return put_vex_instruction(p, op, w, reg, vvvv, number_of(rm));
  }

  // EVEX prefix and opcode for registers 0 to 15, 128 bits, no mask (SDM volume 2, 2.7).
  [[gnu::always_inline]] static uint8_t* put_evex(uint8_t* p, Opcode op, bool w, unsigned reg, unsigned vvvv, unsigned index,
                                                  unsigned rm) {
    *p++ = 0x62;
    *p++ = static_cast<uint8_t>(((reg & 8) ? 0 : 0x80) | ((index & 8) ? 0 : 0x40) | ((rm & 8) ? 0 : 0x20) | 0x10 |
                                static_cast<unsigned>(op.map));
    *p++ = static_cast<uint8_t>((w ? 0x80 : 0) | (~vvvv & 15) << 3 | 4 | static_cast<unsigned>(op.prefix));
    *p++ = 0x08;
    *p++ = op.byte;
    return p;
  }
  template <typename R>
  requires(!std::same_as<R, Mem>)
      [[gnu::always_inline]] static uint8_t* put_evex_instruction(uint8_t* p, Opcode op, bool w, unsigned reg, unsigned vvvv,
                                                                  R rm, unsigned) {
    return put_modrm(put_evex(p, op, w, reg, vvvv, 0, number_of(rm)), reg, number_of(rm));
  }
  [[gnu::always_inline]] static uint8_t* put_evex_instruction(uint8_t* p, Opcode op, bool w, unsigned reg, unsigned vvvv, Mem m,
                                                              unsigned size_log2) {
    return put_modrm(put_evex(p, op, w, reg, vvvv, number_of(m.index), number_of(m.base)), reg, m, size_log2);
  }

  // A rel32 field at `p`, the last one of its instruction, that leads to the label.
  [[gnu::always_inline]] uint8_t* put_rel32(uint8_t* p, Label& label) {
    if (label.bound()) return put(p, static_cast<int32_t>(label.position_ - (p + 4)));
    if (overflowed_) [[unlikely]]
      return p + 4;  // the scratch area is written again and again: nothing there can be linked
    put(p, static_cast<int32_t>(label.last_near_ == nullptr ? 0 : p - label.last_near_));
    label.last_near_ = p;
    return p + 4;
  }
  // A rel8 field likewise, for an unbound label. The distance to the previous field must itself be short, or that one would
  // not reach the label.
  [[gnu::always_inline]] uint8_t* put_rel8(uint8_t* p, Label& label) {
    if (overflowed_) [[unlikely]]
      return p + 1;
    const ptrdiff_t link = label.last_short_ == nullptr ? 0 : p - label.last_short_;
    if (link > INT8_MAX) out_of_reach_ = true;
    *p = static_cast<uint8_t>(link);
    label.last_short_ = p;
    return p + 1;
  }
  // A rel32 field that leads to an absolute address in the executable view.
  [[gnu::always_inline]] uint8_t* put_rel32(uint8_t* p, const void* exec_target) {
    const int64_t distance = address_of(exec_target) - address_of(p + 4 + exec_delta_);
    if (distance != static_cast<int32_t>(distance)) [[unlikely]]
      out_of_reach_ = true;
    return put(p, static_cast<int32_t>(distance));
  }
  // How a backward jump of `length` bytes at the cursor would reach a bound label.
  ptrdiff_t distance_to(const Label& label, ptrdiff_t length) const { return label.position_ - (cursor_ + length); }

 private:
  template <typename T>
  void emit_value(T value) {
    finish(put(start(), value));
  }
  void overflow();
  void resolve(Label& label);

  uint8_t* cursor_ = nullptr;
  uint8_t* limit_ = nullptr;  // an instruction may start up to here
  ptrdiff_t exec_delta_ = 0;
  bool overflowed_ = false;
  bool out_of_reach_ = false;
  alignas(16) uint8_t scratch_[kSlack];  // takes the instructions that do not fit, each over the last
};

}  // namespace adyton::engine::x64
