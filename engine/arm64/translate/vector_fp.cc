// The floating-point members of the Advanced SIMD classes (Arm ARM C4.1.95), vector and scalar alike.
#include "engine/arm64/translate/translator.h"

namespace adyton::engine::arm64 {

using ir::FpInfo;
using ir::FpRounding;
using ir::FpShape;
using ir::Opcode;

namespace {

bool is_scalar(uint32_t insn) { return bit(insn, 28); }
bool is_q(uint32_t insn) { return bit(insn, 30); }
bool is_u(uint32_t insn) { return bit(insn, 29); }
unsigned rd(uint32_t insn) { return bits(insn, 4, 0); }
unsigned rn(uint32_t insn) { return bits(insn, 9, 5); }
unsigned rm(uint32_t insn) { return bits(insn, 20, 16); }
// sz
unsigned element_bytes(uint32_t insn) { return bit(insn, 22) ? 8 : 4; }
FpShape shape_of(uint32_t insn) { return is_scalar(insn) ? FpShape::kScalar : is_q(insn) ? FpShape::kFull : FpShape::kHalf; }
// One doubleword is not a vector.
bool is_reserved(uint32_t insn, unsigned bytes) { return !is_scalar(insn) && !is_q(insn) && bytes == 8; }

struct Operation {
  Opcode opcode;
  bool in_scalar = false;
  bool pairwise = false;
  bool absolute_operands = false;
  bool absolute_result = false;
};

// "Three same" by U:a:opcode<2:0>, but for FMLA and FMLS.
bool three_same_operation(unsigned selector, Operation& operation) {
  switch (selector) {
    case 0b00'000: operation = {Opcode::kFpMaxNumber}; return true;
    case 0b00'010: operation = {Opcode::kFpAdd}; return true;
    case 0b00'011: operation = {.opcode = Opcode::kFpMulExtended, .in_scalar = true}; return true;
    case 0b00'100: operation = {.opcode = Opcode::kFpCmpEq, .in_scalar = true}; return true;
    case 0b00'110: operation = {Opcode::kFpMax}; return true;
    case 0b00'111: operation = {.opcode = Opcode::kFpRecipStep, .in_scalar = true}; return true;
    case 0b01'000: operation = {Opcode::kFpMinNumber}; return true;
    case 0b01'010: operation = {Opcode::kFpSub}; return true;
    case 0b01'110: operation = {Opcode::kFpMin}; return true;
    case 0b01'111: operation = {.opcode = Opcode::kFpRsqrtStep, .in_scalar = true}; return true;
    case 0b10'000: operation = {.opcode = Opcode::kFpMaxNumber, .pairwise = true}; return true;
    case 0b10'010: operation = {.opcode = Opcode::kFpAdd, .pairwise = true}; return true;
    case 0b10'011: operation = {Opcode::kFpMul}; return true;
    case 0b10'100: operation = {.opcode = Opcode::kFpCmpGe, .in_scalar = true}; return true;
    case 0b10'101: operation = {.opcode = Opcode::kFpCmpGe, .in_scalar = true, .absolute_operands = true}; return true;
    case 0b10'110: operation = {.opcode = Opcode::kFpMax, .pairwise = true}; return true;
    case 0b10'111: operation = {Opcode::kFpDiv}; return true;
    case 0b11'000: operation = {.opcode = Opcode::kFpMinNumber, .pairwise = true}; return true;
    case 0b11'010: operation = {.opcode = Opcode::kFpSub, .in_scalar = true, .absolute_result = true}; return true;
    case 0b11'100: operation = {.opcode = Opcode::kFpCmpGt, .in_scalar = true}; return true;
    case 0b11'101: operation = {.opcode = Opcode::kFpCmpGt, .in_scalar = true, .absolute_operands = true}; return true;
    case 0b11'110: operation = {.opcode = Opcode::kFpMin, .pairwise = true}; return true;
    default: return false;
  }
}

}  // namespace

Translator::Value Translator::fp_element(unsigned bytes, Value v, unsigned index) {
  return b_.emit(Opcode::kVecBroadcastElement, Type::kV128, static_cast<uint8_t>(bytes), index, v);
}

Translator::Flow Translator::vector_fp_three_same(uint32_t insn) {
  const unsigned bytes = element_bytes(insn);
  if (is_reserved(insn, bytes) || !mode_.fp_default) return Flow::kInterpret;
  FpInfo info{.shape = shape_of(insn)};
  Value n = b_.get_vec(rn(insn)), m = b_.get_vec(rm(insn));
  if (bits(insn, 15, 11) == 0b11001) {  // FMLA, FMLS
    if (is_scalar(insn) || is_u(insn)) return Flow::kInterpret;
    info.negate_product = bit(insn, 23);
    b_.set_vec(rd(insn), b_.emit(Opcode::kFpFma, Type::kV128, static_cast<uint8_t>(bytes), info.pack(), b_.get_vec(rd(insn)), n, m));
    return Flow::kNext;
  }
  Operation operation{};
  const unsigned selector = (is_u(insn) ? 0b10'000 : 0) | (bit(insn, 23) ? 0b01'000 : 0) | bits(insn, 13, 11);
  if (!three_same_operation(selector, operation) || (is_scalar(insn) && !operation.in_scalar)) return Flow::kInterpret;
  const auto aux = static_cast<uint8_t>(bytes);
  if (operation.pairwise) {
    // The pairs of n, then those of m. Two registers of two elements fit one vector.
    if (info.shape == FpShape::kHalf) n = m = b_.emit(Opcode::kVecZipLow, Type::kV128, 8, 0, n, m);
    const Value even = b_.emit(Opcode::kVecUnzipEven, Type::kV128, aux, 0, n, m);
    const Value odd = b_.emit(Opcode::kVecUnzipOdd, Type::kV128, aux, 0, n, m);
    n = even, m = odd;
  }
  if (operation.absolute_operands) {
    n = fp_unary(Opcode::kFpAbs, bytes, n, info);
    m = fp_unary(Opcode::kFpAbs, bytes, m, info);
  }
  Value v = fp_binary(operation.opcode, bytes, n, m, info);
  if (operation.absolute_result) v = fp_unary(Opcode::kFpAbs, bytes, v, info);
  b_.set_vec(rd(insn), v);
  return Flow::kNext;
}

// FCMLA and FCADD: rare.
Translator::Flow Translator::vector_fp_three_same_extra(uint32_t) { return Flow::kInterpret; }

// FCVTN, FCVTL; FCVTXN, which rounds to odd, is left alone.
Translator::Flow Translator::vector_fp_convert_format(uint32_t insn) {
  if (is_scalar(insn) || is_u(insn) || bit(insn, 23) || !mode_.fp_default) return Flow::kInterpret;
  const unsigned narrow = bit(insn, 22) ? 4 : 2;
  const Value n = b_.get_vec(rn(insn));
  if (bits(insn, 16, 12) == 0b10111) {
    b_.set_vec(rd(insn), fp_unary(Opcode::kFpConvertLong, narrow, n, {.high_half = is_q(insn)}));
    return Flow::kNext;
  }
  Value v = fp_unary(Opcode::kFpConvertNarrow, narrow, n, {});
  if (is_q(insn)) v = b_.emit(Opcode::kVecInsertElement, Type::kV128, 8, 1, b_.get_vec(rd(insn)), v);
  b_.set_vec(rd(insn), v);
  return Flow::kNext;
}

Translator::Flow Translator::vector_fp_two_reg_misc(uint32_t insn) {
  const unsigned opcode = bits(insn, 16, 12), bytes = element_bytes(insn);
  if (opcode == 0b10110 || opcode == 0b10111) return vector_fp_convert_format(insn);
  if (is_reserved(insn, bytes)) return Flow::kInterpret;
  constexpr unsigned kA = 1 << 5, kU = 1 << 6;
  const unsigned selector = (is_u(insn) ? kU : 0) | (bit(insn, 23) ? kA : 0) | opcode;
  FpInfo info{.shape = shape_of(insn), .is_signed = !is_u(insn)};
  const Value n = b_.get_vec(rn(insn));
  const auto done = [&](Value v) {
    b_.set_vec(rd(insn), v);
    return Flow::kNext;
  };
  if (!is_scalar(insn)) {
    if (selector == (kA | 0b01111)) return done(fp_unary(Opcode::kFpAbs, bytes, n, info));
    if (selector == (kU | kA | 0b01111)) return done(fp_unary(Opcode::kFpNeg, bytes, n, info));
  }
  if (!mode_.fp_default) return Flow::kInterpret;
  const auto compare = [&](Opcode op, bool zero_first) {
    const Value zero = b_.emit(Opcode::kVecZero, Type::kV128, 0, 0);
    return done(zero_first ? fp_binary(op, bytes, zero, n, info) : fp_binary(op, bytes, n, zero, info));
  };
  const auto rounded = [&](Opcode op, FpRounding rounding, bool exact = false) {
    info.rounding = rounding;
    info.exact = exact;
    return done(fp_unary(op, bytes, n, info));
  };
  switch (selector) {
    case kA | 0b01100: return compare(Opcode::kFpCmpGt, false);       // FCMGT zero
    case kA | 0b01101: return compare(Opcode::kFpCmpEq, false);       // FCMEQ zero
    case kA | 0b01110: return compare(Opcode::kFpCmpGt, true);        // FCMLT zero
    case kU | kA | 0b01100: return compare(Opcode::kFpCmpGe, false);  // FCMGE zero
    case kU | kA | 0b01101: return compare(Opcode::kFpCmpGe, true);   // FCMLE zero
    case 0b11010: case kU | 0b11010: return rounded(Opcode::kFpToIntLanes, FpRounding::kNearestEven);  // FCVTN
    case 0b11011: case kU | 0b11011: return rounded(Opcode::kFpToIntLanes, FpRounding::kDown);         // FCVTM
    case 0b11100: case kU | 0b11100: return rounded(Opcode::kFpToIntLanes, FpRounding::kNearestAway);  // FCVTA
    case kA | 0b11010: case kU | kA | 0b11010: return rounded(Opcode::kFpToIntLanes, FpRounding::kUp);    // FCVTP
    case kA | 0b11011: case kU | kA | 0b11011: return rounded(Opcode::kFpToIntLanes, FpRounding::kZero);  // FCVTZ
    case 0b11101: case kU | 0b11101: return done(fp_unary(Opcode::kFpFromIntLanes, bytes, n, info));      // SCVTF, UCVTF
    case kA | 0b11101: return done(fp_unary(Opcode::kFpRecipEstimate, bytes, n, info));
    case kU | kA | 0b11101: return done(fp_unary(Opcode::kFpRsqrtEstimate, bytes, n, info));
    case kA | 0b11111:  // FRECPX
      return is_scalar(insn) ? done(fp_unary(Opcode::kFpRecipExponent, bytes, n, info)) : Flow::kInterpret;
    default: break;
  }
  if (is_scalar(insn)) return Flow::kInterpret;
  switch (selector) {
    case 0b11000: return rounded(Opcode::kFpRound, FpRounding::kNearestEven);              // FRINTN
    case 0b11001: return rounded(Opcode::kFpRound, FpRounding::kDown);                     // FRINTM
    case kA | 0b11000: return rounded(Opcode::kFpRound, FpRounding::kUp);                  // FRINTP
    case kA | 0b11001: return rounded(Opcode::kFpRound, FpRounding::kZero);                // FRINTZ
    case kU | 0b11000: return rounded(Opcode::kFpRound, FpRounding::kNearestAway);         // FRINTA
    case kU | 0b11001: return rounded(Opcode::kFpRound, FpRounding::kCurrent, true);       // FRINTX
    case kU | kA | 0b11001: return rounded(Opcode::kFpRound, FpRounding::kCurrent);        // FRINTI
    case kU | kA | 0b11111: return done(fp_unary(Opcode::kFpSqrt, bytes, n, info));        // FSQRT
    default: return Flow::kInterpret;
  }
}

Translator::Flow Translator::vector_fp_by_element(uint32_t insn) {
  const unsigned bytes = element_bytes(insn), opcode = bits(insn, 15, 12);
  const bool multiplies = opcode == 0b1001;
  if (!bit(insn, 23) || is_reserved(insn, bytes) || (bytes == 8 && bit(insn, 21)) || !mode_.fp_default) return Flow::kInterpret;
  if (!multiplies && (is_u(insn) || (opcode != 0b0001 && opcode != 0b0101))) return Flow::kInterpret;
  const unsigned h = bit(insn, 11), l = bit(insn, 21);
  const Value element = fp_element(bytes, b_.get_vec(rm(insn)), bytes == 8 ? h : (h << 1) | l);
  FpInfo info{.shape = shape_of(insn)};
  const Value n = b_.get_vec(rn(insn));
  if (multiplies) {  // FMUL, FMULX
    b_.set_vec(rd(insn), fp_binary(is_u(insn) ? Opcode::kFpMulExtended : Opcode::kFpMul, bytes, n, element, info));
  } else {  // FMLA, FMLS
    info.negate_product = opcode == 0b0101;
    b_.set_vec(rd(insn), b_.emit(Opcode::kFpFma, Type::kV128, static_cast<uint8_t>(bytes), info.pack(), b_.get_vec(rd(insn)), n, element));
  }
  return Flow::kNext;
}

// FMAXNMP, FADDP, FMAXP, FMINNMP, FMINP of the two elements of a vector.
Translator::Flow Translator::vector_fp_pairwise_scalar(uint32_t insn) {
  const unsigned bytes = element_bytes(insn);
  if (!is_u(insn) || !mode_.fp_default) return Flow::kInterpret;  // U = 0: half precision
  const bool a = bit(insn, 23);
  Opcode op;
  switch (bits(insn, 16, 12)) {
    case 0b01100: op = a ? Opcode::kFpMinNumber : Opcode::kFpMaxNumber; break;
    case 0b01101:
      if (a) return Flow::kInterpret;
      op = Opcode::kFpAdd;
      break;
    case 0b01111: op = a ? Opcode::kFpMin : Opcode::kFpMax; break;
    default: return Flow::kInterpret;
  }
  const Value n = b_.get_vec(rn(insn));
  b_.set_vec(rd(insn), fp_binary(op, bytes, n, fp_element(bytes, n, 1), {}));
  return Flow::kNext;
}

// FMAXNMV, FMAXV, FMINNMV, FMINV: of four single-precision elements, (0, 1) and (2, 3) first.
Translator::Flow Translator::vector_fp_across_lanes(uint32_t insn) {
  if (!is_u(insn) || !is_q(insn) || bit(insn, 22) || !mode_.fp_default) return Flow::kInterpret;
  const bool minimum = bit(insn, 23);
  Opcode op;
  switch (bits(insn, 16, 12)) {
    case 0b01100: op = minimum ? Opcode::kFpMinNumber : Opcode::kFpMaxNumber; break;
    case 0b01111: op = minimum ? Opcode::kFpMin : Opcode::kFpMax; break;
    default: return Flow::kInterpret;
  }
  const Value n = b_.get_vec(rn(insn));
  const Value even = b_.emit(Opcode::kVecUnzipEven, Type::kV128, 4, 0, n, n), odd = b_.emit(Opcode::kVecUnzipOdd, Type::kV128, 4, 0, n, n);
  const Value pairs = fp_binary(op, 4, even, odd, {.shape = FpShape::kHalf});
  b_.set_vec(rd(insn), fp_binary(op, 4, pairs, fp_element(4, pairs, 1), {}));
  return Flow::kNext;
}

// SCVTF, UCVTF, FCVTZS, FCVTZU with fixed-point operands.
Translator::Flow Translator::vector_fp_shift_imm(uint32_t insn) {
  const unsigned immediate = bits(insn, 22, 16), opcode = bits(insn, 15, 11);
  if (immediate < 32 || !mode_.fp_default) return Flow::kInterpret;
  const unsigned bytes = immediate >= 64 ? 8 : 4;
  if (is_reserved(insn, bytes) || (opcode != 0b11100 && opcode != 0b11111)) return Flow::kInterpret;
  const FpInfo info{.shape = shape_of(insn),
                    .rounding = FpRounding::kZero,
                    .is_signed = !is_u(insn),
                    .fraction_bits = static_cast<uint8_t>(16 * bytes - immediate)};
  b_.set_vec(rd(insn), fp_unary(opcode == 0b11100 ? Opcode::kFpFromIntLanes : Opcode::kFpToIntLanes, bytes, b_.get_vec(rn(insn)), info));
  return Flow::kNext;
}

}  // namespace adyton::engine::arm64
