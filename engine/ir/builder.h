// Appends instructions to a Block, forwarding register reads to earlier writes and folding what is constant.
#pragma once
#include <bit>

#include "engine/ir/block.h"

namespace adyton::ir {

class Builder {
 public:
  explicit Builder(Block& block) : block_(block) {}

  void reset() {
    block_.clear();
    forget_state();
  }
  Block& block() { return block_; }

  // --- constants and guest state
  Value constant(uint64_t value, Type type = Type::kI64) {
    return emit(Opcode::kConst, type, 0, type == Type::kI32 ? value & 0xffffffff : value);
  }
  Value get_reg(unsigned n) {
    if (!regs_[n]) regs_[n] = emit(Opcode::kGetReg, Type::kI64, 0, n);
    return regs_[n];
  }
  void set_reg(unsigned n, Value v) {
    emit(Opcode::kSetReg, Type::kVoid, 0, n, v);
    regs_[n] = v;
  }
  Value get_vec(unsigned n) {
    if (!vecs_[n]) vecs_[n] = emit(Opcode::kGetVec, Type::kV128, 0, n);
    return vecs_[n];
  }
  void set_vec(unsigned n, Value v) {
    emit(Opcode::kSetVec, Type::kVoid, 0, n, v);
    vecs_[n] = v;
  }
  // After a helper that may have written guest registers.
  void forget_state() {
    for (Value& v : regs_) v = kNoValue;
    for (Value& v : vecs_) v = kNoValue;
  }

  [[nodiscard]] bool is_constant(Value v) const { return block_[v].op == Opcode::kConst; }
  [[nodiscard]] uint64_t constant_value(Value v) const { return block_[v].imm; }

  // --- integer, `type` is kI32 or kI64
  Value unary(Opcode op, Type type, Value a, uint8_t aux = 0, uint64_t imm = 0) { return emit(op, type, aux, imm, a); }
  Value binary(Opcode op, Type type, Value a, Value b, uint8_t aux = 0, uint64_t imm = 0) { return emit(op, type, aux, imm, a, b); }
  Value add(Type type, Value a, Value b) {
    if (is_zero(b)) return type == Type::kI64 ? a : zero_extend(a, 32);
    if (is_constant(a) && is_constant(b)) return constant(constant_value(a) + constant_value(b), type);
    return binary(Opcode::kAdd, type, a, b);
  }
  Value add_imm(Value a, int64_t imm) { return imm ? add(Type::kI64, a, constant(static_cast<uint64_t>(imm))) : a; }
  Value zero_extend(Value a, unsigned bits) { return bits == 64 ? a : unary(Opcode::kZeroExtend, Type::kI64, a, static_cast<uint8_t>(bits)); }
  Value sign_extend(Type type, Value a, unsigned bits) {
    return bits == 64 ? a : unary(Opcode::kSignExtend, type, a, static_cast<uint8_t>(bits));
  }
  Value shift_imm(Opcode op, Type type, Value a, unsigned amount) {
    return amount ? binary(op, type, a, constant(amount)) : (type == Type::kI64 ? a : zero_extend(a, 32));
  }
  Value page_address(int64_t offset) { return emit(Opcode::kPageAddress, Type::kI64, 0, static_cast<uint64_t>(offset)); }
  Value select(Type type, Condition c, Value if_true, Value if_false) {
    return binary(Opcode::kSelect, type, if_true, if_false, static_cast<uint8_t>(c));
  }
  Value load_state(Type type, size_t offset, unsigned bytes) { return emit(Opcode::kLoadState, type, static_cast<uint8_t>(bytes), offset); }
  void store_state(size_t offset, unsigned bytes, Value v) { emit(Opcode::kStoreState, Type::kVoid, static_cast<uint8_t>(bytes), offset, v); }

  // --- memory
  Value load(Type type, Value address, MemoryInfo info) { return emit(Opcode::kLoad, type, 0, info.pack(), address); }
  void store(Value address, Value v, MemoryInfo info) { emit(Opcode::kStore, Type::kVoid, 0, info.pack(), address, v); }
  void fence(unsigned mask) { emit(Opcode::kFence, Type::kVoid, 0, mask); }

  // --- control
  unsigned exit_target(int64_t page_offset, bool flags_live = true) { return block_.add_exit({page_offset, flags_live}); }
  void exit_if(Condition c, unsigned exit) { emit(Opcode::kExitIf, Type::kVoid, static_cast<uint8_t>(c), exit); }
  void exit(unsigned exit_number) { emit(Opcode::kExit, Type::kVoid, 0, exit_number); }
  void exit_indirect(Value target, IndirectHint hint) { emit(Opcode::kExitIndirect, Type::kVoid, static_cast<uint8_t>(hint), 0, target); }

  // Helpers take (base, a, b, c). See opcode.h for the four kinds.
  Value call(Opcode op, const void* fn, Value a = kNoValue, Value b = kNoValue, Value c = kNoValue, uint16_t page_offset = 0) {
    const Value v = emit(op, Type::kI64, 0, block_.add_helper(fn) | (uint64_t{page_offset} << 32), a, b, c);
    if (info(op).properties & kObservesState) forget_state();
    return v;
  }

  Value emit(Opcode op, Type type, uint8_t aux, uint64_t imm, Value a = kNoValue, Value b = kNoValue, Value c = kNoValue) {
    Inst inst;
    inst.op = op, inst.type = type, inst.aux = aux, inst.imm = imm;
    inst.args[0] = a, inst.args[1] = b, inst.args[2] = c;
    return block_.append(inst);
  }

 private:
  [[nodiscard]] bool is_zero(Value v) const { return is_constant(v) && constant_value(v) == 0; }

  Block& block_;
  Value regs_[32] = {};
  Value vecs_[32] = {};
};

}  // namespace adyton::ir
