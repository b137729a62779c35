// Rounding to integral values, and conversion between formats and from and to integers.
//
// Cumulative flags must come out exactly: an instruction that might raise one that the guest's would not is kept away from such operands by a
// test of their exponents.
#include "engine/x64/compile_fp.h"

namespace adyton::engine::x64 {

using ir::FpInfo;
using ir::FpRounding;
using ir::FpShape;
using ir::Opcode;

namespace {

constexpr unsigned kSingleBias = 127, kDoubleBias = 1023;

// vround's rounding bits.
unsigned host_rounding(FpRounding rounding) {
  switch (rounding) {
    case FpRounding::kNearestEven: return 0;
    case FpRounding::kDown: return 1;
    case FpRounding::kUp: return 2;
    case FpRounding::kZero: return 3;
    default: return kRoundByMxcsr;
  }
}

}  // namespace

// To `cold` when the biased exponent of element 0, with the sign above it unless `ignore_sign`, is `limit` or more. Destroys rax.
void BlockCompiler::fp_jump_if_exponent(bool is64, Xmm a, bool ignore_sign, unsigned limit, const uint8_t* cold) {
  if (is64) {
    hot_.vmovq(Gpr::rax, a);
    hot_.shr(Width::k64, Gpr::rax, 52);
    if (ignore_sign) hot_.and_(Width::k32, Gpr::rax, 0x7ff);
  } else {
    hot_.vmovd(Gpr::rax, a);
    hot_.shr(Width::k32, Gpr::rax, 23);
    if (ignore_sign) hot_.and_(Width::k32, Gpr::rax, 0xff);
  }
  hot_.cmp(Width::k32, Gpr::rax, static_cast<int32_t>(limit));
  hot_.jcc(Cond::ae, cold);
}

void BlockCompiler::fp_round(Value v, const Inst& inst) {
  const FpInfo info = FpInfo::unpack(inst.imm);
  const bool is64 = inst.aux == 8, scalar = info.shape == FpShape::kScalar;
  if (info.rounding != FpRounding::kNearestAway) {
    // NaNs: the only operand is the one propagated.
    const Xmm a = vuse(inst.args[0]);
    const Xmm d = xmms_.define(v);
    const Xmm x = fp_lanes(info.shape, Xmm::xmm0, a);
    const unsigned imm = host_rounding(info.rounding) | (info.exact ? 0 : kRoundWithoutInexact);
    if (scalar)
      is64 ? hot_.vroundsd(d, x, x, imm) : hot_.vroundss(d, x, x, imm);
    else
      is64 ? hot_.vroundpd(d, x, imm) : hot_.vroundps(d, x, imm);
    if (!scalar || !fp_rest_is_zero(inst.args[0], inst.aux)) fp_zero_rest(d, info.shape, inst.aux);
    return;
  }
  if (!scalar || info.exact) return fp_by_helper(v, inst);
  // trunc(a) + trunc(2 * (a - trunc(a))), all exact for numbers with a fraction; then a's sign, for zeros.
  clobber_flags(inst);
  const Xmm a = vuse(inst.args[0]);
  const Xmm d = xmms_.define(v), s = Xmm::xmm0;
  const uint8_t* cold = cold_.exec_cursor();
  fp_jump_if_exponent(is64, a, true, is64 ? kDoubleBias + 52 : kSingleBias + 23, cold);
  constexpr unsigned kTruncate = 3 | kRoundWithoutInexact;
  if (is64) {
    hot_.vroundsd(d, a, a, kTruncate);
    hot_.vsubsd(s, a, d);
    hot_.vaddsd(s, s, s);
    hot_.vroundsd(s, s, s, kTruncate);
    hot_.vaddsd(d, d, s);
  } else {
    hot_.vroundss(d, a, a, kTruncate);
    hot_.vsubss(s, a, d);
    hot_.vaddss(s, s, s);
    hot_.vroundss(s, s, s, kTruncate);
    hot_.vaddss(d, d, s);
  }
  hot_.vpcmpeqd(s, s, s);
  is64 ? hot_.vpsllq(s, s, 63) : hot_.vpslld(s, s, 31);
  hot_.vandnps(d, s, d);
  hot_.vandps(s, s, a);
  hot_.vorps(d, d, s);
  if (!fp_rest_is_zero(inst.args[0], inst.aux)) fp_zero_rest(d, FpShape::kScalar, inst.aux);
  fp_slow_path(inst, {.operands = 1, .operand = {a}, .result = d});
}

// One operand, so its NaN is the one propagated, with the leading bits of its payload, on either machine.
void BlockCompiler::fp_convert(Value v, const Inst& inst) {
  const unsigned from = inst.aux, to = FpInfo::unpack(inst.imm).bytes;
  if (from == 8 && to == 2) return fp_by_helper(v, inst);  // through single precision it would be rounded twice
  const Xmm a = vuse(inst.args[0]);
  const Xmm d = xmms_.define(v), s = Xmm::xmm0;
  hot_.vpxor(s, s, s);
  if (from == 4 && to == 8) {
    hot_.vcvtss2sd(d, s, a);
  } else if (from == 8) {
    hot_.vcvtsd2ss(d, s, a);
  } else if (from == 4) {
    hot_.vmovss(s, s, a);  // the other elements must not raise anything
    hot_.vcvtps2ph(d, s, kRoundByMxcsr);
  } else {
    hot_.vpblendw(s, s, a, 1);
    hot_.vcvtph2ps(d, s);
    if (to == 8) {
      hot_.vpxor(s, s, s);
      hot_.vcvtss2sd(d, s, d);
    }
  }
}

void BlockCompiler::fp_from_int(Value v, const Inst& inst) {
  const FpInfo info = FpInfo::unpack(inst.imm);
  const bool is64 = inst.aux == 8;
  const Gpr source = use(inst.args[0]);
  const Xmm d = xmms_.define(v);
  const auto convert = [&](Assembler& as, Width width, Gpr from) {
    as.vpxor(Xmm::xmm0, Xmm::xmm0, Xmm::xmm0);
    is64 ? as.vcvtsi2sd(width, d, Xmm::xmm0, from) : as.vcvtsi2ss(width, d, Xmm::xmm0, from);
  };
  if (info.is_signed) {
    convert(hot_, info.bytes == 4 ? Width::k32 : Width::k64, source);
  } else if (features_.avx512f) {
    const Width width = info.bytes == 4 ? Width::k32 : Width::k64;
    hot_.vpxor(Xmm::xmm0, Xmm::xmm0, Xmm::xmm0);
    is64 ? hot_.vcvtusi2sd_avx512(width, d, Xmm::xmm0, source) : hot_.vcvtusi2ss_avx512(width, d, Xmm::xmm0, source);
  } else if (info.bytes == 4) {
    hot_.mov(Width::k32, Gpr::rax, source);
    convert(hot_, Width::k64, Gpr::rax);
  } else {
    // With the top bit set: half of it, with what is shifted out kept as a sticky bit, rounds the same way; and doubling is exact.
    clobber_flags(inst);
    const Gpr half = gprs_.temp();
    hot_.test(Width::k64, source, source);
    hot_.jcc(Cond::s, cold_.exec_cursor());
    convert(hot_, Width::k64, source);
    cold_.mov(Width::k32, Gpr::rax, source);
    cold_.and_(Width::k32, Gpr::rax, 1);
    cold_.mov(Width::k64, half, source);
    cold_.shr(Width::k64, half, 1);
    cold_.or_(Width::k64, half, Gpr::rax);
    convert(cold_, Width::k64, half);
    is64 ? cold_.vaddsd(d, d, d) : cold_.vaddss(d, d, d);
    cold_.jmp(hot_.exec_cursor());
  }
  if (info.fraction_bits) {  // exact: far from the ends of the exponent range
    fp_constant(Xmm::xmm1, is64, kSinglePowerOfTwo(0u - info.fraction_bits), kDoublePowerOfTwo(0u - info.fraction_bits));
    is64 ? hot_.vmulsd(d, d, Xmm::xmm1) : hot_.vmulss(d, d, Xmm::xmm1);
  }
}

void BlockCompiler::fp_to_int(Value v, const Inst& inst) {
  clobber_flags(inst);
  const FpInfo info = FpInfo::unpack(inst.imm);
  const bool is64 = inst.aux == 8, to64 = info.bytes == 8;
  const Xmm a = vuse(inst.args[0]);
  const Gpr d = gprs_.define(v);
  const auto truncate = [&](Width width, Gpr to, Xmm from) {
    is64 ? hot_.vcvttsd2si(width, to, from) : hot_.vcvttss2si(width, to, from);
  };
  const FpSlow slow{.operands = 1, .operand = {a}, .integer_result = true, .integer = d};
  const uint8_t* cold = cold_.exec_cursor();
  if (info.is_signed && info.rounding == FpRounding::kZero && info.fraction_bits == 0) {
    // What does not fit gives the smallest integer and raises Invalid, as it must. Software looks at all of those.
    const Width width = to64 ? Width::k64 : Width::k32;
    truncate(width, d, a);
    hot_.cmp(width, d, 1);
    hot_.jcc(Cond::o, cold);
    return fp_slow_path(inst, slow);
  }
  if (!info.is_signed && features_.avx512f && info.rounding == FpRounding::kZero && info.fraction_bits == 0) {
    // Likewise, with the largest integer.
    const Width width = to64 ? Width::k64 : Width::k32;
    is64 ? hot_.vcvttsd2usi_avx512(width, d, a) : hot_.vcvttss2usi_avx512(width, d, a);
    hot_.cmp(width, d, -1);
    hot_.jcc(Cond::e, cold);
    return fp_slow_path(inst, slow);
  }
  // Only numbers below 2^magnitude in this way: their conversion can raise nothing but Inexact. A double that still has a fraction there
  // might be rounded up to 2^magnitude.
  unsigned magnitude = info.is_signed || to64 ? 8u * info.bytes - 1 : 32;
  if (is64 && !to64 && info.rounding != FpRounding::kZero) --magnitude;
  const int limit = static_cast<int>((is64 ? kDoubleBias : kSingleBias) + magnitude) - info.fraction_bits;
  fp_jump_if_exponent(is64, a, info.is_signed, static_cast<unsigned>(limit), cold);
  const Xmm s = Xmm::xmm0;
  Xmm x = a;
  if (info.fraction_bits) {
    fp_constant(s, is64, kSinglePowerOfTwo(info.fraction_bits), kDoublePowerOfTwo(info.fraction_bits));
    is64 ? hot_.vmulsd(s, s, a) : hot_.vmulss(s, s, a);
    x = s;
  }
  if (info.rounding == FpRounding::kNearestAway) {
    // trunc(x) + trunc(2 * (x - trunc(x))): the second raises Inexact only if the first does.
    if (is64) {
      hot_.vroundsd(Xmm::xmm1, x, x, 3 | kRoundWithoutInexact);
      hot_.vsubsd(Xmm::xmm1, x, Xmm::xmm1);
      hot_.vaddsd(Xmm::xmm1, Xmm::xmm1, Xmm::xmm1);
    } else {
      hot_.vroundss(Xmm::xmm1, x, x, 3 | kRoundWithoutInexact);
      hot_.vsubss(Xmm::xmm1, x, Xmm::xmm1);
      hot_.vaddss(Xmm::xmm1, Xmm::xmm1, Xmm::xmm1);
    }
    truncate(Width::k64, Gpr::rax, Xmm::xmm1);
    truncate(Width::k64, d, x);
    hot_.add(to64 ? Width::k64 : Width::k32, d, Gpr::rax);
    return fp_slow_path(inst, slow);
  }
  if (info.rounding != FpRounding::kZero) {
    const unsigned imm = host_rounding(info.rounding);
    is64 ? hot_.vroundsd(s, x, x, imm) : hot_.vroundss(s, x, x, imm);
    x = s;
  }
  truncate(Width::k64, d, x);
  if (!to64) hot_.mov(Width::k32, d, d);
  fp_slow_path(inst, slow);
}

void BlockCompiler::fp_from_int_lanes(Value v, const Inst& inst) {
  const FpInfo info = FpInfo::unpack(inst.imm);
  const bool is64 = inst.aux == 8;
  const bool wide = features_.avx512vl && features_.avx512dq;
  if (is64 && !info.is_signed && !wide) return fp_by_helper(v, inst);
  const Xmm a = vuse(inst.args[0]);
  const Xmm d = xmms_.define(v), s = Xmm::xmm0, t = Xmm::xmm1;
  const bool scalar = info.shape == FpShape::kScalar;
  if (!is64) {
    Xmm x = fp_lanes(info.shape, s, a);
    if (scalar) {
      hot_.vpbroadcastd(s, a);
      x = s;
    }
    if (info.is_signed) {
      hot_.vcvtdq2ps(d, x);
    } else {
      // The halves of each word are exact, so that their sum is the only rounding.
      hot_.vpsrld(t, x, 16);
      hot_.vpslld(d, x, 16);
      hot_.vpsrld(d, d, 16);
      hot_.vcvtdq2ps(t, t);
      hot_.vcvtdq2ps(d, d);
      hot_.mov_imm32(Gpr::rax, static_cast<uint32_t>(kSinglePowerOfTwo(16)));
      hot_.vmovd(s, Gpr::rax);
      hot_.vpbroadcastd(s, s);
      hot_.vmulps(t, t, s);
      hot_.vaddps(d, d, t);
    }
  } else if (wide) {
    if (scalar) hot_.vmovq(s, a);  // the other lane must not raise anything
    info.is_signed ? hot_.vcvtqq2pd_avx512(d, scalar ? s : a) : hot_.vcvtuqq2pd_avx512(d, scalar ? s : a);
  } else {
    hot_.vmovq(Gpr::rax, a);
    hot_.vpxor(s, s, s);
    hot_.vcvtsi2sd(Width::k64, d, s, Gpr::rax);
    if (!scalar) {
      hot_.vpextrq(Gpr::rax, a, 1);
      hot_.vcvtsi2sd(Width::k64, s, s, Gpr::rax);
      hot_.vunpcklpd(d, d, s);
    }
  }
  if (info.fraction_bits) {
    fp_constant(s, is64, kSinglePowerOfTwo(0u - info.fraction_bits), kDoublePowerOfTwo(0u - info.fraction_bits));
    if (is64) {
      hot_.vmovddup(s, s);
      hot_.vmulpd(d, d, s);
    } else {
      hot_.vpbroadcastd(s, s);
      hot_.vmulps(d, d, s);
    }
  }
  fp_zero_rest(d, info.shape, inst.aux);
}

void BlockCompiler::fp_to_int_lanes(Value v, const Inst& inst) {
  const FpInfo info = FpInfo::unpack(inst.imm);
  const bool is64 = inst.aux == 8, scalar = info.shape == FpShape::kScalar;
  const bool simple = info.fraction_bits == 0 && info.rounding != FpRounding::kNearestAway;
  const bool wide = features_.avx512vl && features_.avx512dq && info.rounding == FpRounding::kZero;
  if (!simple || (is64 && !info.is_signed && !wide)) return fp_by_helper(v, inst);
  clobber_flags(inst);
  const Xmm a = vuse(inst.args[0]);
  const Xmm d = xmms_.define(v), s = Xmm::xmm0, t = Xmm::xmm1;
  if (is64 && wide) {
    // What does not fit gives the smallest integer, or the largest unsigned one, and raises Invalid. No double has the latter's value.
    if (scalar) hot_.vmovq(s, a);
    info.is_signed ? hot_.vcvttpd2qq_avx512(d, scalar ? s : a) : hot_.vcvttpd2uqq_avx512(d, scalar ? s : a);
    hot_.vpcmpeqd(t, t, t);
    if (info.is_signed) hot_.vpsllq(t, t, 63);
    hot_.vpcmpeqq(t, t, d);
    hot_.vtestpd(t, t);
    const uint8_t* cold = cold_.exec_cursor();
    hot_.jcc(Cond::ne, cold);
    return fp_slow_path(inst, {.operands = 1, .operand = {a}, .result = d});
  }
  const unsigned imm = host_rounding(info.rounding);
  if (is64) {
    const Gpr second = gprs_.temp();
    Xmm x = a;
    if (info.rounding != FpRounding::kZero) {
      scalar ? hot_.vroundsd(s, a, a, imm) : hot_.vroundpd(s, a, imm);
      x = s;
    }
    hot_.vcvttsd2si(Width::k64, Gpr::rax, x);
    hot_.vmovq(d, Gpr::rax);
    const uint8_t* cold = cold_.exec_cursor();
    hot_.cmp(Width::k64, Gpr::rax, 1);
    hot_.jcc(Cond::o, cold);
    if (!scalar) {
      hot_.vunpckhpd(s, x, x);
      hot_.vcvttsd2si(Width::k64, second, s);
      hot_.vpinsrq(d, d, second, 1);
      hot_.cmp(Width::k64, second, 1);
      hot_.jcc(Cond::o, cold);
    }
    return fp_slow_path(inst, {.operands = 1, .operand = {a}, .result = d});
  }
  Xmm x = fp_lanes(info.shape, s, a);
  if (scalar) {
    hot_.vpbroadcastd(s, a);
    x = s;
  }
  const uint8_t* cold = cold_.exec_cursor();
  if (!info.is_signed) {
    // Lanes from 2^31 on, NaNs and lanes with the sign set are left to software.
    hot_.mov_imm32(Gpr::rax, static_cast<uint32_t>(kSinglePowerOfTwo(31)) - 1);
    hot_.vmovd(t, Gpr::rax);
    hot_.vpbroadcastd(t, t);
    hot_.vpcmpgtd(t, x, t);
    hot_.vpor(t, t, x);
    hot_.vtestps(t, t);
    hot_.jcc(Cond::ne, cold);
  }
  if (info.rounding != FpRounding::kZero) {
    hot_.vroundps(s, x, imm);
    x = s;
  }
  hot_.vcvttps2dq(d, x);
  if (info.is_signed) {
    hot_.vpcmpeqd(t, t, t);
    hot_.vpslld(t, t, 31);
    hot_.vpcmpeqd(t, t, d);
    hot_.vtestps(t, t);
    hot_.jcc(Cond::ne, cold);
  }
  fp_zero_rest(d, info.shape, inst.aux);
  fp_slow_path(inst, {.operands = 1, .operand = {a}, .result = d});
}

bool BlockCompiler::fp_conversion(Value v, const Inst& inst) {
  switch (inst.op) {
    case Opcode::kFpRound: fp_round(v, inst); return true;
    case Opcode::kFpConvert: fp_convert(v, inst); return true;
    case Opcode::kFpConvertLong: {
      const Xmm a = vuse(inst.args[0]);
      const Xmm d = xmms_.define(v);
      Xmm x = a;
      if (FpInfo::unpack(inst.imm).high_half) {
        hot_.vmovhlps(Xmm::xmm0, a, a);
        x = Xmm::xmm0;
      }
      inst.aux == 4 ? hot_.vcvtps2pd(d, x) : hot_.vcvtph2ps(d, x);
      return true;
    }
    case Opcode::kFpConvertNarrow: {
      const Xmm a = vuse(inst.args[0]);
      const Xmm d = xmms_.define(v);
      inst.aux == 4 ? hot_.vcvtpd2ps(d, a) : hot_.vcvtps2ph(d, a, kRoundByMxcsr);
      return true;
    }
    case Opcode::kFpFromInt: fp_from_int(v, inst); return true;
    case Opcode::kFpToInt: fp_to_int(v, inst); return true;
    case Opcode::kFpFromIntLanes: fp_from_int_lanes(v, inst); return true;
    case Opcode::kFpToIntLanes: fp_to_int_lanes(v, inst); return true;
    default: return false;
  }
}

}  // namespace adyton::engine::x64
