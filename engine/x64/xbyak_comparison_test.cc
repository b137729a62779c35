// The same instructions from Xbyak, byte for byte: two encodings can decode alike while one is longer. Zydis sees that the
// instruction is right, Xbyak that it is as short as it gets.
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <gtest/gtest.h>
#include <xbyak/xbyak.h>

#include <span>

#include "engine/x64/instruction_text.h"

namespace adyton::engine::x64 {
namespace {

class Reference : public Xbyak::CodeGenerator {
 public:
  Reference() : Xbyak::CodeGenerator(sizeof(buffer_), buffer_) {}

 private:
  uint8_t buffer_[256];
};

Xbyak::Reg reg(Gpr r, Width width) {
  const int number = static_cast<int>(number_of(r));
  switch (width) {
    case Width::k8: return Xbyak::Reg8(number, number >= 4 && number < 8);
    case Width::k16: return Xbyak::Reg16(number);
    case Width::k32: return Xbyak::Reg32(number);
    case Width::k64: break;
  }
  return Xbyak::Reg64(number);
}
Xbyak::Reg32e wide(Gpr r, Width width) { return Xbyak::Reg32e(static_cast<int>(number_of(r)), static_cast<int>(bits_of(width))); }
Xbyak::Reg64 r64(Gpr r) { return Xbyak::Reg64(static_cast<int>(number_of(r))); }
Xbyak::Xmm xmm(Xmm r) { return Xbyak::Xmm(static_cast<int>(number_of(r))); }

Xbyak::Address address(const Mem& m, unsigned bits = 0) {
  Xbyak::RegExp expression(static_cast<size_t>(static_cast<int64_t>(m.disp)));
  if (m.has_base && m.has_index())
    expression = r64(m.base) + r64(m.index) * static_cast<int>(m.scale) + m.disp;
  else if (m.has_base)
    expression = r64(m.base) + m.disp;
  else if (m.has_index())
    expression = r64(m.index) * static_cast<int>(m.scale) + m.disp;
  return Xbyak::Address(bits, false, expression);
}

template <typename Ours, typename Theirs>
void expect_same(std::string_view what, Ours&& ours, Theirs&& theirs) {
  uint8_t code[256];
  Assembler as(code, code + sizeof code, 0);
  Reference reference;
  ours(as);
  theirs(reference);
  const std::span<const uint8_t> a(code, as.cursor()), b(reference.getCode(), reference.getSize());
  if (std::equal(a.begin(), a.end(), b.begin(), b.end())) return;
  ADD_FAILURE() << what << fmt::format(": {:02x} instead of {:02x}: ", fmt::join(a, " "), fmt::join(b, " ")) << decode(a);
}

TEST(AgainstXbyak, IntegerWithMemory) {
  unsigned next = 0;
  for (const Mem& m : interesting_mems()) {
    if (!m.has_base) continue;  // Xbyak rewrites some of these
    const Gpr r = static_cast<Gpr>(next++ % 16);
    for (Width w : kAllWidths) {
      const unsigned bits = bits_of(w);
      expect_same(
          "load", [&](auto& as) { as.mov(w, r, m); }, [&](auto& x) { x.mov(reg(r, w), address(m)); });
      expect_same(
          "store", [&](auto& as) { as.mov(w, m, r); }, [&](auto& x) { x.mov(address(m), reg(r, w)); });
      expect_same(
          "add", [&](auto& as) { as.add(w, m, r); }, [&](auto& x) { x.add(address(m), reg(r, w)); });
      expect_same(
          "sub", [&](auto& as) { as.sub(w, r, m); }, [&](auto& x) { x.sub(reg(r, w), address(m)); });
      expect_same(
          "and imm8", [&](auto& as) { as.and_(w, m, 5); }, [&](auto& x) { x.and_(address(m, bits), 5); });
      expect_same(
          "inc", [&](auto& as) { as.inc(w, m); }, [&](auto& x) { x.inc(address(m, bits)); });
      expect_same(
          "xadd", [&](auto& as) { as.lock_xadd(w, m, r); }, [&](auto& x) { x.lock(), x.xadd(address(m), reg(r, w)); });
    }
    for (Width w : kWordWidths) {
      expect_same(
          "cmp imm32", [&](auto& as) { as.cmp(w, m, 0x12345); }, [&](auto& x) { x.cmp(address(m, bits_of(w)), 0x12345); });
      expect_same(
          "imul", [&](auto& as) { as.imul(w, r, m); }, [&](auto& x) { x.imul(reg(r, w), address(m)); });
      expect_same(
          "lea", [&](auto& as) { as.lea(w, r, m); }, [&](auto& x) { x.lea(reg(r, w), address(m)); });
      expect_same(
          "shrx", [&](auto& as) { as.shrx(w, r, m, r); }, [&](auto& x) { x.shrx(wide(r, w), address(m), wide(r, w)); });
      expect_same(
          "movbe", [&](auto& as) { as.movbe(w, r, m); }, [&](auto& x) { x.movbe(reg(r, w), address(m)); });
    }
    expect_same(
        "jmp", [&](auto& as) { as.jmp(m); }, [&](auto& x) { x.jmp(address(m, 64)); });
  }
}

TEST(AgainstXbyak, IntegerRegisters) {
  for (Gpr a : all_gprs()) {
    for (Gpr b : all_gprs()) {
      for (Width w : kWordWidths) {
        expect_same(
            "lzcnt", [&](auto& as) { as.lzcnt(w, a, b); }, [&](auto& x) { x.lzcnt(reg(a, w), reg(b, w)); });
        expect_same(
            "cmov", [&](auto& as) { as.cmov(w, Cond::e, a, b); }, [&](auto& x) { x.cmove(reg(a, w), reg(b, w)); });
        expect_same(
            "pdep", [&](auto& as) { as.pdep(w, a, b, a); }, [&](auto& x) { x.pdep(wide(a, w), wide(b, w), wide(a, w)); });
        expect_same(
            "andn", [&](auto& as) { as.andn(w, a, b, b); }, [&](auto& x) { x.andn(wide(a, w), wide(b, w), wide(b, w)); });
      }
      expect_same(
          "movzx", [&](auto& as) { as.movzx(Width::k8, a, b); },
          [&](auto& x) { x.movzx(reg(a, Width::k32), reg(b, Width::k8)); });
    }
    for (Width w : kAllWidths) {
      expect_same(
          "shl 1", [&](auto& as) { as.shl(w, a, 1); }, [&](auto& x) { x.shl(reg(a, w), 1); });
      expect_same(
          "sar 5", [&](auto& as) { as.sar(w, a, 5); }, [&](auto& x) { x.sar(reg(a, w), 5); });
      expect_same(
          "neg", [&](auto& as) { as.neg(w, a); }, [&](auto& x) { x.neg(reg(a, w)); });
    }
    for (int64_t value : {int64_t{0}, int64_t{-1}, int64_t{0x7FFFFFFF}, int64_t{0x80000000}, int64_t{0x123456789}, INT64_MIN}) {
      expect_same(
          "mov imm", [&](auto& as) { as.mov_imm64(a, static_cast<uint64_t>(value)); },
          [&](auto& x) { x.mov(r64(a), static_cast<uint64_t>(value)); });
    }
    expect_same(
        "push", [&](auto& as) { as.push(a); }, [&](auto& x) { x.push(r64(a)); });
    expect_same(
        "pop", [&](auto& as) { as.pop(a); }, [&](auto& x) { x.pop(r64(a)); });
    expect_same(
        "call", [&](auto& as) { as.call(a); }, [&](auto& x) { x.call(r64(a)); });
  }
}

TEST(AgainstXbyak, Vectors) {
  for (Xmm a : all_xmms()) {
    for (Xmm b : all_xmms()) {
      const Xmm d = static_cast<Xmm>((number_of(a) + 3 * number_of(b)) % 16);
      expect_same(
          "vpaddd", [&](auto& as) { as.vpaddd(d, a, b); }, [&](auto& x) { x.vpaddd(xmm(d), xmm(a), xmm(b)); });
      expect_same(
          "vpshufb", [&](auto& as) { as.vpshufb(d, a, b); }, [&](auto& x) { x.vpshufb(xmm(d), xmm(a), xmm(b)); });
      expect_same(
          "vfmadd231sd", [&](auto& as) { as.vfmadd231sd(d, a, b); }, [&](auto& x) { x.vfmadd231sd(xmm(d), xmm(a), xmm(b)); });
      expect_same(
          "vpblendvb", [&](auto& as) { as.vpblendvb(d, a, b, a); },
          [&](auto& x) { x.vpblendvb(xmm(d), xmm(a), xmm(b), xmm(a)); });
      expect_same(
          "vpsraw", [&](auto& as) { as.vpsraw(a, b, 9); }, [&](auto& x) { x.vpsraw(xmm(a), xmm(b), 9); });
      expect_same(
          "vroundps", [&](auto& as) { as.vroundps(a, b, 3); }, [&](auto& x) { x.vroundps(xmm(a), xmm(b), 3); });
      expect_same(
          "sha256msg1", [&](auto& as) { as.sha256msg1(a, b); }, [&](auto& x) { x.sha256msg1(xmm(a), xmm(b)); });
      expect_same(
          "vpternlogd", [&](auto& as) { as.vpternlogd_avx512(d, a, b, 9); },
          [&](auto& x) { x.vpternlogd(xmm(d), xmm(a), xmm(b), 9); });
      expect_same(
          "vpmovwb", [&](auto& as) { as.vpmovwb_avx512(a, b); }, [&](auto& x) { x.vpmovwb(xmm(a), xmm(b)); });
      expect_same(
          "vpsraq", [&](auto& as) { as.vpsraq_avx512(a, b, 7); }, [&](auto& x) { x.vpsraq(xmm(a), xmm(b), 7); });
    }
    unsigned next = 0;
    for (const Mem& m : interesting_mems()) {
      if (!m.has_base) continue;
      const Xmm b = static_cast<Xmm>(next++ % 16);
      expect_same(
          "vmovdqu", [&](auto& as) { as.vmovdqu(a, m); }, [&](auto& x) { x.vmovdqu(xmm(a), address(m)); });
      expect_same(
          "store", [&](auto& as) { as.vmovdqu(m, a); }, [&](auto& x) { x.vmovdqu(address(m), xmm(a)); });
      expect_same(
          "vpinsrq", [&](auto& as) { as.vpinsrq(a, b, m, 1); }, [&](auto& x) { x.vpinsrq(xmm(a), xmm(b), address(m), 1); });
      expect_same(
          "vpmullq", [&](auto& as) { as.vpmullq_avx512(a, b, m); }, [&](auto& x) { x.vpmullq(xmm(a), xmm(b), address(m)); });
      expect_same(
          "vrangesd", [&](auto& as) { as.vrangesd_avx512(a, b, m, 1); },
          [&](auto& x) { x.vrangesd(xmm(a), xmm(b), address(m), 1); });
      expect_same(
          "vcvtudq2pd", [&](auto& as) { as.vcvtudq2pd_avx512(a, m); }, [&](auto& x) { x.vcvtudq2pd(xmm(a), address(m)); });
    }
  }
}

}  // namespace
}  // namespace adyton::engine::x64
