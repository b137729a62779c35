// Integer operations.
#include "engine/x64/block_compiler.h"

namespace adyton::engine::x64 {

using ir::Opcode;

Gpr BlockCompiler::use(Value v) {
  const Inst& inst = (*block_)[v];
  if (inst.op == Opcode::kConst && !gprs_.has_place(v)) {
    const Gpr reg = gprs_.define(v);
    hot_.mov_imm64(reg, inst.imm);
    return reg;
  }
  return gprs_.use(v);
}

namespace {

// Constants of I32 operations may be given as 64-bit constants: only the low half counts.
bool immediate(const ir::Inst& constant, Width width, int32_t& imm) {
  if (constant.op != Opcode::kConst) return false;
  imm = static_cast<int32_t>(constant.imm);
  return width == Width::k32 || static_cast<uint64_t>(static_cast<int64_t>(imm)) == constant.imm;
}

}  // namespace

void BlockCompiler::alu(Value v, const Inst& inst) {
  const Width width = width_of(inst);
  Value a = inst.args[0], b = inst.args[1];
  int32_t imm = 0;
  bool constant = immediate((*block_)[b], width, imm);
  auto operate = [&](Gpr d, auto source) {
    switch (inst.op) {
      case Opcode::kSub:
      case Opcode::kSubFlags: hot_.sub(width, d, source); break;
      case Opcode::kAddFlags: hot_.add(width, d, source); break;
      case Opcode::kAnd:
      case Opcode::kAndFlags: hot_.and_(width, d, source); break;
      case Opcode::kOr: hot_.or_(width, d, source); break;
      default: hot_.xor_(width, d, source); break;
    }
  };
  if (constant) {
    use(a);
    operate(gprs_.define_from(v, a), imm);
    return;
  }
  const bool commutes = inst.op != Opcode::kSub && inst.op != Opcode::kSubFlags;
  if (commutes && !gprs_.last_use(a) && gprs_.last_use(b)) std::swap(a, b);
  use(a);
  const Gpr rb = use(b);
  operate(gprs_.define_from(v, a), rb);
}

void BlockCompiler::shift(Value v, const Inst& inst) {
  const Width width = width_of(inst);
  const Inst& amount = (*block_)[inst.args[1]];
  if (amount.op == Opcode::kConst) {
    const unsigned n = static_cast<unsigned>(amount.imm) & (bits_of(width) - 1);
    if (inst.op == Opcode::kRor) {
      const Gpr a = use(inst.args[0]);
      hot_.rorx(width, gprs_.define(v), a, n);
      return;
    }
    if (flags_wanted_in_eflags(inst)) {
      const Gpr a = use(inst.args[0]);
      const Gpr d = gprs_.define(v);
      hot_.mov_imm32(Gpr::rax, n);
      switch (inst.op) {
        case Opcode::kShl: hot_.shlx(width, d, a, Gpr::rax); break;
        case Opcode::kShr: hot_.shrx(width, d, a, Gpr::rax); break;
        default: hot_.sarx(width, d, a, Gpr::rax); break;
      }
      return;
    }
    clobber_flags(inst);
    use(inst.args[0]);
    const Gpr d = gprs_.define_from(v, inst.args[0]);
    switch (inst.op) {
      case Opcode::kShl: hot_.shl(width, d, n); break;
      case Opcode::kShr: hot_.shr(width, d, n); break;
      default: hot_.sar(width, d, n); break;
    }
    if (n == 0 && width == Width::k32) hot_.mov(width, d, d);  // a shift by zero does not zero-extend
    return;
  }
  if (inst.op == Opcode::kRor) {
    clobber_flags(inst);
    gprs_.claim(Gpr::rcx);
    use(inst.args[0]);
    const Gpr n = use(inst.args[1]);
    hot_.mov(Width::k32, Gpr::rcx, n);
    const Gpr d = gprs_.define_from(v, inst.args[0]);
    hot_.ror_cl(width, d);
    if (width == Width::k32) hot_.mov(width, d, d);
    return;
  }
  const Gpr a = use(inst.args[0]);
  const Gpr n = use(inst.args[1]);
  const Gpr d = gprs_.define(v);
  switch (inst.op) {
    case Opcode::kShl: hot_.shlx(width, d, a, n); break;
    case Opcode::kShr: hot_.shrx(width, d, a, n); break;
    default: hot_.sarx(width, d, a, n); break;
  }
}

void BlockCompiler::divide(Value v, const Inst& inst) {
  clobber_flags(inst);
  const Width width = width_of(inst);
  const bool is_signed = inst.op == Opcode::kDivSigned;
  gprs_.claim(Gpr::rdx);
  const Gpr a = use(inst.args[0]), b = use(inst.args[1]);
  Label zero, minus_one, end;
  hot_.mov(width, Gpr::rax, a);
  hot_.test(width, b, b);
  hot_.jcc(Cond::e, zero);
  if (is_signed) {
    hot_.cmp(width, b, -1);
    hot_.jcc(Cond::e, minus_one);
    if (width == Width::k64)
      hot_.cqo();
    else
      hot_.cdq();
    hot_.idiv(width, b);
  } else {
    hot_.zero(Gpr::rdx);
    hot_.div(width, b);
  }
  hot_.jmp(end);
  hot_.bind(zero);
  hot_.zero(Gpr::rax);
  if (is_signed) {
    hot_.bind(minus_one);  // -0 is 0 too
    hot_.neg(width, Gpr::rax);
  }
  hot_.bind(end);
  gprs_.define_in(v, Gpr::rdx);
  hot_.mov(width, Gpr::rdx, Gpr::rax);
}

void BlockCompiler::bits(Value v, const Inst& inst) {
  const Width width = width_of(inst);
  const unsigned w = bits_of(width);
  const unsigned lsb = inst.imm & 0xff, count = (inst.imm >> 8) & 0xff;
  switch (inst.op) {
    case Opcode::kCountLeadingZeros: {
      clobber_flags(inst);
      const Gpr a = use(inst.args[0]);
      hot_.lzcnt(width, gprs_.define(v), a);
      break;
    }
    case Opcode::kCountLeadingSigns: {
      clobber_flags(inst);
      const Gpr a = use(inst.args[0]);
      hot_.mov(width, Gpr::rax, a);
      hot_.sar(width, Gpr::rax, 1);
      hot_.xor_(width, Gpr::rax, a);
      const Gpr d = gprs_.define(v);
      hot_.lzcnt(width, d, Gpr::rax);
      hot_.dec(width, d);
      break;
    }
    case Opcode::kReverseBits: {
      clobber_flags(inst);
      use(inst.args[0]);
      const Gpr d = gprs_.define_from(v, inst.args[0]);
      const Gpr mask = gprs_.temp();
      if (width == Width::k32)
        hot_.bswap(Width::k32, d);
      else
        hot_.bswap(Width::k64, d);
      constexpr struct {
        unsigned shift;
        uint64_t mask;
      } kSteps[] = {{4, 0x0f0f0f0f0f0f0f0full}, {2, 0x3333333333333333ull}, {1, 0x5555555555555555ull}};
      for (const auto& step : kSteps) {
        hot_.mov_imm64(mask, width == Width::k32 ? step.mask & 0xffffffff : step.mask);
        hot_.mov(width, Gpr::rax, d);
        hot_.shr(width, Gpr::rax, step.shift);
        hot_.and_(width, Gpr::rax, mask);
        hot_.and_(width, d, mask);
        hot_.shl(width, d, step.shift);
        hot_.or_(width, d, Gpr::rax);
      }
      break;
    }
    case Opcode::kReverseBytes: {
      use(inst.args[0]);
      hot_.bswap(width, gprs_.define_from(v, inst.args[0]));
      break;
    }
    case Opcode::kReverseBytes16: {
      clobber_flags(inst);
      use(inst.args[0]);
      const Gpr d = gprs_.define_from(v, inst.args[0]);
      const Gpr mask = gprs_.temp();
      hot_.mov_imm64(mask, width == Width::k32 ? 0x00ff00ffull : 0x00ff00ff00ff00ffull);
      hot_.mov(width, Gpr::rax, d);
      hot_.shr(width, Gpr::rax, 8);
      hot_.and_(width, Gpr::rax, mask);
      hot_.and_(width, d, mask);
      hot_.shl(width, d, 8);
      hot_.or_(width, d, Gpr::rax);
      break;
    }
    case Opcode::kReverseBytes32: {
      use(inst.args[0]);
      const Gpr d = gprs_.define_from(v, inst.args[0]);
      hot_.bswap(Width::k64, d);
      hot_.rorx(Width::k64, d, d, 32);
      break;
    }
    case Opcode::kExtractBits: {
      clobber_flags(inst);
      const Gpr a = use(inst.args[0]);
      if (lsb == 0 && (count == 8 || count == 16 || count == 32)) {
        hot_.movzx(count == 8 ? Width::k8 : count == 16 ? Width::k16 : Width::k32, gprs_.define(v), a);
      } else if (lsb + count == w) {
        hot_.shr(width, gprs_.define_from(v, inst.args[0]), lsb);
      } else {
        hot_.mov_imm32(Gpr::rax, lsb | (count << 8));
        hot_.bextr(width, gprs_.define(v), a, Gpr::rax);
      }
      break;
    }
    case Opcode::kExtractBitsSigned: {
      clobber_flags(inst);
      const Gpr a = use(inst.args[0]);
      if (lsb == 0 && (count == 8 || count == 16 || (count == 32 && width == Width::k64))) {
        hot_.movsx(count == 8 ? Width::k8 : count == 16 ? Width::k16 : Width::k32, width, gprs_.define(v), a);
      } else {
        const Gpr d = gprs_.define_from(v, inst.args[0]);
        if (lsb + count != w) hot_.shl(width, d, w - lsb - count);
        hot_.sar(width, d, w - count);
      }
      break;
    }
    case Opcode::kInsertBits: {
      clobber_flags(inst);
      use(inst.args[0]);
      const Gpr b = use(inst.args[1]);
      const Gpr d = gprs_.define_from(v, inst.args[0]);
      const Gpr field = gprs_.temp();
      const uint64_t mask = count == 64 ? ~0ull : (1ull << count) - 1;
      hot_.mov_imm64(Gpr::rax, mask);
      hot_.mov(Width::k64, field, b);
      hot_.and_(Width::k64, field, Gpr::rax);
      if (lsb) hot_.shl(Width::k64, field, lsb);
      hot_.mov_imm64(Gpr::rax, width == Width::k32 ? ~(mask << lsb) & 0xffffffff : ~(mask << lsb));
      hot_.and_(width, d, Gpr::rax);
      hot_.or_(width, d, field);
      break;
    }
    default: break;
  }
}

// IEEE 802.3 CRC by Barrett reduction in the bit-reflected domain: the data, XORed with the accumulator and moved to the top of 64 bits, is
// multiplied by floor(x^96 / P), and the quotient's low 64 bits by P; the remainder comes out above bit 64.
void BlockCompiler::crc32(Value v, const Inst& inst) {
  constexpr uint64_t kQuotient = 0xb4e5b025f7011641, kPolynomial = 0x1db710641;
  clobber_flags(inst);
  const unsigned data_bits = inst.aux * 8u;
  const Gpr accumulator = use(inst.args[0]), data = use(inst.args[1]);
  const Gpr d = gprs_.define(v);
  hot_.mov(Width::k32, d, accumulator);
  hot_.mov(Width::k64, Gpr::rax, data);
  hot_.xor_(Width::k64, Gpr::rax, d);
  if (data_bits < 64) hot_.shl(Width::k64, Gpr::rax, 64 - data_bits);
  hot_.vmovq(Xmm::xmm0, Gpr::rax);
  hot_.mov_imm64(Gpr::rax, kQuotient);
  hot_.vmovq(Xmm::xmm1, Gpr::rax);
  hot_.vpclmulqdq(Xmm::xmm0, Xmm::xmm0, Xmm::xmm1, 0);
  hot_.mov_imm64(Gpr::rax, kPolynomial);
  hot_.vmovq(Xmm::xmm1, Gpr::rax);
  hot_.vpclmulqdq(Xmm::xmm0, Xmm::xmm0, Xmm::xmm1, 0);
  if (data_bits >= 32) {
    hot_.vpextrd(d, Xmm::xmm0, 2);
    return;
  }
  hot_.vpextrd(Gpr::rax, Xmm::xmm0, 2);
  hot_.shr(Width::k32, d, data_bits);
  hot_.xor_(Width::k32, d, Gpr::rax);
}

void BlockCompiler::integer(Value v, const Inst& inst) {
  const Width width = width_of(inst);
  switch (inst.op) {
    case Opcode::kSetReg:
      use(inst.args[0]);
      gprs_.set_guest(static_cast<unsigned>(inst.imm), inst.args[0]);
      break;
    case Opcode::kAdd: {
      int32_t imm;
      if (immediate((*block_)[inst.args[1]], width, imm)) {
        const Gpr a = use(inst.args[0]);
        hot_.lea(width, gprs_.define(v), mem(a, imm));
      } else {
        const Gpr a = use(inst.args[0]), b = use(inst.args[1]);
        hot_.lea(width, gprs_.define(v), mem(a, b));
      }
      break;
    }
    case Opcode::kSub: {
      int32_t imm;
      if (immediate((*block_)[inst.args[1]], width, imm) && imm != INT32_MIN) {
        const Gpr a = use(inst.args[0]);
        hot_.lea(width, gprs_.define(v), mem(a, -imm));
        break;
      }
      if (flags_wanted_in_eflags(inst)) {  // a - b = a + ~b + 1
        const Gpr a = use(inst.args[0]), b = use(inst.args[1]);
        hot_.mov(Width::k64, Gpr::rax, b);
        hot_.not_(Width::k64, Gpr::rax);
        hot_.lea(width, gprs_.define(v), mem(a, Gpr::rax, 1, 1));
        break;
      }
      clobber_flags(inst);
      alu(v, inst);
      break;
    }
    case Opcode::kAnd:
    case Opcode::kOr:
    case Opcode::kXor:
      clobber_flags(inst);
      alu(v, inst);
      break;
    case Opcode::kAndNot: {
      clobber_flags(inst);
      const Gpr a = use(inst.args[0]), b = use(inst.args[1]);
      hot_.andn(width, gprs_.define(v), b, a);
      break;
    }
    case Opcode::kNot:
      use(inst.args[0]);
      hot_.not_(width, gprs_.define_from(v, inst.args[0]));
      break;
    case Opcode::kShl:
    case Opcode::kShr:
    case Opcode::kSar:
    case Opcode::kRor: shift(v, inst); break;
    case Opcode::kExtract2: {
      clobber_flags(inst);
      const Gpr high = use(inst.args[0]);
      use(inst.args[1]);
      hot_.shrd(width, gprs_.define_from(v, inst.args[1]), high, static_cast<unsigned>(inst.imm));
      break;
    }
    case Opcode::kMul: {
      clobber_flags(inst);
      int32_t imm;
      if (immediate((*block_)[inst.args[1]], width, imm)) {
        const Gpr a = use(inst.args[0]);
        hot_.imul(width, gprs_.define(v), a, imm);
        break;
      }
      use(inst.args[0]);
      const Gpr b = use(inst.args[1]);
      hot_.imul(width, gprs_.define_from(v, inst.args[0]), b);
      break;
    }
    case Opcode::kMulHighSigned:
    case Opcode::kMulHighUnsigned: {
      clobber_flags(inst);
      gprs_.claim(Gpr::rdx);
      const Gpr a = use(inst.args[0]), b = use(inst.args[1]);
      hot_.mov(Width::k64, Gpr::rax, a);
      if (inst.op == Opcode::kMulHighSigned)
        hot_.imul1(Width::k64, b);
      else
        hot_.mul(Width::k64, b);
      gprs_.define_in(v, Gpr::rdx);
      break;
    }
    case Opcode::kDivSigned:
    case Opcode::kDivUnsigned: divide(v, inst); break;
    case Opcode::kSignExtend: {
      const Gpr a = use(inst.args[0]);
      hot_.movsx(inst.aux == 8 ? Width::k8 : inst.aux == 16 ? Width::k16 : Width::k32, width, gprs_.define(v), a);
      break;
    }
    case Opcode::kZeroExtend: {
      const Gpr a = use(inst.args[0]);
      hot_.movzx(inst.aux == 8 ? Width::k8 : inst.aux == 16 ? Width::k16 : Width::k32, gprs_.define(v), a);
      break;
    }
    case Opcode::kCrc32: crc32(v, inst); break;
    case Opcode::kCrc32c: {
      use(inst.args[0]);
      const Gpr b = use(inst.args[1]);
      const Gpr d = gprs_.define_from(v, inst.args[0]);
      hot_.mov(Width::k32, d, d);  // the accumulator is 32 bits wide, whatever was above
      hot_.crc32(inst.aux == 1 ? Width::k8 : inst.aux == 2 ? Width::k16 : inst.aux == 4 ? Width::k32 : Width::k64, d, b);
      break;
    }
    case Opcode::kPageAddress: {
      const Gpr d = gprs_.define(v);
      const auto offset = static_cast<int64_t>(inst.imm);
      hot_.mov(Width::k64, d, state(layout_.pc));
      if (offset == static_cast<int32_t>(offset)) {
        if (offset) hot_.lea(Width::k64, d, mem(d, static_cast<int32_t>(offset)));
      } else {
        hot_.mov_imm64(Gpr::rax, inst.imm);
        hot_.lea(Width::k64, d, mem(d, Gpr::rax));
      }
      break;
    }
    case Opcode::kReadCounter: {
      clobber_flags(inst);
      gprs_.claim(Gpr::rdx);
      hot_.rdtsc();
      hot_.shl(Width::k64, Gpr::rdx, 32);
      hot_.or_(Width::k64, Gpr::rdx, Gpr::rax);
      hot_.sub(Width::k64, Gpr::rdx, state(layout_.counter_offset));
      gprs_.define_in(v, Gpr::rdx);
      break;
    }
    case Opcode::kLoadState: {
      const Mem from = state(static_cast<int32_t>(inst.imm) - StateLayout::kBias);
      hot_.movzx(inst.aux == 1   ? Width::k8
                 : inst.aux == 2 ? Width::k16
                 : inst.aux == 4 ? Width::k32
                                 : Width::k64,
                 gprs_.define(v), from);
      break;
    }
    case Opcode::kStoreState: {
      const Mem to = state(static_cast<int32_t>(inst.imm) - StateLayout::kBias);
      const Width size = inst.aux == 1 ? Width::k8 : inst.aux == 2 ? Width::k16 : inst.aux == 4 ? Width::k32 : Width::k64;
      int32_t imm;
      if (immediate((*block_)[inst.args[0]], size, imm))
        hot_.mov_imm(size, to, imm);
      else
        hot_.mov(size, to, use(inst.args[0]));
      break;
    }
    case Opcode::kCountLeadingZeros:
    case Opcode::kCountLeadingSigns:
    case Opcode::kReverseBits:
    case Opcode::kReverseBytes:
    case Opcode::kReverseBytes16:
    case Opcode::kReverseBytes32:
    case Opcode::kExtractBits:
    case Opcode::kExtractBitsSigned:
    case Opcode::kInsertBits: bits(v, inst); break;
    default: flags(v, inst); break;
  }
}

}  // namespace adyton::engine::x64
