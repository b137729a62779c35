// Integer elements: addition, comparison, shifts.
#include "engine/x64/compile_vector.h"
#include "engine/x64/vector_tables.h"

namespace adyton::engine::x64 {

using ir::Opcode;
namespace t = vector_tables;

namespace {
constexpr Xmm x0 = Xmm::xmm0, x1 = Xmm::xmm1;
}

void BlockCompiler::shift_left(Xmm d, Xmm a, unsigned log2, unsigned amount) {
  switch (log2) {
    case 0:
      if (amount == 1) {
        hot_.vpaddb(d, a, a);
      } else if (features_.gfni) {
        hot_.vgf2p8affineqb(d, a, table(&t::kShlMatrix[amount]), 0);
      } else {
        hot_.vpsllw(d, a, amount);
        hot_.vpand(d, d, table(&t::kShlMask[amount]));
      }
      break;
    case 1: hot_.vpsllw(d, a, amount); break;
    case 2: hot_.vpslld(d, a, amount); break;
    default: hot_.vpsllq(d, a, amount); break;
  }
}

void BlockCompiler::shift_right(Xmm d, Xmm a, unsigned log2, unsigned amount) {
  if (amount == 8u << log2) {
    hot_.vpxor(d, d, d);
    return;
  }
  switch (log2) {
    case 0:
      if (features_.gfni) {
        hot_.vgf2p8affineqb(d, a, table(&t::kShrMatrix[amount]), 0);
      } else {
        hot_.vpsrlw(d, a, amount);
        hot_.vpand(d, d, table(&t::kShrMask[amount]));
      }
      break;
    case 1: hot_.vpsrlw(d, a, amount); break;
    case 2: hot_.vpsrld(d, a, amount); break;
    default: hot_.vpsrlq(d, a, amount); break;
  }
}

void BlockCompiler::shift_right_arithmetic(Xmm d, Xmm a, unsigned log2, unsigned amount) {
  const unsigned bits = 8u << log2;
  if (amount >= bits) amount = bits - 1;
  switch (log2) {
    case 0:
      if (amount == 7) {
        hot_.vpxor(x1, x1, x1);
        hot_.vpcmpgtb(d, x1, a);
      } else if (features_.gfni) {
        hot_.vgf2p8affineqb(d, a, table(&t::kSarMatrix[amount]), 0);
      } else {
        hot_.vpsrlw(d, a, amount);
        hot_.vpand(d, d, table(&t::kShrMask[amount]));
        hot_.vmovdqa(x1, table(&t::kSignAfterShr[amount]));
        hot_.vpxor(d, d, x1);
        hot_.vpsubb(d, d, x1);
      }
      break;
    case 1: hot_.vpsraw(d, a, amount); break;
    case 2: hot_.vpsrad(d, a, amount); break;
    default:
      if (features_.avx512vl) {
        hot_.vpsraq_avx512(d, a, amount);
      } else {
        hot_.vpxor(x1, x1, x1);
        hot_.vpcmpgtq(x1, x1, a);
        hot_.vpxor(d, a, x1);
        hot_.vpsrlq(d, d, amount);
        hot_.vpxor(d, d, x1);
      }
  }
}

// The shifts of the host take any amount, and give zero (or sign bits) when it is too large: a negative amount is, as an unsigned
// number. So both directions are computed, and one of them is nothing.
void BlockCompiler::vector_shift_variable(Value v, const Inst& inst, bool is_signed) {
  const Xmm a = vuse(inst.args[0]), b = vuse(inst.args[1]), d = xmms_.define(v);
  const Xmm amount = xmms_.temp(), opposite = xmms_.temp();
  // d := a shifted, 32-bit elements; `amount` is sign-extended. Destroys x1 and `opposite`.
  auto shift32 = [&](Xmm to, Xmm from) {
    hot_.vpxor(opposite, opposite, opposite);
    hot_.vpsubd(opposite, opposite, amount);
    if (is_signed) {
      hot_.vpsravd(x1, from, opposite);
      hot_.vpsllvd(to, from, amount);
      hot_.vblendvps(to, to, x1, amount);
    } else {
      hot_.vpsrlvd(x1, from, opposite);
      hot_.vpsllvd(to, from, amount);
      hot_.vpor(to, to, x1);
    }
  };
  switch (log2_of(inst)) {
    case 1:
      if (features_.avx512bw) {
        hot_.vpsllw(amount, b, 8);
        hot_.vpsraw(amount, amount, 8);
        hot_.vpxor(opposite, opposite, opposite);
        hot_.vpsubw(opposite, opposite, amount);
        if (is_signed) {
          hot_.vpsravw_avx512(x1, a, opposite);
          hot_.vpsllvw_avx512(d, a, amount);
          hot_.vpsraw(amount, amount, 15);
          hot_.vpblendvb(d, d, x1, amount);
        } else {
          hot_.vpsrlvw_avx512(x1, a, opposite);
          hot_.vpsllvw_avx512(d, a, amount);
          hot_.vpor(d, d, x1);
        }
        return;
      }
      for (int half = 0; half < 2; ++half) {
        const Xmm to = half ? d : x0;
        hot_.vpsllw(amount, b, 8);
        hot_.vpsraw(amount, amount, 8);
        if (half) {
          hot_.vpshufd(amount, amount, 0xee);
          hot_.vpshufd(to, a, 0xee);
        }
        hot_.vpmovsxwd(amount, amount);
        if (is_signed)
          hot_.vpmovsxwd(to, half ? to : a);
        else
          hot_.vpmovzxwd(to, half ? to : a);
        shift32(to, to);
        hot_.vpslld(to, to, 16);
        hot_.vpsrad(to, to, 16);
      }
      hot_.vpackssdw(d, x0, d);
      return;
    case 2:
      hot_.vpslld(amount, b, 24);
      hot_.vpsrad(amount, amount, 24);
      shift32(d, a);
      return;
    default:
      hot_.vpslld(amount, b, 24);
      hot_.vpsrad(amount, amount, 24);
      hot_.vpshufd(amount, amount, 0x08);
      hot_.vpmovsxdq(amount, amount);
      hot_.vpxor(opposite, opposite, opposite);
      hot_.vpsubq(opposite, opposite, amount);
      if (!is_signed) {
        hot_.vpsrlvq(x1, a, opposite);
        hot_.vpsllvq(d, a, amount);
        hot_.vpor(d, d, x1);
        return;
      }
      if (features_.avx512vl) {
        hot_.vpsravq_avx512(x1, a, opposite);
      } else {
        hot_.vpxor(x0, x0, x0);
        hot_.vpcmpgtq(x0, x0, a);
        hot_.vpxor(x1, a, x0);
        hot_.vpsrlvq(x1, x1, opposite);
        hot_.vpxor(x1, x1, x0);
      }
      hot_.vpsllvq(d, a, amount);
      hot_.vblendvpd(d, d, x1, amount);
  }
}

bool BlockCompiler::vector_lanes(Value v, const Inst& inst) {
  constexpr VectorOpOrMem kAdd[] = {ADYTON_X64_VECTOR_OP(vpaddb), ADYTON_X64_VECTOR_OP(vpaddw), ADYTON_X64_VECTOR_OP(vpaddd),
                                    ADYTON_X64_VECTOR_OP(vpaddq)};
  constexpr VectorOpOrMem kSub[] = {ADYTON_X64_VECTOR_OP(vpsubb), ADYTON_X64_VECTOR_OP(vpsubw), ADYTON_X64_VECTOR_OP(vpsubd),
                                    ADYTON_X64_VECTOR_OP(vpsubq)};
  constexpr VectorOpOrMem kEq[] = {ADYTON_X64_VECTOR_OP(vpcmpeqb), ADYTON_X64_VECTOR_OP(vpcmpeqw), ADYTON_X64_VECTOR_OP(vpcmpeqd),
                                   ADYTON_X64_VECTOR_OP(vpcmpeqq)};
  constexpr VectorOpOrMem kGt[] = {ADYTON_X64_VECTOR_OP(vpcmpgtb), ADYTON_X64_VECTOR_OP(vpcmpgtw), ADYTON_X64_VECTOR_OP(vpcmpgtd),
                                   ADYTON_X64_VECTOR_OP(vpcmpgtq)};
  constexpr VectorOpOrMem kMinS[] = {ADYTON_X64_VECTOR_OP(vpminsb), ADYTON_X64_VECTOR_OP(vpminsw), ADYTON_X64_VECTOR_OP(vpminsd)};
  constexpr VectorOpOrMem kMinU[] = {ADYTON_X64_VECTOR_OP(vpminub), ADYTON_X64_VECTOR_OP(vpminuw), ADYTON_X64_VECTOR_OP(vpminud)};
  constexpr VectorOpOrMem kMaxS[] = {ADYTON_X64_VECTOR_OP(vpmaxsb), ADYTON_X64_VECTOR_OP(vpmaxsw), ADYTON_X64_VECTOR_OP(vpmaxsd)};
  constexpr VectorOpOrMem kMaxU[] = {ADYTON_X64_VECTOR_OP(vpmaxub), ADYTON_X64_VECTOR_OP(vpmaxuw), ADYTON_X64_VECTOR_OP(vpmaxud)};

  const unsigned log2 = log2_of(inst), amount = static_cast<unsigned>(inst.imm);
  auto ones = [&](Xmm d) { hot_.vpcmpeqd(d, d, d); };
  auto zero = [&](Xmm d) { hot_.vpxor(d, d, d); };
  // d := x > y of 64-bit unsigned elements. Destroys x0 and x1, which may be y.
  auto greater64 = [&](Xmm d, Xmm x, Xmm y) {
    ones(x0);
    hot_.vpsllq(x0, x0, 63);
    hot_.vpxor(x1, y, x0);
    hot_.vpxor(x0, x, x0);
    hot_.vpcmpgtq(d, x0, x1);
  };
  switch (inst.op) {
    case Opcode::kVecAdd: emit2(v, inst, kAdd[log2]); return true;
    case Opcode::kVecSub: emit2(v, inst, kSub[log2]); return true;
    case Opcode::kVecMinS: emit2(v, inst, kMinS[log2]); return true;
    case Opcode::kVecMinU: emit2(v, inst, kMinU[log2]); return true;
    case Opcode::kVecMaxS: emit2(v, inst, kMaxS[log2]); return true;
    case Opcode::kVecMaxU: emit2(v, inst, kMaxU[log2]); return true;
    case Opcode::kVecAverageU: emit2(v, inst, log2 ? ADYTON_X64_VECTOR_OP(vpavgw) : ADYTON_X64_VECTOR_OP(vpavgb)); return true;
    case Opcode::kVecNeg: {
      const Xmm a = vuse(inst.args[0]), d = xmms_.define(v);
      zero(x0);
      (hot_.*kSub[log2].with_register)(d, x0, a);
      return true;
    }
    case Opcode::kVecAbs: {
      const Xmm a = vuse(inst.args[0]), d = xmms_.define(v);
      if (log2 < 3) {
        constexpr VectorOp1 kAbs[] = {&Assembler::vpabsb<Xmm>, &Assembler::vpabsw<Xmm>, &Assembler::vpabsd<Xmm>};
        (hot_.*kAbs[log2])(d, a);
      } else if (features_.avx512vl) {
        hot_.vpabsq_avx512(d, a);
      } else {
        zero(x0);
        hot_.vpcmpgtq(x0, x0, a);
        hot_.vpxor(d, a, x0);
        hot_.vpsubq(d, d, x0);
      }
      return true;
    }
    case Opcode::kVecAddSatS:
    case Opcode::kVecSubSatS: {
      const bool subtract = inst.op == Opcode::kVecSubSatS;
      if (log2 < 2) {
        if (subtract)
          emit2(v, inst, log2 ? ADYTON_X64_VECTOR_OP(vpsubsw) : ADYTON_X64_VECTOR_OP(vpsubsb));
        else
          emit2(v, inst, log2 ? ADYTON_X64_VECTOR_OP(vpaddsw) : ADYTON_X64_VECTOR_OP(vpaddsb));
        return true;
      }
      // Overflow when the result's sign is not the first operand's, and that is not the second's (or is, in a subtraction). The
      // limit then has the sign that the result lost.
      const Xmm a = vuse(inst.args[0]), b = vuse(inst.args[1]), d = xmms_.define(v), limit = xmms_.temp();
      (hot_.*(subtract ? kSub : kAdd)[log2].with_register)(d, a, b);
      hot_.vpxor(x0, a, d);
      hot_.vpxor(x1, b, subtract ? a : d);
      hot_.vpand(x0, x0, x1);
      shift_right_arithmetic(limit, d, log2, 63);
      ones(x1);
      shift_left(x1, x1, log2, log2 == 2 ? 31 : 63);
      hot_.vpxor(limit, limit, x1);
      if (log2 == 2)
        hot_.vblendvps(d, d, limit, x0);
      else
        hot_.vblendvpd(d, d, limit, x0);
      return true;
    }
    case Opcode::kVecAddSatU: {
      if (log2 < 2) {
        emit2(v, inst, log2 ? ADYTON_X64_VECTOR_OP(vpaddusw) : ADYTON_X64_VECTOR_OP(vpaddusb));
        return true;
      }
      const Xmm a = vuse(inst.args[0]), b = vuse(inst.args[1]), d = xmms_.define(v);
      if (log2 == 2) {  // ~a is the most that can be added
        ones(x0);
        hot_.vpxor(x0, x0, a);
        hot_.vpminud(x0, x0, b);
        hot_.vpaddd(d, x0, a);
      } else {
        hot_.vpaddq(d, a, b);
        greater64(x0, a, d);
        hot_.vpor(d, d, x0);
      }
      return true;
    }
    case Opcode::kVecSubSatU: {
      if (log2 < 2) {
        emit2(v, inst, log2 ? ADYTON_X64_VECTOR_OP(vpsubusw) : ADYTON_X64_VECTOR_OP(vpsubusb));
        return true;
      }
      const Xmm a = vuse(inst.args[0]), b = vuse(inst.args[1]), d = xmms_.define(v);
      if (log2 == 2) {
        hot_.vpmaxud(x0, a, b);
        hot_.vpsubd(d, x0, b);
      } else {
        greater64(x0, a, b);
        hot_.vpsubq(d, a, b);
        hot_.vpand(d, d, x0);
      }
      return true;
    }
    case Opcode::kVecCmpEq: emit2(v, inst, kEq[log2]); return true;
    case Opcode::kVecCmpGtS: emit2(v, inst, kGt[log2]); return true;
    case Opcode::kVecCmpGtU: {
      const Xmm a = vuse(inst.args[0]), b = vuse(inst.args[1]), d = xmms_.define(v);
      if (log2 == 3) {
        greater64(d, a, b);
      } else {
        (hot_.*kMinU[log2].with_register)(x0, a, b);
        (hot_.*kEq[log2].with_register)(x0, x0, a);
        vector_not(d, x0);
      }
      return true;
    }
    case Opcode::kVecCmpGeS: {
      const Xmm a = vuse(inst.args[0]), b = vuse(inst.args[1]), d = xmms_.define(v);
      if (log2 == 3) {
        hot_.vpcmpgtq(x0, b, a);
        vector_not(d, x0);
      } else {
        (hot_.*kMaxS[log2].with_register)(x0, a, b);
        (hot_.*kEq[log2].with_register)(d, x0, a);
      }
      return true;
    }
    case Opcode::kVecCmpGeU: {
      const Xmm a = vuse(inst.args[0]), b = vuse(inst.args[1]), d = xmms_.define(v);
      if (log2 == 3) {
        greater64(x0, b, a);
        vector_not(d, x0);
      } else {
        (hot_.*kMaxU[log2].with_register)(x0, a, b);
        (hot_.*kEq[log2].with_register)(d, x0, a);
      }
      return true;
    }
    case Opcode::kVecTest: {
      const Xmm a = vuse(inst.args[0]), b = vuse(inst.args[1]), d = xmms_.define(v);
      zero(x1);
      hot_.vpand(x0, a, b);
      (hot_.*kEq[log2].with_register)(x0, x0, x1);
      vector_not(d, x0);
      return true;
    }
    case Opcode::kVecShlImm: {
      const Xmm a = vuse(inst.args[0]);
      shift_left(xmms_.define(v), a, log2, amount);
      return true;
    }
    case Opcode::kVecShrImm: {
      const Xmm a = vuse(inst.args[0]);
      shift_right(xmms_.define(v), a, log2, amount);
      return true;
    }
    case Opcode::kVecSarImm: {
      const Xmm a = vuse(inst.args[0]);
      shift_right_arithmetic(xmms_.define(v), a, log2, amount);
      return true;
    }
    case Opcode::kVecShiftVarS: vector_shift_variable(v, inst, true); return true;
    case Opcode::kVecShiftVarU: vector_shift_variable(v, inst, false); return true;
    default: return false;
  }
}

}  // namespace adyton::engine::x64
