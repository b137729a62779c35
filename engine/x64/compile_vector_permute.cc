// Rearranging elements and changing their width.
#include "engine/x64/compile_vector.h"
#include "engine/x64/vector_tables.h"

namespace adyton::engine::x64 {

using ir::Opcode;
namespace t = vector_tables;

namespace {
constexpr Xmm x0 = Xmm::xmm0, x1 = Xmm::xmm1;
}

void BlockCompiler::unzip(Xmm d, Xmm a, Xmm b, unsigned log2, bool odd) {
  switch (log2) {
    case 3:
      if (odd)
        hot_.vpunpckhqdq(d, a, b);
      else
        hot_.vpunpcklqdq(d, a, b);
      return;
    case 2: hot_.vshufps(d, a, b, odd ? 0xdd : 0x88); return;
    case 1:
      if (odd) {
        hot_.vpsrld(x0, a, 16);
        if (a != b) hot_.vpsrld(x1, b, 16);
      } else {
        hot_.vpxor(x1, x1, x1);
        hot_.vpblendw(x0, a, x1, 0xaa);
        if (a != b) hot_.vpblendw(x1, b, x1, 0xaa);
      }
      hot_.vpackusdw(d, x0, a == b ? x0 : x1);
      return;
    default:
      if (odd) {
        hot_.vpsrlw(x0, a, 8);
        if (a != b) hot_.vpsrlw(x1, b, 8);
      } else {
        hot_.vpcmpeqd(x1, x1, x1);
        hot_.vpsrlw(x1, x1, 8);
        hot_.vpand(x0, a, x1);
        if (a != b) hot_.vpand(x1, b, x1);
      }
      hot_.vpackuswb(d, x0, a == b ? x0 : x1);
  }
}

void BlockCompiler::narrow(Xmm d, Xmm a, unsigned log2) { hot_.vpshufb(d, a, table(&t::kNarrow[log2])); }

bool BlockCompiler::vector_permute(Value v, const Inst& inst) {
  constexpr VectorOpOrMem kZipLow[] = {ADYTON_X64_VECTOR_OP(vpunpcklbw), ADYTON_X64_VECTOR_OP(vpunpcklwd),
                                       ADYTON_X64_VECTOR_OP(vpunpckldq), ADYTON_X64_VECTOR_OP(vpunpcklqdq)};
  constexpr VectorOpOrMem kZipHigh[] = {ADYTON_X64_VECTOR_OP(vpunpckhbw), ADYTON_X64_VECTOR_OP(vpunpckhwd),
                                        ADYTON_X64_VECTOR_OP(vpunpckhdq), ADYTON_X64_VECTOR_OP(vpunpckhqdq)};
  constexpr VectorOp1 kWidenS[] = {&Assembler::vpmovsxbw<Xmm>, &Assembler::vpmovsxwd<Xmm>, &Assembler::vpmovsxdq<Xmm>};
  constexpr VectorOp1 kWidenU[] = {&Assembler::vpmovzxbw<Xmm>, &Assembler::vpmovzxwd<Xmm>, &Assembler::vpmovzxdq<Xmm>};

  const unsigned log2 = log2_of(inst), imm = static_cast<unsigned>(inst.imm);
  switch (inst.op) {
    case Opcode::kVecShiftBytesRight: {
      const Xmm a = vuse(inst.args[0]);
      hot_.vpsrldq(xmms_.define(v), a, imm);
      return true;
    }
    case Opcode::kVecShiftBytesLeft: {
      const Xmm a = vuse(inst.args[0]);
      hot_.vpslldq(xmms_.define(v), a, imm);
      return true;
    }
    case Opcode::kVecExtractBytes: {
      const Xmm a = vuse(inst.args[0]), b = vuse(inst.args[1]);
      hot_.vpalignr(xmms_.define(v), b, a, imm);
      return true;
    }
    case Opcode::kVecZipLow: emit2(v, inst, kZipLow[log2]); return true;
    case Opcode::kVecZipHigh: emit2(v, inst, kZipHigh[log2]); return true;
    case Opcode::kVecUnzipEven:
    case Opcode::kVecUnzipOdd: {
      const Xmm a = vuse(inst.args[0]), b = vuse(inst.args[1]);
      unzip(xmms_.define(v), a, b, log2, inst.op == Opcode::kVecUnzipOdd);
      return true;
    }
    case Opcode::kVecTransposeEven:
    case Opcode::kVecTransposeOdd: {
      // The elements of one operand move by one place; then every second one is taken from each.
      const bool odd = inst.op == Opcode::kVecTransposeOdd;
      if (log2 == 3) {
        emit2(v, inst, odd ? kZipHigh[3] : kZipLow[3]);
        return true;
      }
      const Xmm a = vuse(inst.args[0]), b = vuse(inst.args[1]), d = xmms_.define(v);
      if (log2 == 2) {
        if (odd) {
          hot_.vpsrlq(x0, a, 32);
          hot_.vpblendd(d, x0, b, 0b1010);
        } else {
          hot_.vpsllq(x0, b, 32);
          hot_.vpblendd(d, a, x0, 0b1010);
        }
      } else if (log2 == 1) {
        if (odd) {
          hot_.vpsrld(x0, a, 16);
          hot_.vpblendw(d, x0, b, 0xaa);
        } else {
          hot_.vpslld(x0, b, 16);
          hot_.vpblendw(d, a, x0, 0xaa);
        }
      } else {
        hot_.vpcmpeqd(x1, x1, x1);
        hot_.vpsrlw(x1, x1, 8);
        if (odd) {
          hot_.vpsrlw(x0, a, 8);
          hot_.vpblendvb(d, b, x0, x1);
        } else {
          hot_.vpsllw(x0, b, 8);
          hot_.vpblendvb(d, x0, a, x1);
        }
      }
      return true;
    }
    case Opcode::kVecTable1: {
      // Saturation takes indices from 16 on to 0x80 and above, which vpshufb answers with zero.
      const Xmm a = vuse(inst.args[0]), b = vuse(inst.args[1]), d = xmms_.define(v);
      hot_.vpaddusb(x0, b, table(&t::kTableBias));
      hot_.vpshufb(d, a, x0);
      return true;
    }
    case Opcode::kVecDeinterleave3:
    case Opcode::kVecInterleave3: {
      const Xmm a = vuse(inst.args[0]), b = vuse(inst.args[1]), c = vuse(inst.args[2]), d = xmms_.define(v);
      const auto& shuffles = (inst.op == Opcode::kVecInterleave3 ? t::kInterleave3 : t::kDeinterleave3)[log2][imm];
      const Mem first = table(&shuffles);
      hot_.vpshufb(x0, a, first);
      hot_.vpshufb(x1, b, first + 16);
      hot_.vpshufb(d, c, first + 32);
      hot_.vpor(x0, x0, x1);
      hot_.vpor(d, d, x0);
      return true;
    }
    case Opcode::kVecWidenLowS:
    case Opcode::kVecWidenLowU: {
      const Xmm a = vuse(inst.args[0]);
      (hot_.*(inst.op == Opcode::kVecWidenLowS ? kWidenS : kWidenU)[log2])(xmms_.define(v), a);
      return true;
    }
    case Opcode::kVecWidenHighS:
    case Opcode::kVecWidenHighU: {
      const Xmm a = vuse(inst.args[0]), d = xmms_.define(v);
      hot_.vpshufd(d, a, 0xee);
      (hot_.*(inst.op == Opcode::kVecWidenHighS ? kWidenS : kWidenU)[log2])(d, d);
      return true;
    }
    case Opcode::kVecNarrow: {
      const Xmm a = vuse(inst.args[0]);
      narrow(xmms_.define(v), a, log2);
      return true;
    }
    case Opcode::kVecNarrowSatS: {
      const Xmm a = vuse(inst.args[0]), d = xmms_.define(v);
      if (log2 < 2) {
        hot_.vpxor(x0, x0, x0);
        if (log2)
          hot_.vpackssdw(d, a, x0);
        else
          hot_.vpacksswb(d, a, x0);
      } else if (features_.avx512vl) {
        hot_.vpmovsqd_avx512(d, a);
      } else {
        // It fits when the upper half consists of copies of the lower half's sign. Otherwise the limit has the upper half's sign.
        hot_.vpsrad(x0, a, 31);
        hot_.vpshufd(x1, x0, 0xa0);
        hot_.vpcmpeqd(x1, x1, a);  // in the odd elements: fits
        hot_.vpcmpeqd(d, d, d);
        hot_.vpsrld(d, d, 1);
        hot_.vpxor(x0, x0, d);  // in the odd elements: the limit
        hot_.vpsllq(d, a, 32);  // there too: the value
        hot_.vblendvps(d, x0, d, x1);
        hot_.vpshufd(d, d, 0x0d);
        hot_.vmovq(d, d);
      }
      return true;
    }
    case Opcode::kVecNarrowSatSU:
    case Opcode::kVecNarrowSatU: {
      const bool is_signed = inst.op == Opcode::kVecNarrowSatSU;
      const Xmm a = vuse(inst.args[0]), d = xmms_.define(v);
      if (log2 < 2) {
        Xmm source = a;
        if (!is_signed) {
          hot_.vpcmpeqd(x0, x0, x0);
          if (log2) {
            hot_.vpsrld(x0, x0, 16);
            hot_.vpminud(d, a, x0);
          } else {
            hot_.vpsrlw(x0, x0, 8);
            hot_.vpminuw(d, a, x0);
          }
          source = d;
        }
        hot_.vpxor(x0, x0, x0);
        if (log2)
          hot_.vpackusdw(d, source, x0);
        else
          hot_.vpackuswb(d, source, x0);
        return true;
      }
      hot_.vpxor(x0, x0, x0);
      Xmm source = a;
      if (is_signed) {  // negative numbers become zero
        hot_.vpcmpgtq(x1, x0, a);
        hot_.vpandn(d, x1, a);
        source = d;
      }
      hot_.vpcmpeqd(x0, x0, source);  // in the odd elements: fits
      hot_.vpcmpeqd(x1, x1, x1);
      hot_.vpxor(x0, x0, x1);
      hot_.vpsrlq(x0, x0, 32);
      hot_.vpor(d, source, x0);
      hot_.vpshufd(d, d, 0x08);
      hot_.vmovq(d, d);
      return true;
    }
    case Opcode::kVecReverse: {
      const Xmm a = vuse(inst.args[0]), d = xmms_.define(v);
      const auto group = static_cast<unsigned>(std::countr_zero(imm));
      if (log2 == 2)
        hot_.vpshufd(d, a, 0xb1);
      else
        hot_.vpshufb(d, a, table(&t::kReverse[log2][group]));
      return true;
    }
    case Opcode::kVecReverseBits: {
      const Xmm a = vuse(inst.args[0]), d = xmms_.define(v);
      if (features_.gfni) {
        hot_.vgf2p8affineqb(d, a, table(&t::kReverseBitsMatrix), 0);
        return true;
      }
      hot_.vmovdqa(x1, table(&t::kLowNibbles));
      hot_.vpand(x0, a, x1);
      hot_.vpsrlw(d, a, 4);
      hot_.vpand(d, d, x1);
      hot_.vmovdqa(x1, table(&t::kReversedNibbleHigh));
      hot_.vpshufb(x0, x1, x0);
      hot_.vmovdqa(x1, table(&t::kReversedNibbleLow));
      hot_.vpshufb(d, x1, d);
      hot_.vpor(d, d, x0);
      return true;
    }
    case Opcode::kVecCountBits: {
      const Xmm a = vuse(inst.args[0]), d = xmms_.define(v);
      if (features_.avx512bitalg) {
        hot_.vpopcntb_avx512(d, a);
        return true;
      }
      hot_.vmovdqa(x1, table(&t::kLowNibbles));
      hot_.vpand(x0, a, x1);
      hot_.vpsrlw(d, a, 4);
      hot_.vpand(d, d, x1);
      hot_.vmovdqa(x1, table(&t::kNibbleBits));
      hot_.vpshufb(x0, x1, x0);
      hot_.vpshufb(d, x1, d);
      hot_.vpaddb(d, d, x0);
      return true;
    }
    default: return false;
  }
}

}  // namespace adyton::engine::x64
