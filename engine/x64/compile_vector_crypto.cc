// AES, carry-less multiplication, SHA.
#include "engine/x64/block_compiler.h"
#include "engine/x64/vector_tables.h"

namespace adyton::engine::x64 {

using ir::Opcode;
namespace t = vector_tables;

namespace {
constexpr Xmm x0 = Xmm::xmm0, x1 = Xmm::xmm1;
}

bool BlockCompiler::vector_crypto(Value v, const Inst& inst) {
  switch (inst.op) {
    // The host adds the round key last, the guest first: the host's key is zero.
    case Opcode::kVecAesEncryptStep:
    case Opcode::kVecAesDecryptStep:
    case Opcode::kVecAesEncryptRound:
    case Opcode::kVecAesDecryptRound: {
      const Xmm a = vuse(inst.args[0]);
      if (read_in_place(inst.args[1]))
        hot_.vpxor(x0, a, xmms_.memory(inst.args[1]));
      else
        hot_.vpxor(x0, a, vuse(inst.args[1]));
      hot_.vpxor(x1, x1, x1);
      const Xmm d = xmms_.define(v);
      switch (inst.op) {
        case Opcode::kVecAesEncryptStep: hot_.vaesenclast(d, x0, x1); break;
        case Opcode::kVecAesDecryptStep: hot_.vaesdeclast(d, x0, x1); break;
        case Opcode::kVecAesEncryptRound: hot_.vaesenc(d, x0, x1); break;
        default: hot_.vaesdec(d, x0, x1); break;
      }
      return true;
    }
    case Opcode::kVecAesMixColumns: {
      const Xmm a = vuse(inst.args[0]), d = xmms_.define(v);
      hot_.vpxor(x1, x1, x1);
      hot_.vaesdeclast(x0, a, x1);  // undoes what is wanted of the next one but MixColumns
      hot_.vaesenc(d, x0, x1);
      return true;
    }
    case Opcode::kVecAesInverseMixColumns: {
      const Xmm a = vuse(inst.args[0]);
      hot_.vaesimc(xmms_.define(v), a);
      return true;
    }
    case Opcode::kVecCarrylessMul64: {
      const Xmm a = vuse(inst.args[0]), b = vuse(inst.args[1]);
      hot_.vpclmulqdq(xmms_.define(v), a, b, inst.imm ? 0x11 : 0x00);
      return true;
    }
    case Opcode::kVecSha1Rounds: {
      // The host wants the words in the opposite order, e added to the first word of the schedule, and adds the constant itself.
      const Xmm abcd = vuse(inst.args[0]), e = vuse(inst.args[1]), w = vuse(inst.args[2]), d = xmms_.define(v);
      hot_.vpxor(x0, x0, x0);
      hot_.vpblendd(x0, x0, e, 1);
      hot_.vpaddd(x0, x0, w);
      hot_.vpsubd(x0, x0, table(&t::kSha1Constants[inst.imm]));
      hot_.vpshufd(x0, x0, 0x1b);
      hot_.vpshufd(d, abcd, 0x1b);
      hot_.sha1rnds4(d, x0, static_cast<unsigned>(inst.imm));
      hot_.vpshufd(d, d, 0x1b);
      return true;
    }
    case Opcode::kVecSha256Rounds: {
      // The host's registers hold f e b a and h g d c (first in element 0), and two rounds turn one pair into the other.
      const Xmm abcd = vuse(inst.args[0]), efgh = vuse(inst.args[1]), w = vuse(inst.args[2]);
      const Xmm first = xmms_.define(v);
      const auto second_value = static_cast<Value>(v + 1);
      xmms_.announce(second_value, (*block_)[second_value].uses);
      const Xmm second = xmms_.define(second_value);
      hot_.vmovdqa(x0, w);
      hot_.vshufps(x1, efgh, abcd, 0x11);
      hot_.vshufps(first, efgh, abcd, 0xbb);
      hot_.sha256rnds2(first, x1);
      hot_.vpshufd(x0, x0, 0xee);
      hot_.sha256rnds2(x1, first);
      // x1 is f e b a, `first` is h g d c.
      hot_.vshufps(second, x1, first, 0x11);
      hot_.vshufps(first, x1, first, 0xbb);
      if ((*block_)[second_value].uses == 0) xmms_.consumed(second_value);
      return true;
    }
    case Opcode::kVecSha256Schedule0: {
      const Xmm b = vuse(inst.args[1]);
      const Xmm d = xmms_.define_from(v, inst.args[0]);
      hot_.sha256msg1(d, b);
      return true;
    }
    case Opcode::kVecSha256Schedule1: {
      const Xmm b = vuse(inst.args[1]);
      const Xmm d = xmms_.define_from(v, inst.args[0]);
      hot_.sha256msg2(d, b);
      return true;
    }
    default: return false;
  }
}

}  // namespace adyton::engine::x64
