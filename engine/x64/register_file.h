// Block-local register allocation: which host register holds which IR value, and which guest register's current content that is.
//
// One forward pass, no graph: a value lives in a host register from its definition (or first use) to its last use; guest
// registers are cached in host registers and written back ("home") only where somebody may look: at exits, helper calls, and when
// a register is needed for something else. Bank supplies the register type, the set that may be allocated, and how to load, store
// and move; see GprBank and XmmBank.
#pragma once
#include <bit>
#include <cstdint>

#include "engine/ir/block.h"
#include "engine/x64/assembler.h"
#include "engine/x64/state_layout.h"

namespace adyton::engine::x64 {

struct GprBank {
  using Reg = Gpr;
  // Without rsp, rbp (base) and rax (scratch of every sequence).
  static constexpr uint32_t kAllocatable = 0xffff & ~((1u << 4) | (1u << 5) | (1u << 0));
  static int32_t home(const StateLayout& layout, unsigned n) { return layout.reg(n); }
  static void load(Assembler& as, Gpr dst, Mem src) { as.mov(Width::k64, dst, src); }
  static void store(Assembler& as, Mem dst, Gpr src) { as.mov(Width::k64, dst, src); }
  static void move(Assembler& as, Gpr dst, Gpr src) { as.mov(Width::k64, dst, src); }
};

struct XmmBank {
  using Reg = Xmm;
  // Without xmm0 and xmm1 (scratch).
  static constexpr uint32_t kAllocatable = 0xfffc;
  static int32_t home(const StateLayout& layout, unsigned n) { return layout.vec(n); }
  static void load(Assembler& as, Xmm dst, Mem src) { as.vmovdqa(dst, src); }
  static void store(Assembler& as, Mem dst, Xmm src) { as.vmovdqa(dst, src); }
  static void move(Assembler& as, Xmm dst, Xmm src) { as.vmovdqa(dst, src); }
};

// Spill slots are shared by both banks.
class SpillSlots {
 public:
  void reset() { free_ = ~0u; }
  // The number of a free slot, or -1 when all are taken.
  int take() {
    if (!free_) return -1;
    const int slot = std::countr_zero(free_);
    free_ &= free_ - 1;
    return slot;
  }
  void give_back(int slot) { free_ |= 1u << slot; }

 private:
  uint32_t free_ = ~0u;
  static_assert(StateLayout::kSpillSlots == 32);
};

template <typename Bank>
class RegisterFile {
 public:
  using Reg = typename Bank::Reg;

  RegisterFile(Assembler& hot, const StateLayout& layout, SpillSlots& slots) : hot_(hot), layout_(layout), slots_(slots) {}

  void begin_block() {
    for (Host& h : hosts_) h = {};
    for (ir::Value& v : guest_) v = ir::kNoValue;
    dirty_ = 0, locked_ = 0, clock_ = 0, out_of_spill_ = false;
  }
  // Ran out of spill slots: the block must be made shorter.
  [[nodiscard]] bool failed() const { return out_of_spill_; }

  // --- values

  // Announces a value defined by the current instruction, before anything else is asked about it.
  void announce(ir::Value v, unsigned uses) { values_[v] = {kNoReg, Place::kNone, 0, static_cast<uint16_t>(uses), 0}; }
  // GetReg/GetVec: the value is the guest register's present content, still in memory.
  void announce_guest(ir::Value v, unsigned uses, unsigned n) {
    values_[v] = {kNoReg, Place::kHome, static_cast<uint8_t>(n), static_cast<uint16_t>(uses), 1u << n};
    if (guest_[n]) unmap(n);
    guest_[n] = v;
  }

  // A register that holds `v`, locked until end_instruction().
  Reg use(ir::Value v) {
    ValueState& value = values_[v];
    if (value.reg == kNoReg) {
      const unsigned r = allocate();
      Bank::load(hot_, static_cast<Reg>(r), place_of(value));
      if (value.place == Place::kSpill) release_slot(value);
      bind(r, v);
    }
    return touch(value.reg);
  }
  // A result register for `v`, undefined content, locked.
  Reg define(ir::Value v) {
    const unsigned r = allocate();
    bind(r, v);
    return touch(r);
  }
  // A result register for `v` that starts with the content of `a`: a's own when nobody needs a afterwards.
  Reg define_from(ir::Value v, ir::Value a) {
    const Reg source = use(a);
    ValueState& value = values_[a];
    const unsigned r = static_cast<unsigned>(source);
    if (value.remaining == 1 && value.guests == 0) {
      value.reg = kNoReg;
      value.place = Place::kNone;
      bind(r, v);
      return touch(r);
    }
    const Reg result = define(v);
    Bank::move(hot_, result, source);
    return result;
  }
  // A register for intermediate results, locked until end_instruction().
  Reg temp() {
    const unsigned r = allocate();
    hosts_[r].owner = ir::kNoValue;
    locked_ |= 1u << r;
    return static_cast<Reg>(r);
  }
  // Makes a particular register free, locked. Whatever it held moves.
  Reg claim(Reg reg) {
    const unsigned r = static_cast<unsigned>(reg);
    if (hosts_[r].owner) {
      if (const uint32_t free = Bank::kAllocatable & ~locked_ & ~used(); free) {
        const unsigned other = static_cast<unsigned>(std::countr_zero(free));
        const ir::Value v = hosts_[r].owner;
        Bank::move(hot_, static_cast<Reg>(other), reg);
        const bool was_locked = locked_ >> r & 1;
        hosts_[r].owner = ir::kNoValue;
        bind(other, v);
        if (was_locked) locked_ |= 1u << other;
      } else {
        evict(r);
      }
    }
    locked_ |= 1u << r;
    return reg;
  }
  // Binds `v` to a register obtained from claim() or temp().
  void define_in(ir::Value v, Reg reg) { bind(static_cast<unsigned>(reg), v); }

  // The memory place of `v` when it is not in a register; for use as an instruction's memory operand.
  [[nodiscard]] bool in_memory(ir::Value v) const { return values_[v].reg == kNoReg && values_[v].place != Place::kNone; }
  [[nodiscard]] bool has_place(ir::Value v) const { return values_[v].reg != kNoReg || values_[v].place != Place::kNone; }
  [[nodiscard]] Mem memory(ir::Value v) const { return place_of(values_[v]); }
  [[nodiscard]] bool last_use(ir::Value v) const { return values_[v].remaining == 1; }
  [[nodiscard]] unsigned remaining(ir::Value v) const { return values_[v].remaining; }

  // One operand has been consumed.
  void consumed(ir::Value v) {
    ValueState& value = values_[v];
    if (value.remaining) --value.remaining;
    if (!value.remaining) drop_if_dead(v);
  }
  void end_instruction() { locked_ = 0; }

  // --- guest registers

  void set_guest(unsigned n, ir::Value v) {
    const ir::Value old = guest_[n];
    if (old == v) return;
    if (old) unmap(n);
    guest_[n] = v;
    values_[v].guests |= 1u << n;
    dirty_ |= 1u << n;
  }

  // Writes all changed guest registers home and remembers that.
  void write_back() {
    emit_write_back(hot_);
    dirty_ = 0;
  }
  // The same as code on a cold path: the block's own view of the registers does not change.
  void emit_write_back(Assembler& as) const {
    for (uint32_t set = dirty_; set; set &= set - 1) {
      const unsigned n = static_cast<unsigned>(std::countr_zero(set));
      Bank::store(as, home(n), static_cast<Reg>(values_[guest_[n]].reg));
    }
  }
  [[nodiscard]] bool dirty() const { return dirty_ != 0; }

  // Before a call that clobbers registers: nothing stays in one. `state_changes`: guest registers may change in memory, so that
  // no value may rely on its home afterwards.
  void vacate(bool state_changes) {
    write_back();
    for (uint32_t set = used(); set; set &= set - 1) {
      const unsigned r = static_cast<unsigned>(std::countr_zero(set));
      if (state_changes) {
        const ir::Value v = hosts_[r].owner;
        for (uint32_t guests = values_[v].guests; guests; guests &= guests - 1) guest_[std::countr_zero(guests)] = ir::kNoValue;
        values_[v].guests = 0;
        if (values_[v].place == Place::kHome) values_[v].place = Place::kNone;
      }
      evict(r);
    }
    if (!state_changes) return;
    for (unsigned n = 0; n < 32; ++n) {
      const ir::Value v = guest_[n];
      if (!v) continue;
      guest_[n] = ir::kNoValue;
      ValueState& value = values_[v];
      value.guests &= ~(1u << n);
      if (value.place == Place::kHome && value.reg == kNoReg && value.index == n && value.remaining) move_to_slot(v);
    }
  }

  // Registers that hold something, for a slow path that must preserve them.
  [[nodiscard]] uint32_t used() const {
    uint32_t set = 0;
    for (unsigned r = 0; r < 16; ++r) set |= hosts_[r].owner ? 1u << r : 0;
    return set;
  }

 private:
  static constexpr uint8_t kNoReg = 0xff;
  enum class Place : uint8_t { kNone, kHome, kSpill };

  struct ValueState {
    uint8_t reg = kNoReg;
    Place place = Place::kNone;  // where a copy is in memory, if anywhere
    uint8_t index = 0;           // guest register or spill slot
    uint16_t remaining = 0;      // uses still to come
    uint32_t guests = 0;         // guest registers whose current content this is
  };
  struct Host {
    ir::Value owner = ir::kNoValue;
    uint32_t stamp = 0;
  };

  [[nodiscard]] Mem home(unsigned n) const { return mem(Gpr::rbp, Bank::home(layout_, n)); }
  [[nodiscard]] Mem place_of(const ValueState& value) const {
    return value.place == Place::kHome ? home(value.index) : mem(Gpr::rbp, layout_.spill + 16 * value.index);
  }
  Reg touch(unsigned r) {
    hosts_[r].stamp = ++clock_;
    locked_ |= 1u << r;
    return static_cast<Reg>(r);
  }
  void bind(unsigned r, ir::Value v) {
    hosts_[r].owner = v;
    hosts_[r].stamp = ++clock_;
    values_[v].reg = static_cast<uint8_t>(r);
  }
  void release_slot(ValueState& value) {
    slots_.give_back(value.index);
    value.place = Place::kNone;
  }

  unsigned allocate() {
    const uint32_t free = Bank::kAllocatable & ~locked_ & ~used();
    if (free) return static_cast<unsigned>(std::countr_zero(free));
    // The cheapest victim: a clean copy nobody will ask for, then a dirty one, then what was used longest ago.
    unsigned victim = 16;
    uint64_t best = ~0ull;
    for (unsigned r = 0; r < 16; ++r) {
      if (!((Bank::kAllocatable & ~locked_) >> r & 1)) continue;
      const ValueState& value = values_[hosts_[r].owner];
      const uint64_t cost = (value.remaining ? 2ull << 32 : (value.guests & dirty_) ? 1ull << 32 : 0) + hosts_[r].stamp;
      if (cost < best) best = cost, victim = r;
    }
    evict(victim);
    return victim;
  }

  void evict(unsigned r) {
    const ir::Value v = hosts_[r].owner;
    ValueState& value = values_[v];
    for (uint32_t set = value.guests & dirty_; set; set &= set - 1) {
      Bank::store(hot_, home(static_cast<unsigned>(std::countr_zero(set))), static_cast<Reg>(r));
    }
    dirty_ &= ~value.guests;
    hosts_[r].owner = ir::kNoValue;
    value.reg = kNoReg;
    if (!value.remaining) {
      forget(v);
    } else if (value.guests) {
      value.place = Place::kHome;
      value.index = static_cast<uint8_t>(std::countr_zero(value.guests));
    } else if (value.place == Place::kNone) {
      spill_from(v, static_cast<Reg>(r));
    }
  }

  void spill_from(ir::Value v, Reg reg) {
    const int slot = slots_.take();
    if (slot < 0) {
      out_of_spill_ = true;
      return;
    }
    values_[v].place = Place::kSpill;
    values_[v].index = static_cast<uint8_t>(slot);
    Bank::store(hot_, mem(Gpr::rbp, layout_.spill + 16 * slot), reg);
  }
  // A value that lives only in a home that is about to change.
  void move_to_slot(ir::Value v) {
    const Reg reg = static_cast<Reg>(0);  // rax or xmm0: never allocated
    Bank::load(hot_, reg, place_of(values_[v]));
    values_[v].place = Place::kNone;
    spill_from(v, reg);
  }

  // Guest register n no longer contains guest_[n].
  void unmap(unsigned n) {
    const ir::Value v = guest_[n];
    ValueState& value = values_[v];
    value.guests &= ~(1u << n);
    dirty_ &= ~(1u << n);
    guest_[n] = ir::kNoValue;
    if (value.place == Place::kHome && value.index == n) {
      if (value.reg != kNoReg || !value.remaining) {
        value.place = Place::kNone;
      } else if (value.guests) {
        value.index = static_cast<uint8_t>(std::countr_zero(value.guests));  // all are clean: a dirty one would have a register
      } else {
        use(v);
        value.place = Place::kNone;
      }
    }
    if (!value.remaining) drop_if_dead(v);
  }
  void forget(ir::Value v) {
    for (uint32_t set = values_[v].guests; set; set &= set - 1) guest_[std::countr_zero(set)] = ir::kNoValue;
    values_[v].guests = 0;
    if (values_[v].place == Place::kSpill) release_slot(values_[v]);
    values_[v].place = Place::kNone;
  }
  void drop_if_dead(ir::Value v) {
    ValueState& value = values_[v];
    if (value.guests) return;
    if (value.place == Place::kSpill) release_slot(value);
    value.place = Place::kNone;
    if (value.reg != kNoReg) {
      hosts_[value.reg].owner = ir::kNoValue;
      value.reg = kNoReg;
    }
  }

  Assembler& hot_;
  const StateLayout& layout_;
  SpillSlots& slots_;
  Host hosts_[16];
  ir::Value guest_[32] = {};
  uint32_t dirty_ = 0;
  uint32_t locked_ = 0;
  uint32_t clock_ = 0;
  bool out_of_spill_ = false;
  ValueState values_[ir::Block::kMaxInsts];
};

}  // namespace adyton::engine::x64
