// Floating-point arithmetic and comparison.
//
// The host's operations give the guest's results but for NaNs: which one is propagated, and the sign of the default NaN. So each operation is
// followed by a test of its result, and exact software decides the rest out of line. The host's own flags stand: it raises Invalid in the same
// cases.
#include "engine/ir/flags_image.h"
#include "engine/x64/compile_fp.h"
#include "engine/x64/fp_thunk.h"

namespace adyton::engine::x64 {

using ir::FpInfo;
using ir::FpShape;
using ir::Opcode;

// --- helpers

void BlockCompiler::fp_slow_path(const Inst& inst, const FpSlow& slow) {
  Assembler& as = cold_;
  for (int i = 0; i < slow.operands; ++i) as.vmovdqa(state(layout_.call_vectors + 16 * (i + 1)), slow.operand[i]);
  as.mov_imm64(Gpr::rax, FpOperation{inst.op, inst.aux, FpInfo::unpack(inst.imm)}.pack());
  as.call(thunks_.fp_slow);
  if (slow.integer_result)
    as.mov(Width::k64, slow.integer, state(layout_.call_vectors));
  else
    as.vmovdqa(slow.result, state(layout_.call_vectors));
  as.jmp(hot_.exec_cursor());
}

void BlockCompiler::fp_jump_if_nan(FpShape shape, bool is64, Xmm result, const uint8_t* cold) {
  if (shape == FpShape::kScalar) {
    if (is64)
      hot_.vucomisd(result, result);
    else
      hot_.vucomiss(result, result);
    hot_.jcc(Cond::p, cold);
    return;
  }
  fp_vcmp(shape, is64, Xmm::xmm1, result, result, FpCompare::kUnordered);
  hot_.vtestps(Xmm::xmm1, Xmm::xmm1);
  hot_.jcc(Cond::ne, cold);
}

void BlockCompiler::fp_zero_rest(Xmm d, FpShape shape, unsigned bytes) {
  if (shape == FpShape::kFull) return;
  if (shape == FpShape::kHalf || bytes == 8)
    hot_.vmovq(d, d);
  else
    hot_.vinsertps(d, d, d, 0b1110);  // element 0 stays, the others become zero
}

bool BlockCompiler::fp_rest_is_zero(Value v, unsigned bytes) const {
  const Inst& inst = (*block_)[v];
  switch (inst.op) {
    case Opcode::kVecZero: return true;
    case Opcode::kZeroUpper:
    case Opcode::kVecFromInt: return inst.aux <= bytes;
    case Opcode::kLoadVector: return ir::MemoryInfo::unpack(inst.imm).size <= bytes;
    case Opcode::kFpSelect: return inst.imm <= bytes;
    case Opcode::kFpConvert: return FpInfo::unpack(inst.imm).bytes <= bytes;
    case Opcode::kFpCompareFlags:
    case Opcode::kFpCompareSignalFlags:
    case Opcode::kFpCompareIf:
    case Opcode::kFpConvertLong: return false;
    case Opcode::kFpConvertNarrow: return bytes == 8;
    default:
      if (inst.op < Opcode::kFpAdd) return false;
      switch (FpInfo::unpack(inst.imm).shape) {
        case FpShape::kScalar: return inst.aux <= bytes;
        case FpShape::kHalf: return bytes == 8;
        default: return false;
      }
  }
}

void BlockCompiler::fp_constant(Xmm d, bool is64, uint64_t single_bits, uint64_t double_bits) {
  hot_.mov_imm64(Gpr::rax, is64 ? double_bits : single_bits);
  if (is64)
    hot_.vmovq(d, Gpr::rax);
  else
    hot_.vmovd(d, Gpr::rax);
}

Xmm BlockCompiler::fp_lanes(FpShape shape, Xmm scratch, Xmm source) {
  if (shape != FpShape::kHalf) return source;
  hot_.vmovddup(scratch, source);
  return scratch;
}

void BlockCompiler::fp_vcmp(FpShape shape, bool is64, Xmm d, Xmm a, Xmm b, FpCompare predicate) {
  const auto imm = static_cast<unsigned>(predicate);
  if (shape == FpShape::kScalar)
    is64 ? hot_.vcmpsd(d, a, b, imm) : hot_.vcmpss(d, a, b, imm);
  else
    is64 ? hot_.vcmppd(d, a, b, imm) : hot_.vcmpps(d, a, b, imm);
}

void BlockCompiler::fp_op(Opcode op, FpShape shape, bool is64, Xmm d, Xmm a, Xmm b) {
  const bool scalar = shape == FpShape::kScalar;
#define ADYTON_FORMS(name)                                                 \
  if (scalar)                                                              \
    is64 ? hot_.name##sd(d, a, b) : hot_.name##ss(d, a, b);                \
  else                                                                     \
    is64 ? hot_.name##pd(d, a, b) : hot_.name##ps(d, a, b);                \
  return
  switch (op) {
    case Opcode::kFpAdd: ADYTON_FORMS(vadd);
    case Opcode::kFpSub: ADYTON_FORMS(vsub);
    case Opcode::kFpMul: ADYTON_FORMS(vmul);
    case Opcode::kFpDiv: ADYTON_FORMS(vdiv);
    case Opcode::kFpMax:
    case Opcode::kFpMaxNumber: ADYTON_FORMS(vmax);
    default: ADYTON_FORMS(vmin);
  }
#undef ADYTON_FORMS
}

// --- arithmetic

void BlockCompiler::fp_binary(Value v, const Inst& inst) {
  clobber_flags(inst);
  const FpShape shape = FpInfo::unpack(inst.imm).shape;
  const bool is64 = inst.aux == 8;
  const Xmm a = vuse(inst.args[0]), b = vuse(inst.args[1]);
  const Xmm d = xmms_.define(v);
  Xmm x = fp_lanes(shape, Xmm::xmm0, a), y = fp_lanes(shape, Xmm::xmm1, b);
  bool zero_rest = shape != FpShape::kFull;
  if (shape == FpShape::kScalar) {
    // The rest comes from the first source. For a NaN the order does not matter: software decides.
    if (fp_rest_is_zero(inst.args[0], inst.aux)) {
      zero_rest = false;
    } else if ((inst.op == Opcode::kFpAdd || inst.op == Opcode::kFpMul) && fp_rest_is_zero(inst.args[1], inst.aux)) {
      std::swap(x, y);
      zero_rest = false;
    }
  }
  fp_op(inst.op, shape, is64, d, x, y);
  const uint8_t* cold = cold_.exec_cursor();
  fp_jump_if_nan(shape, is64, d, cold);
  if (zero_rest) fp_zero_rest(d, shape, inst.aux);
  fp_slow_path(inst, {.operands = 2, .operand = {a, b}, .result = d});
}

// The host's maximum and minimum give the second operand for NaNs and for two zeros. NaNs are sorted out first; zeros come right by taking both
// orders, which differ only there: a maximum is the one with the sign clear if there is one.
void BlockCompiler::fp_extremum(Value v, const Inst& inst) {
  clobber_flags(inst);
  const FpShape shape = FpInfo::unpack(inst.imm).shape;
  const bool is64 = inst.aux == 8;
  const Xmm a = vuse(inst.args[0]), b = vuse(inst.args[1]);
  const Xmm d = xmms_.define(v);
  const uint8_t* cold = nullptr;
  const Xmm x = fp_lanes(shape, Xmm::xmm0, a), y = fp_lanes(shape, Xmm::xmm1, b);
  if (shape == FpShape::kScalar) {
    is64 ? hot_.vucomisd(x, y) : hot_.vucomiss(x, y);
    cold = cold_.exec_cursor();
    hot_.jcc(Cond::p, cold);
  } else {
    fp_vcmp(shape, is64, d, x, y, FpCompare::kUnordered);
    hot_.vtestps(d, d);
    cold = cold_.exec_cursor();
    hot_.jcc(Cond::ne, cold);
  }
  fp_op(inst.op, shape, is64, d, x, y);
  fp_op(inst.op, shape, is64, Xmm::xmm0, y, x);
  if (inst.op == Opcode::kFpMax || inst.op == Opcode::kFpMaxNumber)
    hot_.vandps(d, d, Xmm::xmm0);
  else
    hot_.vorps(d, d, Xmm::xmm0);
  fp_zero_rest(d, shape, inst.aux);
  fp_slow_path(inst, {.operands = 2, .operand = {a, b}, .result = d});
}

void BlockCompiler::fp_sqrt(Value v, const Inst& inst) {
  clobber_flags(inst);
  const FpShape shape = FpInfo::unpack(inst.imm).shape;
  const bool is64 = inst.aux == 8;
  const Xmm a = vuse(inst.args[0]);
  const Xmm d = xmms_.define(v);
  const Xmm x = fp_lanes(shape, Xmm::xmm0, a);
  if (shape == FpShape::kScalar)
    is64 ? hot_.vsqrtsd(d, x, x) : hot_.vsqrtss(d, x, x);
  else
    is64 ? hot_.vsqrtpd(d, x) : hot_.vsqrtps(d, x);
  const uint8_t* cold = cold_.exec_cursor();
  fp_jump_if_nan(shape, is64, d, cold);
  if (shape != FpShape::kScalar || !fp_rest_is_zero(inst.args[0], inst.aux)) fp_zero_rest(d, shape, inst.aux);
  fp_slow_path(inst, {.operands = 1, .operand = {a}, .result = d});
}

void BlockCompiler::fp_fma(Value v, const Inst& inst) {
  clobber_flags(inst);
  const FpInfo info = FpInfo::unpack(inst.imm);
  const FpShape shape = info.shape;
  const bool is64 = inst.aux == 8;
  const Xmm addend = vuse(inst.args[0]), a = vuse(inst.args[1]), b = vuse(inst.args[2]);
  const Xmm d = xmms_.define(v);
  if (shape == FpShape::kHalf)
    hot_.vmovddup(d, addend);
  else
    hot_.vmovdqa(d, addend);
  const Xmm x = fp_lanes(shape, Xmm::xmm0, a), y = fp_lanes(shape, Xmm::xmm1, b);
#define ADYTON_FORMS(name)                                                 \
  if (shape == FpShape::kScalar)                                           \
    is64 ? hot_.name##sd(d, x, y) : hot_.name##ss(d, x, y);                \
  else                                                                     \
    is64 ? hot_.name##pd(d, x, y) : hot_.name##ps(d, x, y);                \
  break
  switch ((info.negate_product ? 2 : 0) | (info.negate_addend ? 1 : 0)) {
    case 0: ADYTON_FORMS(vfmadd231);
    case 1: ADYTON_FORMS(vfmsub231);
    case 2: ADYTON_FORMS(vfnmadd231);
    default: ADYTON_FORMS(vfnmsub231);
  }
#undef ADYTON_FORMS
  const uint8_t* cold = cold_.exec_cursor();
  fp_jump_if_nan(shape, is64, d, cold);
  if (shape != FpShape::kScalar || !fp_rest_is_zero(inst.args[0], inst.aux)) fp_zero_rest(d, shape, inst.aux);
  fp_slow_path(inst, {.operands = 3, .operand = {addend, a, b}, .result = d});
}

void BlockCompiler::fp_sign(Value v, const Inst& inst) {
  const FpShape shape = FpInfo::unpack(inst.imm).shape;
  const bool is64 = inst.aux == 8;
  const Xmm a = vuse(inst.args[0]);
  const Xmm d = xmms_.define(v);
  const Xmm mask = Xmm::xmm0;
  hot_.vpcmpeqd(mask, mask, mask);
  bool rest_is_zero = shape == FpShape::kScalar && fp_rest_is_zero(inst.args[0], inst.aux);
  if (inst.op == Opcode::kFpAbs) {
    is64 ? hot_.vpsrlq(mask, mask, 1) : hot_.vpsrld(mask, mask, 1);
    hot_.vpand(d, a, mask);
  } else {
    is64 ? hot_.vpsllq(mask, mask, 63) : hot_.vpslld(mask, mask, 31);
    hot_.vpxor(d, a, mask);
    rest_is_zero = false;
  }
  if (!rest_is_zero) fp_zero_rest(d, shape, inst.aux);
}

// Whatever has no fast path.
void BlockCompiler::fp_by_helper(Value v, const Inst& inst) {
  clobber_flags(inst);
  FpSlow slow;
  for (Value arg : inst.args) {
    if (arg) slow.operand[slow.operands++] = vuse(arg);
  }
  if (inst.type == ir::Type::kV128) {
    slow.result = xmms_.define(v);
  } else {
    slow.integer_result = true;
    slow.integer = gprs_.define(v);
  }
  hot_.jmp(cold_.exec_cursor());
  fp_slow_path(inst, slow);
}

// --- comparison

void BlockCompiler::fp_compare_lanes(Value v, const Inst& inst) {
  const FpShape shape = FpInfo::unpack(inst.imm).shape;
  const Xmm a = vuse(inst.args[0]), b = vuse(inst.args[1]);
  const Xmm d = xmms_.define(v);
  const Xmm x = fp_lanes(shape, Xmm::xmm0, a), y = fp_lanes(shape, Xmm::xmm1, b);
  fp_vcmp(shape, inst.aux == 8, d, x, y,
          inst.op == Opcode::kFpCmpEq   ? FpCompare::kEqual
          : inst.op == Opcode::kFpCmpGe ? FpCompare::kGreaterEqual
                                        : FpCompare::kGreater);
  if (shape != FpShape::kScalar || !fp_rest_is_zero(inst.args[0], inst.aux)) fp_zero_rest(d, shape, inst.aux);
}

void BlockCompiler::fp_compare_flags(const Inst& inst) {
  const Xmm a = vuse(inst.args[0]), b = vuse(inst.args[1]);
  if (inst.op == Opcode::kFpCompareFlags)
    inst.aux == 8 ? hot_.vucomisd(a, b) : hot_.vucomiss(a, b);
  else
    inst.aux == 8 ? hot_.vcomisd(a, b) : hot_.vcomiss(a, b);
  flags_in_ = FlagsIn::kEflagsCompare;
  flags_saved_ = false;
}

void BlockCompiler::fp_compare_if(const Inst& inst) {
  const auto nzcv = static_cast<uint32_t>(inst.imm & 15);
  const bool signalling = (inst.imm >> 8) & 1;
  const Xmm a = vuse(inst.args[0]), b = vuse(inst.args[1]);
  const HostCondition hc = condition(static_cast<ir::Condition>((inst.imm >> 4) & 15));
  Label otherwise, compare, end;
  if (hc.has_second && !hc.both) {
    hot_.jcc(hc.first, compare);
    hot_.jcc(invert(hc.second), otherwise);
  } else {
    hot_.jcc(invert(hc.first), otherwise);
    if (hc.has_second) hot_.jcc(invert(hc.second), otherwise);
  }
  hot_.bind(compare);
  if (signalling)
    inst.aux == 8 ? hot_.vcomisd(a, b) : hot_.vcomiss(a, b);
  else
    inst.aux == 8 ? hot_.vucomisd(a, b) : hot_.vucomiss(a, b);
  flags_in_ = FlagsIn::kEflagsCompare;
  flags_saved_ = false;
  // The flags of ucomis that stand for the alternative, in lahf's layout; most alternatives are not a possible outcome of a comparison.
  constexpr uint32_t kLess = 0b1000, kEqual = 0b0110, kGreater = 0b0010, kUnordered = 0b0011;
  const int image = nzcv == kLess ? 0x0100 : nzcv == kEqual ? 0x4000 : nzcv == kGreater ? 0 : nzcv == kUnordered ? 0x4500 : -1;
  if (image >= 0) {
    hot_.jmp(end);
    hot_.bind(otherwise);
    hot_.mov_imm32(Gpr::rax, static_cast<uint32_t>(image));
    hot_.sahf();
    hot_.bind(end);
    return;
  }
  emit_save_flags(hot_);
  hot_.jmp(end);
  hot_.bind(otherwise);
  hot_.mov_imm(Width::k16, state(layout_.flags), ir::flags_image(nzcv));
  hot_.bind(end);
  flags_in_ = FlagsIn::kMemory;
  flags_saved_ = true;
}

void BlockCompiler::fp_select(Value v, const Inst& inst) {
  const Xmm if_true = vuse(inst.args[0]), if_false = vuse(inst.args[1]);
  const Xmm d = xmms_.define(v);
  const Gpr chosen = gprs_.temp(), other = gprs_.temp();
  const HostCondition hc = condition(static_cast<ir::Condition>(inst.aux));
  const bool both = hc.has_second && hc.both;
  const auto take = [&](Gpr to, Xmm from) { inst.imm == 8 ? hot_.vmovq(to, from) : hot_.vmovd(to, from); };
  take(chosen, both ? if_true : if_false);
  take(other, both ? if_false : if_true);
  hot_.cmov(Width::k64, both ? invert(hc.first) : hc.first, chosen, other);
  if (hc.has_second) hot_.cmov(Width::k64, both ? invert(hc.second) : hc.second, chosen, other);
  inst.imm == 8 ? hot_.vmovq(d, chosen) : hot_.vmovd(d, chosen);
}

bool BlockCompiler::floating_point(Value v, const Inst& inst) {
  switch (inst.op) {
    case Opcode::kFpAdd:
    case Opcode::kFpSub:
    case Opcode::kFpMul:
    case Opcode::kFpDiv: fp_binary(v, inst); return true;
    case Opcode::kFpMax:
    case Opcode::kFpMin:
    case Opcode::kFpMaxNumber:
    case Opcode::kFpMinNumber: fp_extremum(v, inst); return true;
    case Opcode::kFpSqrt: fp_sqrt(v, inst); return true;
    case Opcode::kFpFma: fp_fma(v, inst); return true;
    case Opcode::kFpAbs:
    case Opcode::kFpNeg: fp_sign(v, inst); return true;
    case Opcode::kFpCmpEq:
    case Opcode::kFpCmpGe:
    case Opcode::kFpCmpGt: fp_compare_lanes(v, inst); return true;
    case Opcode::kFpMulExtended:
    case Opcode::kFpRecipStep:
    case Opcode::kFpRsqrtStep:
    case Opcode::kFpRecipEstimate:
    case Opcode::kFpRsqrtEstimate:
    case Opcode::kFpRecipExponent: fp_by_helper(v, inst); return true;
    case Opcode::kFpSelect: fp_select(v, inst); return true;
    case Opcode::kFpCompareFlags:
    case Opcode::kFpCompareSignalFlags: fp_compare_flags(inst); return true;
    case Opcode::kFpCompareIf: fp_compare_if(inst); return true;
    default: return fp_conversion(v, inst);
  }
}

}  // namespace adyton::engine::x64
