// Integer elements: products, sums of pairs, reductions.
#include "engine/x64/compile_vector.h"

namespace adyton::engine::x64 {

using ir::Opcode;

namespace {
constexpr Xmm x0 = Xmm::xmm0, x1 = Xmm::xmm1;
}

// Bytes and halfwords: phminposuw finds the smallest of eight unsigned halfwords, and every other order is that one after some
// bits have been inverted.
void BlockCompiler::vector_reduce(Value v, const Inst& inst, bool is_signed, bool max) {
  const unsigned log2 = log2_of(inst);
  const Xmm a = vuse(inst.args[0]), d = xmms_.define(v);
  if (log2 == 2) {
    const VectorOp2 op = is_signed ? (max ? &Assembler::vpmaxsd<Xmm> : &Assembler::vpminsd<Xmm>)
                                   : (max ? &Assembler::vpmaxud<Xmm> : &Assembler::vpminud<Xmm>);
    hot_.vpshufd(x0, a, 0xee);
    (hot_.*op)(x0, x0, a);
    hot_.vpshufd(x1, x0, 0x55);
    (hot_.*op)(d, x0, x1);
    return;
  }
  const uint64_t top = uint64_t{1} << ((8u << log2) - 1);
  const uint64_t flipped = is_signed ? (max ? top - 1 : top) : (max ? 2 * top - 1 : 0);
  Xmm source = a;
  if (flipped) {
    load_vector_constant(x1, flipped, 1u << log2);
    hot_.vpxor(d, a, x1);
    source = d;
  }
  if (log2 == 0) {
    hot_.vpsrlw(x0, source, 8);
    hot_.vpminub(d, x0, source);  // and zero in every upper byte
    source = d;
  }
  hot_.vphminposuw(d, source);
  if (flipped) hot_.vpxor(d, d, x1);
}

bool BlockCompiler::vector_multiply(Value v, const Inst& inst) {
  const unsigned log2 = log2_of(inst);
  switch (inst.op) {
    case Opcode::kVecMul: {
      if (log2) {
        emit2(v, inst, log2 == 1 ? ADYTON_X64_VECTOR_OP(vpmullw) : ADYTON_X64_VECTOR_OP(vpmulld));
        return true;
      }
      const Xmm a = vuse(inst.args[0]), b = vuse(inst.args[1]), d = xmms_.define(v);
      hot_.vpsrlw(x0, a, 8);
      hot_.vpsrlw(x1, b, 8);
      hot_.vpmullw(x0, x0, x1);
      hot_.vpsllw(x0, x0, 8);
      hot_.vpmullw(d, a, b);
      hot_.vpcmpeqd(x1, x1, x1);
      hot_.vpsrlw(x1, x1, 8);
      hot_.vpand(d, d, x1);
      hot_.vpor(d, d, x0);
      return true;
    }
    case Opcode::kVecMulLongS:
    case Opcode::kVecMulLongU: {
      const bool is_signed = inst.op == Opcode::kVecMulLongS, high = inst.imm != 0;
      const Xmm a = vuse(inst.args[0]), b = vuse(inst.args[1]), d = xmms_.define(v);
      if (log2 == 0) {
        auto widen = [&](Xmm to, Xmm from) {
          if (high) hot_.vpshufd(to, from, 0xee);
          if (is_signed)
            hot_.vpmovsxbw(to, high ? to : from);
          else
            hot_.vpmovzxbw(to, high ? to : from);
        };
        widen(x0, a);
        widen(x1, b);
        hot_.vpmullw(d, x0, x1);
      } else if (log2 == 1) {
        hot_.vpmullw(x0, a, b);
        if (is_signed)
          hot_.vpmulhw(x1, a, b);
        else
          hot_.vpmulhuw(x1, a, b);
        if (high)
          hot_.vpunpckhwd(d, x0, x1);
        else
          hot_.vpunpcklwd(d, x0, x1);
      } else {
        hot_.vpshufd(x0, a, high ? 0xfa : 0x50);
        hot_.vpshufd(x1, b, high ? 0xfa : 0x50);
        if (is_signed)
          hot_.vpmuldq(d, x0, x1);
        else
          hot_.vpmuludq(d, x0, x1);
      }
      return true;
    }
    case Opcode::kVecMulDoubledHigh: {
      const Xmm a = vuse(inst.args[0]), b = vuse(inst.args[1]), d = xmms_.define(v);
      const bool rounds = inst.imm != 0;
      if (log2 == 1) {
        if (rounds) {
          hot_.vpmulhrsw(d, a, b);
        } else {
          hot_.vpmullw(x0, a, b);
          hot_.vpmulhw(d, a, b);
          hot_.vpsrlw(x0, x0, 15);
          hot_.vpaddw(d, d, d);
          hot_.vpor(d, d, x0);
        }
        return true;
      }
      hot_.vpshufd(x0, a, 0xf5);  // the odd elements
      hot_.vpshufd(x1, b, 0xf5);
      hot_.vpmuldq(x1, x0, x1);
      hot_.vpmuldq(x0, a, b);
      hot_.vpaddq(x0, x0, x0);
      hot_.vpaddq(x1, x1, x1);
      if (rounds) {
        hot_.vpcmpeqd(d, d, d);
        hot_.vpsrlq(d, d, 63);
        hot_.vpsllq(d, d, 31);
        hot_.vpaddq(x0, x0, d);
        hot_.vpaddq(x1, x1, d);
      }
      hot_.vpsrlq(x0, x0, 32);
      hot_.vpblendd(d, x0, x1, 0b1010);
      return true;
    }
    case Opcode::kVecMulAddPairs: emit2(v, inst, ADYTON_X64_VECTOR_OP(vpmaddwd)); return true;
    case Opcode::kVecPairAdd: {
      if (log2 == 1 || log2 == 2) {
        emit2(v, inst, log2 == 1 ? ADYTON_X64_VECTOR_OP(vphaddw) : ADYTON_X64_VECTOR_OP(vphaddd));
        return true;
      }
      const Xmm a = vuse(inst.args[0]), b = vuse(inst.args[1]), d = xmms_.define(v);
      if (log2 == 3) {
        hot_.vpunpcklqdq(x0, a, b);
        hot_.vpunpckhqdq(x1, a, b);
        hot_.vpaddq(d, x0, x1);
        return true;
      }
      hot_.vpcmpeqd(d, d, d);
      hot_.vpsrlw(d, d, 8);
      hot_.vpsrlw(x0, a, 8);
      hot_.vpaddb(x0, x0, a);
      hot_.vpand(x0, x0, d);
      if (a != b) {
        hot_.vpsrlw(x1, b, 8);
        hot_.vpaddb(x1, x1, b);
        hot_.vpand(x1, x1, d);
      }
      hot_.vpackuswb(d, x0, a == b ? x0 : x1);
      return true;
    }
    case Opcode::kVecPairAddLongS:
    case Opcode::kVecPairAddLongU: {
      const bool is_signed = inst.op == Opcode::kVecPairAddLongS;
      const Xmm a = vuse(inst.args[0]), d = xmms_.define(v);
      if (log2 == 0) {
        load_vector_constant(x0, 1, 1);
        if (is_signed)
          hot_.vpmaddubsw(d, x0, a);
        else
          hot_.vpmaddubsw(d, a, x0);
      } else if (log2 == 1 && is_signed) {
        load_vector_constant(x0, 1, 2);
        hot_.vpmaddwd(d, a, x0);
      } else if (log2 == 1) {
        hot_.vpslld(x0, a, 16);
        hot_.vpsrld(x0, x0, 16);
        hot_.vpsrld(x1, a, 16);
        hot_.vpaddd(d, x0, x1);
      } else if (is_signed) {
        hot_.vpshufd(x0, a, 0x08);
        hot_.vpshufd(x1, a, 0x0d);
        hot_.vpmovsxdq(x0, x0);
        hot_.vpmovsxdq(x1, x1);
        hot_.vpaddq(d, x0, x1);
      } else {
        hot_.vpxor(x0, x0, x0);
        hot_.vpblendd(x0, a, x0, 0b1010);
        hot_.vpsrlq(x1, a, 32);
        hot_.vpaddq(d, x0, x1);
      }
      return true;
    }
    case Opcode::kVecSumBytes: {
      const Xmm a = vuse(inst.args[0]), d = xmms_.define(v);
      hot_.vpxor(x0, x0, x0);
      hot_.vpsadbw(d, a, x0);
      return true;
    }
    case Opcode::kVecReduceMinS: vector_reduce(v, inst, true, false); return true;
    case Opcode::kVecReduceMinU: vector_reduce(v, inst, false, false); return true;
    case Opcode::kVecReduceMaxS: vector_reduce(v, inst, true, true); return true;
    case Opcode::kVecReduceMaxU: vector_reduce(v, inst, false, true); return true;
    default: return false;
  }
}

}  // namespace adyton::engine::x64
