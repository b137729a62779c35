// Vector moves, constants, elements from and to integers, bitwise operations, and calls of helpers.
#include "engine/x64/compile_vector.h"

#include "engine/x64/vector_tables.h"

namespace adyton::engine::x64 {

using ir::Opcode;

void BlockCompiler::load_vector_constant(Xmm d, uint64_t bits, unsigned bytes) {
  if (bytes < 8) {
    bits &= (uint64_t{1} << (8 * bytes)) - 1;
    for (unsigned n = 8 * bytes; n < 64; n *= 2) bits |= bits << n;
  }
  if (bits == 0) {
    hot_.vpxor(d, d, d);
    return;
  }
  if (bits == ~uint64_t{0}) {
    hot_.vpcmpeqd(d, d, d);
    return;
  }
  if (static_cast<uint32_t>(bits) == bits >> 32) {
    hot_.mov_imm32(Gpr::rax, static_cast<uint32_t>(bits));
    if (features_.avx512vl) {
      hot_.vpbroadcastd_avx512(d, Gpr::rax);
    } else {
      hot_.vmovd(d, Gpr::rax);
      hot_.vpshufd(d, d, 0);
    }
    return;
  }
  hot_.mov_imm64(Gpr::rax, bits);
  hot_.vmovq(d, Gpr::rax);
  hot_.vpunpcklqdq(d, d, d);
}

bool BlockCompiler::vector(Value v, const Inst& inst) {
  const auto index = static_cast<unsigned>(inst.imm);
  switch (inst.op) {
    case Opcode::kSetVec:
      vuse(inst.args[0]);
      xmms_.set_guest(index, inst.args[0]);
      return true;
    case Opcode::kVecZero: {
      const Xmm d = xmms_.define(v);
      hot_.vpxor(d, d, d);
      return true;
    }
    case Opcode::kVecConst: load_vector_constant(xmms_.define(v), inst.imm, 8); return true;
    case Opcode::kZeroUpper: {
      const Xmm a = vuse(inst.args[0]), d = xmms_.define(v);
      switch (inst.aux) {
        case 8: hot_.vmovq(d, a); break;
        case 4:
          hot_.vpxor(Xmm::xmm0, Xmm::xmm0, Xmm::xmm0);
          hot_.vpblendd(d, Xmm::xmm0, a, 1);
          break;
        case 2:
          hot_.vpxor(Xmm::xmm0, Xmm::xmm0, Xmm::xmm0);
          hot_.vpblendw(d, Xmm::xmm0, a, 1);
          break;
        default: hot_.vpand(d, a, table(&vector_tables::kLowByte)); break;
      }
      return true;
    }
    case Opcode::kVecFromInt: {
      const Gpr a = use(inst.args[0]);
      const Xmm d = xmms_.define(v);
      if (inst.aux == 8) {
        hot_.vmovq(d, a);
      } else if (inst.aux == 4) {
        hot_.vmovd(d, a);
      } else {
        hot_.movzx(inst.aux == 1 ? Width::k8 : Width::k16, Gpr::rax, a);
        hot_.vmovd(d, Gpr::rax);
      }
      return true;
    }
    case Opcode::kVecToInt:
    case Opcode::kVecToIntSigned: {
      const Xmm a = vuse(inst.args[0]);
      const Gpr d = gprs_.define(v);
      switch (inst.aux) {
        case 1: hot_.vpextrb(d, a, index); break;
        case 2: hot_.vpextrw(d, a, index); break;
        case 4:
          if (index == 0)
            hot_.vmovd(d, a);
          else
            hot_.vpextrd(d, a, index);
          break;
        default:
          if (index == 0)
            hot_.vmovq(d, a);
          else
            hot_.vpextrq(d, a, index);
      }
      if (inst.op == Opcode::kVecToIntSigned && inst.aux < 8) {
        const Width from = inst.aux == 1 ? Width::k8 : inst.aux == 2 ? Width::k16 : Width::k32;
        if (from != Width::k32 || inst.type == ir::Type::kI64) hot_.movsx(from, width_of(inst), d, d);
      }
      return true;
    }
    case Opcode::kVecInsert: {
      const Xmm a = vuse(inst.args[0]);
      const Gpr b = use(inst.args[1]);
      const Xmm d = xmms_.define(v);
      switch (inst.aux) {
        case 1: hot_.vpinsrb(d, a, b, index); break;
        case 2: hot_.vpinsrw(d, a, b, index); break;
        case 4: hot_.vpinsrd(d, a, b, index); break;
        default: hot_.vpinsrq(d, a, b, index); break;
      }
      return true;
    }
    case Opcode::kVecInsertElement: {
      const Xmm a = vuse(inst.args[0]), b = vuse(inst.args[1]), d = xmms_.define(v);
      const unsigned to = index & 0xff, from = index >> 8;
      switch (inst.aux) {
        case 1:
          hot_.vpextrb(Gpr::rax, b, from);
          hot_.vpinsrb(d, a, Gpr::rax, to);
          break;
        case 2:
          hot_.vpextrw(Gpr::rax, b, from);
          hot_.vpinsrw(d, a, Gpr::rax, to);
          break;
        case 4: hot_.vinsertps(d, a, b, from << 6 | to << 4); break;
        default:
          if (to == 0)
            hot_.vshufpd(d, b, a, 2 | from);
          else
            hot_.vshufpd(d, a, b, from << 1);
      }
      return true;
    }
    case Opcode::kVecBroadcastInt: {
      const Gpr a = use(inst.args[0]);
      const Xmm d = xmms_.define(v);
      const unsigned log2 = log2_of(inst);
      if (features_.avx512vl && features_.avx512bw) {
        constexpr void (Assembler::*kOps[])(Xmm, Gpr) = {&Assembler::vpbroadcastb_avx512, &Assembler::vpbroadcastw_avx512,
                                                         &Assembler::vpbroadcastd_avx512, &Assembler::vpbroadcastq_avx512};
        (hot_.*kOps[log2])(d, a);
        return true;
      }
      constexpr VectorOp1 kOps[] = {&Assembler::vpbroadcastb<Xmm>, &Assembler::vpbroadcastw<Xmm>, &Assembler::vpbroadcastd<Xmm>,
                                    &Assembler::vpbroadcastq<Xmm>};
      if (log2 == 3)
        hot_.vmovq(d, a);
      else
        hot_.vmovd(d, a);
      (hot_.*kOps[log2])(d, d);
      return true;
    }
    case Opcode::kVecBroadcastElement: {
      const Xmm a = vuse(inst.args[0]), d = xmms_.define(v);
      switch (inst.aux) {
        case 8: hot_.vpshufd(d, a, index ? 0xee : 0x44); break;
        case 4: hot_.vpshufd(d, a, index * 0x55); break;
        case 2:
          if (index == 0) {
            hot_.vpbroadcastw(d, a);
          } else if (index < 4) {
            hot_.vpshuflw(d, a, index * 0x55);
            hot_.vpunpcklqdq(d, d, d);
          } else {
            hot_.vpshufhw(d, a, (index & 3) * 0x55);
            hot_.vpunpckhqdq(d, d, d);
          }
          break;
        default:
          if (index) {
            hot_.vpsrldq(Xmm::xmm0, a, index);
            hot_.vpbroadcastb(d, Xmm::xmm0);
          } else {
            hot_.vpbroadcastb(d, a);
          }
      }
      return true;
    }
    case Opcode::kVecAnd: emit2(v, inst, ADYTON_X64_VECTOR_OP(vpand)); return true;
    case Opcode::kVecOr: emit2(v, inst, ADYTON_X64_VECTOR_OP(vpor)); return true;
    case Opcode::kVecXor: emit2(v, inst, ADYTON_X64_VECTOR_OP(vpxor)); return true;
    case Opcode::kVecAndNot: {
      const Xmm a = vuse(inst.args[0]), b = vuse(inst.args[1]);
      hot_.vpandn(xmms_.define(v), b, a);
      return true;
    }
    case Opcode::kVecOrNot: {
      const Xmm a = vuse(inst.args[0]), b = vuse(inst.args[1]), d = xmms_.define(v);
      vector_not(Xmm::xmm0, b);
      hot_.vpor(d, Xmm::xmm0, a);
      return true;
    }
    case Opcode::kVecNot: {
      const Xmm a = vuse(inst.args[0]), d = xmms_.define(v);
      vector_not(d, a);
      return true;
    }
    case Opcode::kVecSelect: {
      const Xmm mask = vuse(inst.args[0]), b = vuse(inst.args[1]), c = vuse(inst.args[2]);
      if (features_.avx512vl) {
        const Xmm d = xmms_.define_from(v, inst.args[0]);
        hot_.vpternlogd_avx512(d, b, c, 0xca);
        return true;
      }
      const Xmm d = xmms_.define(v);
      hot_.vpand(Xmm::xmm0, mask, b);
      hot_.vpandn(d, mask, c);
      hot_.vpor(d, d, Xmm::xmm0);
      return true;
    }
    case Opcode::kVecBlend: {
      const Xmm mask = vuse(inst.args[0]), b = vuse(inst.args[1]), c = vuse(inst.args[2]);
      hot_.vpblendvb(xmms_.define(v), c, b, mask);
      return true;
    }
    case Opcode::kVecMarkIfDifferent: {
      const Xmm a = vuse(inst.args[0]), b = vuse(inst.args[1]);
      clobber_flags(inst);
      hot_.vpxor(Xmm::xmm0, a, b);
      if (inst.aux == 16) {
        hot_.vptest(Xmm::xmm0, Xmm::xmm0);
      } else {
        hot_.vmovq(Gpr::rax, Xmm::xmm0);
        const Width width = inst.aux == 8 ? Width::k64 : inst.aux == 4 ? Width::k32 : inst.aux == 2 ? Width::k16 : Width::k8;
        hot_.test(width, Gpr::rax, Gpr::rax);
      }
      hot_.jcc(Cond::ne, cold_.exec_cursor());
      cold_.or_(Width::k32, state(static_cast<int32_t>(inst.imm & 0xffffffff) - StateLayout::kBias),
                static_cast<int32_t>(inst.imm >> 32));
      cold_.jmp(hot_.exec_cursor());
      return true;
    }
    case Opcode::kVecCall: vector_call(v, inst); return true;
    default: return vector_lanes(v, inst) || vector_multiply(v, inst) || vector_permute(v, inst) || vector_crypto(v, inst);
  }
}

}  // namespace adyton::engine::x64
