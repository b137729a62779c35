// Every method of IntegerAssembler, with all registers and widths and with memory operands, against Zydis.
#include "engine/x64/integer_assembler.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "engine/x64/instruction_text.h"

namespace adyton::engine::x64 {
namespace {

constexpr int32_t kImmediates[] = {0, 1, -1, 127, 128, -128, -129, 0x7FFF, 0x12345678, INT32_MAX, INT32_MIN};
constexpr unsigned kCounts[] = {0, 1, 2, 7, 15, 31, 63};
constexpr Cond kConds[] = {Cond::o, Cond::no, Cond::b, Cond::ae, Cond::e, Cond::ne, Cond::be, Cond::a,
                           Cond::s, Cond::ns, Cond::p, Cond::np, Cond::l, Cond::ge, Cond::le, Cond::g};
// The decoder's names for the conditions, in the order of Cond.
constexpr std::string_view kCondNames[] = {"o", "no", "b", "nb", "z", "nz", "be", "nbe",
                                           "s", "ns", "p", "np", "l", "nl", "le", "nle"};

Gpr gpr(unsigned number) { return static_cast<Gpr>(number & 15); }

// Calls visit(reg, rm) with rm every register and then every interesting memory operand.
template <typename Visit>
void for_reg_rm(Visit&& visit) {
  for (Gpr reg : all_gprs()) {
    for (Gpr rm : all_gprs()) visit(reg, rm);
  }
  unsigned next = 0;
  for (const Mem& m : interesting_mems()) visit(gpr(next++), m);
}
template <typename Visit>
void for_reg_mem(Visit&& visit) {
  unsigned next = 0;
  for (const Mem& m : interesting_mems()) visit(gpr(next++), m);
}
template <typename Visit>
void for_rm(Visit&& visit) {
  for (Gpr rm : all_gprs()) visit(rm);
  for (const Mem& m : interesting_mems()) visit(m);
}

// name reg, rm
template <typename Emit>
void check_reg_rm(std::string_view name, std::span<const Width> widths, Emit&& emit) {
  InstructionChecker checker;
  for (Width width : widths) {
    for_reg_rm([&](Gpr dst, const auto& src) {
      checker.expect(fmt::format("{} {}, {}", name, text(dst, width), text(src, width)),
                     [&](auto& as) { emit(as, width, dst, src); });
    });
  }
}
// name rm, reg
template <typename Emit>
void check_rm_reg(std::string_view name, std::span<const Width> widths, Emit&& emit) {
  InstructionChecker checker;
  for (Width width : widths) {
    for_reg_rm([&](Gpr src, const auto& dst) {
      checker.expect(fmt::format("{} {}, {}", name, text(dst, width), text(src, width)),
                     [&](auto& as) { emit(as, width, dst, src); });
    });
  }
}
// name mem, reg
template <typename Emit>
void check_mem_reg(std::string_view name, std::span<const Width> widths, Emit&& emit) {
  InstructionChecker checker;
  for (Width width : widths) {
    for_reg_mem([&](Gpr src, const Mem& dst) {
      checker.expect(fmt::format("{} {}, {}", name, text(dst, width), text(src, width)),
                     [&](auto& as) { emit(as, width, dst, src); });
    });
  }
}
// name rm
template <typename Emit>
void check_rm(std::string_view name, std::span<const Width> widths, Emit&& emit) {
  InstructionChecker checker;
  for (Width width : widths) {
    for_rm([&](const auto& rm) {
      checker.expect(fmt::format("{} {}", name, text(rm, width)), [&](auto& as) { emit(as, width, rm); });
    });
  }
}
// name rm, number
template <typename Emit, typename Number>
void check_rm_imm(std::string_view name, std::span<const Width> widths, std::span<const Number> numbers, Emit&& emit) {
  InstructionChecker checker;
  for (Width width : widths) {
    for_rm([&](const auto& rm) {
      for (Number number : numbers) {
        checker.expect(fmt::format("{} {}, {}", name, text(rm, width), immediate(number, width)),
                       [&](auto& as) { emit(as, width, rm, number); });
      }
    });
  }
}

TEST(IntegerAssembler, Moves) {
  check_reg_rm("mov", kAllWidths, [](auto& as, Width w, Gpr dst, const auto& src) { as.mov(w, dst, src); });
  check_mem_reg("mov", kAllWidths, [](auto& as, Width w, const Mem& dst, Gpr src) { as.mov(w, dst, src); });
  check_reg_rm("imul", kWideWidths, [](auto& as, Width w, Gpr dst, const auto& src) { as.imul(w, dst, src); });
  InstructionChecker checker;
  for (Width width : kAllWidths) {
    for_reg_mem([&](Gpr, const Mem& dst) {
      for (int32_t imm : kImmediates) {
        checker.expect(fmt::format("mov {}, {}", text(dst, width), immediate(imm, width)),
                       [&](auto& as) { as.mov_imm(width, dst, imm); });
      }
    });
  }
  for (Gpr reg : all_gprs()) {
    checker.expect(fmt::format("xor {0}, {0}", text(reg, Width::k32)), [&](auto& as) { as.zero(reg); });
  }
}

TEST(IntegerAssembler, EveryMemoryOperand) {
  InstructionChecker checker;
  const auto check = [&](Gpr reg, const Mem& m) {
    checker.expect(fmt::format("mov {}, {}", text(reg, Width::k64), text(m, Width::k64)),
                   [&](auto& as) { as.mov(Width::k64, reg, m); });
    checker.expect(fmt::format("shlx {}, {}, {}", text(reg, Width::k32), text(m, Width::k32), text(reg, Width::k32)),
                   [&](auto& as) { as.shlx(Width::k32, reg, m, reg); });
  };
  for (int32_t disp : {0, 1, 127, -128, 128, -129, INT32_MAX, INT32_MIN}) {
    for (Gpr base : all_gprs()) {
      check(base, mem(base, disp));
      for (Gpr index : all_gprs()) {
        if (index == Gpr::rsp) continue;
        for (unsigned scale : {1, 2, 4, 8}) check(gpr(number_of(base) + 5), mem(base, index, scale, disp));
      }
    }
    for (Gpr index : all_gprs()) {
      if (index == Gpr::rsp) continue;
      for (unsigned scale : {1, 2, 4, 8}) check(Gpr::rax, mem_scaled(index, scale, disp));
    }
    check(Gpr::r9, mem_absolute(disp));
  }
}

TEST(IntegerAssembler, ImmediateMovesAreShortAndWhole) {
  struct Case {
    uint64_t value;
    unsigned bytes;  // to one of the low eight registers
  };
  constexpr Case kCases[] = {{0, 5},
                             {1, 5},
                             {0x7FFFFFFF, 5},
                             {0x80000000, 5},
                             {UINT32_MAX, 5},
                             {0x100000000, 10},
                             {UINT64_MAX, 7},
                             {0xFFFFFFFF80000000, 7},
                             {0xFFFFFFFF7FFFFFFF, 10},
                             {0x8000000000000000, 10},
                             {0x0123456789ABCDEF, 10}};
  InstructionChecker checker;
  for (Gpr reg : all_gprs()) {
    for (const Case& c : kCases) {
      const Width shown = c.value <= UINT32_MAX ? Width::k32 : Width::k64;
      checker.expect(fmt::format("mov {}, {}", text(reg, shown), c.value), [&](auto& as) { as.mov_imm64(reg, c.value); });
      uint8_t code[128];
      Assembler as(code, code + sizeof code, 0);
      as.mov_imm64(reg, c.value);
      EXPECT_EQ(as.cursor() - code, c.bytes + (c.bytes == 5 && number_of(reg) >= 8)) << c.value;
    }
  }
}

TEST(IntegerAssembler, Extensions) {
  InstructionChecker checker;
  for (Width from : {Width::k8, Width::k16}) {
    for_reg_rm([&](Gpr dst, const auto& src) {
      checker.expect(fmt::format("movzx {}, {}", text(dst, Width::k32), text(src, from)),
                     [&](auto& as) { as.movzx(from, dst, src); });
      for (Width to : kWideWidths) {
        if (to == from) continue;
        checker.expect(fmt::format("movsx {}, {}", text(dst, to), text(src, from)),
                       [&](auto& as) { as.movsx(from, to, dst, src); });
      }
    });
  }
  for_reg_rm([&](Gpr dst, const auto& src) {
    for (Width width : kWordWidths) {
      const std::string move = fmt::format("mov {}, {}", text(dst, width), text(src, width));
      checker.expect(move, [&](auto& as) { as.movzx(width, dst, src); });
      checker.expect(move, [&](auto& as) { as.movsx(width, width, dst, src); });
    }
    checker.expect(fmt::format("movsxd {}, {}", text(dst, Width::k64), text(src, Width::k32)),
                   [&](auto& as) { as.movsx(Width::k32, Width::k64, dst, src); });
  });
}

TEST(IntegerAssembler, LoadEffectiveAddress) {
  InstructionChecker checker;
  for (Width width : kWordWidths) {
    for_reg_mem([&](Gpr dst, const Mem& src) {
      checker.expect(fmt::format("lea {}, {}", text(dst, width), text(src)), [&](auto& as) { as.lea(width, dst, src); });
    });
  }
}

TEST(IntegerAssembler, ExchangesByteSwapsAndStack) {
  check_rm_reg("xchg", kAllWidths, [](auto& as, Width w, const auto& dst, Gpr src) { as.xchg(w, dst, src); });
  InstructionChecker checker;
  for (Width width : kWideWidths) {
    for_reg_mem([&](Gpr reg, const Mem& m) {
      checker.expect(fmt::format("movbe {}, {}", text(reg, width), text(m, width)), [&](auto& as) { as.movbe(width, reg, m); });
      checker.expect(fmt::format("movbe {}, {}", text(m, width), text(reg, width)), [&](auto& as) { as.movbe(width, m, reg); });
    });
  }
  for (Gpr reg : all_gprs()) {
    for (Width width : kWordWidths) {
      checker.expect(fmt::format("bswap {}", text(reg, width)), [&](auto& as) { as.bswap(width, reg); });
    }
    checker.expect(fmt::format("push {}", text(reg, Width::k64)), [&](auto& as) { as.push(reg); });
    checker.expect(fmt::format("pop {}", text(reg, Width::k64)), [&](auto& as) { as.pop(reg); });
  }
  for (const Mem& m : interesting_mems()) {
    checker.expect(fmt::format("push {}", text(m, Width::k64)), [&](auto& as) { as.push(m); });
    checker.expect(fmt::format("pop {}", text(m, Width::k64)), [&](auto& as) { as.pop(m); });
  }
  for (int32_t imm : kImmediates) {
    checker.expect(fmt::format("push {}", immediate(imm, Width::k64)), [&](auto& as) { as.push_imm(imm); });
  }
}

TEST(IntegerAssembler, Conditions) {
  InstructionChecker checker;
  for (unsigned i = 0; i < std::size(kConds); ++i) {
    const Cond cond = kConds[i];
    EXPECT_EQ(static_cast<unsigned>(cond), i);
    EXPECT_EQ(invert(invert(cond)), cond);
    EXPECT_EQ(static_cast<unsigned>(invert(cond)), i ^ 1);
    check_reg_rm(fmt::format("cmov{}", kCondNames[i]), kWideWidths,
                 [&](auto& as, Width w, Gpr dst, const auto& src) { as.cmov(w, cond, dst, src); });
    for_rm([&](const auto& rm) {
      checker.expect(fmt::format("set{} {}", kCondNames[i], text(rm, Width::k8)), [&](auto& as) { as.setcc(cond, rm); });
    });
  }
}

TEST(IntegerAssembler, ArithmeticAndLogic) {
#define CHECK_ALU(name, method)                                                                                \
  check_reg_rm(name, kAllWidths, [](auto& as, Width w, Gpr dst, const auto& src) { as.method(w, dst, src); }); \
  check_mem_reg(name, kAllWidths, [](auto& as, Width w, const Mem& dst, Gpr src) { as.method(w, dst, src); }); \
  check_rm_imm<>(name, kAllWidths, std::span<const int32_t>(kImmediates),                                      \
                 [](auto& as, Width w, const auto& dst, int32_t imm) { as.method(w, dst, imm); })
  CHECK_ALU("add", add);
  CHECK_ALU("or", or_);
  CHECK_ALU("adc", adc);
  CHECK_ALU("sbb", sbb);
  CHECK_ALU("and", and_);
  CHECK_ALU("sub", sub);
  CHECK_ALU("xor", xor_);
  CHECK_ALU("cmp", cmp);
#undef CHECK_ALU
  check_rm_reg("test", kAllWidths, [](auto& as, Width w, const auto& dst, Gpr src) { as.test(w, dst, src); });
  check_rm_imm("test", kAllWidths, std::span<const int32_t>(kImmediates),
               [](auto& as, Width w, const auto& dst, int32_t imm) { as.test(w, dst, imm); });
}

TEST(IntegerAssembler, SmallImmediatesAreShort) {
  uint8_t code[128];
  Assembler as(code, code + sizeof code, 0);
  as.add(Width::k64, Gpr::rax, 127);
  EXPECT_EQ(as.cursor() - code, 4);
  as.add(Width::k64, Gpr::rcx, 128);
  EXPECT_EQ(as.cursor() - code, 4 + 7);
  as.cmp(Width::k16, mem(Gpr::rcx), 0x1234);
  EXPECT_EQ(as.cursor() - code, 4 + 7 + 5);
}

TEST(IntegerAssembler, ImmediatesOfAnyType) {
  InstructionChecker checker;
  checker.expect("and ecx, 4294967280", [](auto& as) { as.and_(Width::k32, Gpr::rcx, 0xFFFFFFF0u); });
  checker.expect("test cx, 32768", [](auto& as) { as.test(Width::k16, Gpr::rcx, uint16_t{0x8000}); });
  checker.expect("cmp rcx, 18446744073709551615", [](auto& as) { as.cmp(Width::k64, Gpr::rcx, int64_t{-1}); });
  checker.expect("mov dword [rax+0], 3735928559", [](auto& as) { as.mov_imm(Width::k32, mem(Gpr::rax), 0xDEADBEEF); });
  EXPECT_DEATH(checker.expect("", [](auto& as) { as.add(Width::k64, Gpr::rcx, 0x80000000u); }), "in_range");
  EXPECT_DEATH(checker.expect("", [](auto& as) { as.add(Width::k32, Gpr::rcx, int64_t{1} << 32); }), "in_range");
}

TEST(IntegerAssembler, OneOperand) {
#define CHECK_RM(name, method) check_rm(name, kAllWidths, [](auto& as, Width w, const auto& rm) { as.method(w, rm); })
  CHECK_RM("inc", inc);
  CHECK_RM("dec", dec);
  CHECK_RM("neg", neg);
  CHECK_RM("not", not_);
  CHECK_RM("mul", mul);
  CHECK_RM("imul", imul1);
  CHECK_RM("div", div);
  CHECK_RM("idiv", idiv);
#undef CHECK_RM
}

TEST(IntegerAssembler, MultiplyByImmediate) {
  InstructionChecker checker;
  for (Width width : kWideWidths) {
    for_reg_rm([&](Gpr dst, const auto& src) {
      for (int32_t imm : {3, -3, 128, 0x12345}) {
        checker.expect(fmt::format("imul {}, {}, {}", text(dst, width), text(src, width),
                                   immediate(width == Width::k16 ? static_cast<int16_t>(imm) : imm, width)),
                       [&](auto& as) { as.imul(width, dst, src, imm); });
      }
    });
  }
}

TEST(IntegerAssembler, Shifts) {
  InstructionChecker checker;
#define CHECK_SHIFT(name)                                                                                        \
  check_rm_imm(#name, kAllWidths, std::span<const unsigned>(kCounts),                                            \
               [](auto& as, Width w, const auto& dst, unsigned count) { as.name(w, dst, count); });              \
  for (Width width : kAllWidths) {                                                                               \
    for_rm([&](const auto& rm) {                                                                                 \
      checker.expect(fmt::format(#name " {}, cl", text(rm, width)), [&](auto& as) { as.name##_cl(width, rm); }); \
    });                                                                                                          \
  }
  CHECK_SHIFT(rol)
  CHECK_SHIFT(ror)
  CHECK_SHIFT(rcl)
  CHECK_SHIFT(rcr)
  CHECK_SHIFT(shl)
  CHECK_SHIFT(shr)
  CHECK_SHIFT(sar)
#undef CHECK_SHIFT
}

TEST(IntegerAssembler, DoubleShifts) {
  InstructionChecker checker;
  for (Width width : kWideWidths) {
    for_reg_rm([&](Gpr src, const auto& dst) {
      const std::string operands = fmt::format("{}, {}", text(dst, width), text(src, width));
      checker.expect(fmt::format("shld {}, 9", operands), [&](auto& as) { as.shld(width, dst, src, 9); });
      checker.expect(fmt::format("shrd {}, 13", operands), [&](auto& as) { as.shrd(width, dst, src, 13); });
      checker.expect(fmt::format("shld {}, cl", operands), [&](auto& as) { as.shld_cl(width, dst, src); });
      checker.expect(fmt::format("shrd {}, cl", operands), [&](auto& as) { as.shrd_cl(width, dst, src); });
    });
  }
}

TEST(IntegerAssembler, BitManipulation) {
  InstructionChecker checker;
  for (Width w : kWordWidths) {
    unsigned next = 0;
    for_reg_rm([&](Gpr dst, const auto& rm) {
      const Gpr third = gpr(next++);
      const std::string d = text(dst, w), s = text(rm, w), t = text(third, w);
      checker.expect(fmt::format("shlx {}, {}, {}", d, s, t), [&](auto& as) { as.shlx(w, dst, rm, third); });
      checker.expect(fmt::format("shrx {}, {}, {}", d, s, t), [&](auto& as) { as.shrx(w, dst, rm, third); });
      checker.expect(fmt::format("sarx {}, {}, {}", d, s, t), [&](auto& as) { as.sarx(w, dst, rm, third); });
      checker.expect(fmt::format("bzhi {}, {}, {}", d, s, t), [&](auto& as) { as.bzhi(w, dst, rm, third); });
      checker.expect(fmt::format("bextr {}, {}, {}", d, s, t), [&](auto& as) { as.bextr(w, dst, rm, third); });
      checker.expect(fmt::format("rorx {}, {}, 5", d, s), [&](auto& as) { as.rorx(w, dst, rm, 5); });
      checker.expect(fmt::format("andn {}, {}, {}", d, t, s), [&](auto& as) { as.andn(w, dst, third, rm); });
      checker.expect(fmt::format("pext {}, {}, {}", d, t, s), [&](auto& as) { as.pext(w, dst, third, rm); });
      checker.expect(fmt::format("pdep {}, {}, {}", d, t, s), [&](auto& as) { as.pdep(w, dst, third, rm); });
      checker.expect(fmt::format("mulx {}, {}, {}", d, t, s), [&](auto& as) { as.mulx(w, dst, third, rm); });
      checker.expect(fmt::format("blsr {}, {}", d, s), [&](auto& as) { as.blsr(w, dst, rm); });
      checker.expect(fmt::format("blsmsk {}, {}", d, s), [&](auto& as) { as.blsmsk(w, dst, rm); });
      checker.expect(fmt::format("blsi {}, {}", d, s), [&](auto& as) { as.blsi(w, dst, rm); });
    });
  }
  check_reg_rm("lzcnt", kWideWidths, [](auto& as, Width w, Gpr dst, const auto& src) { as.lzcnt(w, dst, src); });
  check_reg_rm("tzcnt", kWideWidths, [](auto& as, Width w, Gpr dst, const auto& src) { as.tzcnt(w, dst, src); });
  check_reg_rm("popcnt", kWideWidths, [](auto& as, Width w, Gpr dst, const auto& src) { as.popcnt(w, dst, src); });
}

TEST(IntegerAssembler, BitTests) {
  InstructionChecker checker;
#define CHECK_BIT(name)                                                                         \
  check_rm_imm(#name, kWideWidths, std::span<const unsigned>(kCounts),                          \
               [](auto& as, Width w, const auto& dst, unsigned bit) { as.name(w, dst, bit); }); \
  for (Width width : kWideWidths) {                                                             \
    for (Gpr dst : all_gprs()) {                                                                \
      for (Gpr bit : all_gprs()) {                                                              \
        checker.expect(fmt::format(#name " {}, {}", text(dst, width), text(bit, width)),        \
                       [&](auto& as) { as.name(width, dst, bit); });                            \
      }                                                                                         \
    }                                                                                           \
  }
  CHECK_BIT(bt)
  CHECK_BIT(bts)
  CHECK_BIT(btr)
  CHECK_BIT(btc)
#undef CHECK_BIT
}

TEST(IntegerAssembler, Crc32) {
  InstructionChecker checker;
  for (Width width : kAllWidths) {
    for_reg_rm([&](Gpr dst, const auto& src) {
      checker.expect(fmt::format("crc32 {}, {}", text(dst, width == Width::k64 ? Width::k64 : Width::k32), text(src, width)),
                     [&](auto& as) { as.crc32(width, dst, src); });
    });
  }
}

TEST(IntegerAssembler, Atomics) {
  check_mem_reg("lock xadd", kAllWidths, [](auto& as, Width w, const Mem& dst, Gpr src) { as.lock_xadd(w, dst, src); });
  check_mem_reg("lock cmpxchg", kAllWidths, [](auto& as, Width w, const Mem& dst, Gpr src) { as.lock_cmpxchg(w, dst, src); });
  InstructionChecker checker;
#define CHECK_LOCKED(name)                                                                                                   \
  check_mem_reg("lock " #name, kAllWidths, [](auto& as, Width w, const Mem& dst, Gpr src) { as.lock_##name(w, dst, src); }); \
  for (Width width : kAllWidths) {                                                                                           \
    for_reg_mem([&](Gpr, const Mem& dst) {                                                                                   \
      for (int32_t imm : {1, -1, 1000}) {                                                                                    \
        checker.expect(fmt::format("lock " #name " {}, {}", text(dst, width), immediate(imm, width)),                        \
                       [&](auto& as) { as.lock_##name(width, dst, imm); });                                                  \
      }                                                                                                                      \
    });                                                                                                                      \
  }
  CHECK_LOCKED(add)
  CHECK_LOCKED(or)
  CHECK_LOCKED(and)
  CHECK_LOCKED(sub)
  CHECK_LOCKED(xor)
#undef CHECK_LOCKED
  for (const Mem& m : interesting_mems()) {
    checker.expect(fmt::format("lock cmpxchg8b {}", text(m, Width::k64)), [&](auto& as) { as.lock_cmpxchg8b(m); });
    checker.expect(fmt::format("lock cmpxchg16b oword {}", text(m)), [&](auto& as) { as.lock_cmpxchg16b(m); });
  }
}

TEST(IntegerAssembler, WithoutOperands) {
  InstructionChecker checker;
#define CHECK_BARE(name) checker.expect(#name, [](auto& as) { as.name(); });
  CHECK_BARE(cdq)
  CHECK_BARE(cqo) CHECK_BARE(lahf) CHECK_BARE(sahf) CHECK_BARE(cmc) CHECK_BARE(stc) CHECK_BARE(clc) CHECK_BARE(cld)
      CHECK_BARE(pushfq) CHECK_BARE(popfq) CHECK_BARE(mfence) CHECK_BARE(lfence) CHECK_BARE(sfence) CHECK_BARE(pause)
          CHECK_BARE(rdtsc) CHECK_BARE(rdtscp) CHECK_BARE(cpuid) CHECK_BARE(ud2) CHECK_BARE(int3)
#undef CHECK_BARE
}

TEST(IntegerAssembler, MemoryOnly) {
  InstructionChecker checker;
  for (const Mem& m : interesting_mems()) {
    checker.expect(fmt::format("ldmxcsr {}", text(m, Width::k32)), [&](auto& as) { as.ldmxcsr(m); });
    checker.expect(fmt::format("stmxcsr {}", text(m, Width::k32)), [&](auto& as) { as.stmxcsr(m); });
  }
  InstructionChecker sizeless(MemorySize::kHidden);
  for (const Mem& m : interesting_mems()) {
    sizeless.expect(fmt::format("prefetcht0 {}", text(m)), [&](auto& as) { as.prefetcht0(m); });
    sizeless.expect(fmt::format("prefetchw {}", text(m)), [&](auto& as) { as.prefetchw(m); });
  }
}

}  // namespace
}  // namespace adyton::engine::x64
