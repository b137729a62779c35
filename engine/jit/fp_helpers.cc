#include "engine/jit/fp_helpers.h"

#include <type_traits>

#include "engine/fp/soft_float.h"
#include "engine/x64/fp_thunk.h"

namespace adyton::engine::jit {

namespace {

using arm64::Vector;
using fp::FpContext;
using fp::Rounding;
using ir::FpInfo;
using ir::FpShape;
using ir::Opcode;

template <class T> T lane(const Vector& v, unsigned index) {
  if constexpr (sizeof(T) == 8) return v.d[index];
  return static_cast<T>(v.d[index * sizeof(T) / 8] >> (index * sizeof(T) * 8 % 64));
}
template <class T> void set_lane(Vector& v, unsigned index, T value) {
  uint64_t& word = v.d[index * sizeof(T) / 8];
  if constexpr (sizeof(T) == 8) {
    word = value;
  } else {
    const unsigned shift = index * sizeof(T) * 8 % 64;
    word = (word & ~(uint64_t{static_cast<T>(~T{0})} << shift)) | (uint64_t{value} << shift);
  }
}

Rounding rounding_of(const FpContext& context, ir::FpRounding rounding) {
  switch (rounding) {
    case ir::FpRounding::kNearestEven: return Rounding::kTieEven;
    case ir::FpRounding::kUp: return Rounding::kPlusInfinity;
    case ir::FpRounding::kDown: return Rounding::kMinusInfinity;
    case ir::FpRounding::kZero: return Rounding::kZero;
    case ir::FpRounding::kNearestAway: return Rounding::kTieAway;
    case ir::FpRounding::kCurrent: break;
  }
  return context.rounding();
}

// One lane of the operations whose result has the operands' format.
template <class T> T lane_result(FpContext& context, Opcode op, const FpInfo& info, T a, T b, T c) {
  const auto mask = [](bool holds) { return holds ? static_cast<T>(~T{0}) : T{0}; };
  constexpr unsigned kBits = sizeof(T) * 8;
  switch (op) {
    case Opcode::kFpAdd: return fp::add(context, a, b);
    case Opcode::kFpSub: return fp::subtract(context, a, b);
    case Opcode::kFpMul: return fp::multiply(context, a, b);
    case Opcode::kFpDiv: return fp::divide(context, a, b);
    case Opcode::kFpMax: return fp::maximum(context, a, b);
    case Opcode::kFpMin: return fp::minimum(context, a, b);
    case Opcode::kFpMaxNumber: return fp::maximum_number(context, a, b);
    case Opcode::kFpMinNumber: return fp::minimum_number(context, a, b);
    case Opcode::kFpSqrt: return fp::square_root(context, a);
    case Opcode::kFpFma:
      return fp::multiply_add(context, info.negate_addend ? fp::negate(a) : a, info.negate_product ? fp::negate(b) : b, c);
    case Opcode::kFpCmpEq: return mask(fp::compare_equal(context, a, b));
    case Opcode::kFpCmpGe: return mask(fp::compare_greater_equal(context, a, b));
    case Opcode::kFpCmpGt: return mask(fp::compare_greater(context, a, b));
    case Opcode::kFpMulExtended: return fp::multiply_extended(context, a, b);
    case Opcode::kFpRecipStep: return fp::reciprocal_step(context, a, b);
    case Opcode::kFpRsqrtStep: return fp::reciprocal_sqrt_step(context, a, b);
    case Opcode::kFpRecipEstimate: return fp::reciprocal_estimate(context, a);
    case Opcode::kFpRsqrtEstimate: return fp::reciprocal_sqrt_estimate(context, a);
    case Opcode::kFpRecipExponent: return fp::reciprocal_exponent(context, a);
    case Opcode::kFpRound: return fp::round_to_integral(context, a, rounding_of(context, info.rounding), info.exact);
    case Opcode::kFpFromIntLanes:
      if (!info.is_signed) return fp::from_unsigned<T>(context, a, info.fraction_bits);
      return fp::from_signed<T>(context, static_cast<std::make_signed_t<T>>(a), info.fraction_bits);
    case Opcode::kFpToIntLanes:
      return static_cast<T>(
          fp::to_fixed(context, a, info.fraction_bits, !info.is_signed, kBits, rounding_of(context, info.rounding)));
    default: return a;
  }
}

template <class T> Vector lanes_result(FpContext& context, Opcode op, const FpInfo& info, const Vector* operands) {
  const unsigned count = static_cast<unsigned>((info.shape == FpShape::kScalar ? sizeof(T) : info.shape == FpShape::kHalf ? 8 : 16) / sizeof(T));
  Vector result{};
  for (unsigned i = 0; i < count; ++i) {
    set_lane(result, i, lane_result(context, op, info, lane<T>(operands[0], i), lane<T>(operands[1], i), lane<T>(operands[2], i)));
  }
  return result;
}

}  // namespace

void fp_operation(ExecState* state, uint64_t packed) {
  const x64::FpOperation operation = x64::FpOperation::unpack(packed);
  const FpInfo& info = operation.info;
  const bool is64 = operation.aux == 8;
  const Vector* operands = state->call_vectors + 1;
  FpContext context{state->cpu.fpcr, 0};
  Vector result{};
  switch (operation.op) {
    case Opcode::kFpToInt: {
      const Rounding rounding = rounding_of(context, info.rounding);
      const uint64_t a = operands[0].d[0];
      result.d[0] = is64 ? fp::to_fixed(context, a, info.fraction_bits, !info.is_signed, 8u * info.bytes, rounding)
                         : fp::to_fixed(context, static_cast<uint32_t>(a), info.fraction_bits, !info.is_signed, 8u * info.bytes, rounding);
      break;
    }
    case Opcode::kFpConvert:  // the other combinations need no software
      result.d[0] = fp::convert<uint16_t>(context, operands[0].d[0]);
      break;
    default:
      result = is64 ? lanes_result<uint64_t>(context, operation.op, info, operands)
                    : lanes_result<uint32_t>(context, operation.op, info, operands);
  }
  state->call_vectors[0] = result;
  state->cpu.fpsr |= context.fpsr;
}

}  // namespace adyton::engine::jit
