// Every line of vector_instructions.h and every irregular method, with all registers and with memory operands, against Zydis.
#include "engine/x64/vector_assembler.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "engine/x64/instruction_text.h"

namespace adyton::engine::x64 {
namespace {

constexpr unsigned kImmediates[] = {0, 1, 7, 0x80, 0xFF};

Xmm xmm(unsigned number) { return static_cast<Xmm>(number & 15); }

// Calls visit(dst, a, b) so that every pair of the three meets every pair of registers once.
template <typename Visit>
void for_register_triples(Visit&& visit) {
  for (unsigned i = 0; i < 16; ++i) {
    for (unsigned j = 0; j < 16; ++j) visit(xmm(i), xmm(j), xmm(i + 7 * j));
  }
}

// Calls visit(dst, a, mem) for every interesting memory operand with changing registers.
template <typename Visit>
void for_memory_operands(Visit&& visit) {
  unsigned i = 0;
  for (const Mem& m : interesting_mems()) {
    visit(xmm(i), xmm(i / 3 + 5), m);
    ++i;
  }
}

// `emit` is called as emit(as, dst, a, b) with b an Xmm or a Mem.
template <typename Emit>
void check_three_operands(std::string_view name, Emit&& emit) {
  InstructionChecker checker(MemorySize::kHidden);
  const auto check = [&](Xmm dst, Xmm a, const auto& b) {
    checker.expect(fmt::format("{} {}, {}, {}", name, text(dst), text(a), text(b)), [&](Assembler& as) { emit(as, dst, a, b); });
  };
  for_register_triples(check);
  for_memory_operands(check);
}

template <typename Emit>
void check_three_operands_imm(std::string_view name, Emit&& emit) {
  InstructionChecker checker(MemorySize::kHidden);
  unsigned next = 0;
  const auto check = [&](Xmm dst, Xmm a, const auto& b) {
    const unsigned imm = kImmediates[next++ % std::size(kImmediates)];
    checker.expect(fmt::format("{} {}, {}, {}, {}", name, text(dst), text(a), text(b), imm),
                   [&](Assembler& as) { emit(as, dst, a, b, imm); });
  };
  for_register_triples(check);
  for_memory_operands(check);
}

template <typename Emit>
void check_two_operands(std::string_view name, Emit&& emit) {
  InstructionChecker checker(MemorySize::kHidden);
  const auto check = [&](Xmm dst, Xmm, const auto& src) {
    checker.expect(fmt::format("{} {}, {}", name, text(dst), text(src)), [&](Assembler& as) { emit(as, dst, src); });
  };
  for_register_triples(check);
  for_memory_operands(check);
}

template <typename Emit>
void check_two_operands_imm(std::string_view name, Emit&& emit) {
  InstructionChecker checker(MemorySize::kHidden);
  unsigned next = 0;
  const auto check = [&](Xmm dst, Xmm, const auto& src) {
    const unsigned imm = kImmediates[next++ % std::size(kImmediates)];
    checker.expect(fmt::format("{} {}, {}, {}", name, text(dst), text(src), imm),
                   [&](Assembler& as) { emit(as, dst, src, imm); });
  };
  for_register_triples(check);
  for_memory_operands(check);
}

// `emit(as, reg, xmm)`; `width` is how the general register is written.
template <typename Emit>
void check_gpr_from_xmm(std::string_view name, Width width, Emit&& emit) {
  InstructionChecker checker(MemorySize::kHidden);
  for (Gpr dst : all_gprs()) {
    for (Xmm src : all_xmms()) {
      checker.expect(fmt::format("{} {}, {}", name, text(dst, width), text(src)), [&](Assembler& as) { emit(as, dst, src); });
    }
  }
}

TEST(VectorAssembler, ThreeOperands) {
#define X(name, prefix, map, w, opcode) \
  check_three_operands(#name, [](auto& as, auto dst, auto a, auto& b) { as.name(dst, a, b); });
  ADYTON_X64_VEX_THREE_OPERANDS(X)
#undef X
}

TEST(VectorAssembler, FusedMultiplyAdd) {
#define Y(name) check_three_operands(#name, [](auto& as, auto dst, auto a, auto& b) { as.name(dst, a, b); });
#define X(name, opcode)                                                                                                   \
  Y(name##132ps)                                                                                                          \
  Y(name##132pd) Y(name##132ss) Y(name##132sd) Y(name##213ps) Y(name##213pd) Y(name##213ss) Y(name##213sd) Y(name##231ps) \
      Y(name##231pd) Y(name##231ss) Y(name##231sd)
  ADYTON_X64_FMA(X)
#undef X
#undef Y
}

TEST(VectorAssembler, TwoOperands) {
#define X(name, prefix, map, w, opcode) check_two_operands(#name, [](auto& as, auto dst, auto& src) { as.name(dst, src); });
  ADYTON_X64_VEX_TWO_OPERANDS(X)
#undef X
}

TEST(VectorAssembler, ThreeOperandsWithImmediate) {
#define X(name, prefix, map, w, opcode) \
  check_three_operands_imm(#name, [](auto& as, auto dst, auto a, auto& b, unsigned imm) { as.name(dst, a, b, imm); });
  ADYTON_X64_VEX_THREE_OPERANDS_IMM(X)
#undef X
}

TEST(VectorAssembler, TwoOperandsWithImmediate) {
#define X(name, prefix, map, w, opcode) \
  check_two_operands_imm(#name, [](auto& as, auto dst, auto& src, unsigned imm) { as.name(dst, src, imm); });
  ADYTON_X64_VEX_TWO_OPERANDS_IMM(X)
#undef X
}

TEST(VectorAssembler, BlendsByMaskRegister) {
  InstructionChecker checker(MemorySize::kHidden);
#define X(name, prefix, map, w, opcode)                                                             \
  {                                                                                                 \
    unsigned next = 0;                                                                              \
    const auto check = [&](Xmm dst, Xmm a, const auto& b) {                                         \
      const Xmm mask = xmm(next++);                                                                 \
      checker.expect(fmt::format(#name " {}, {}, {}, {}", text(dst), text(a), text(b), text(mask)), \
                     [&](Assembler& as) { as.name(dst, a, b, mask); });                             \
    };                                                                                              \
    for_register_triples(check);                                                                    \
    for_memory_operands(check);                                                                     \
  }
  ADYTON_X64_VEX_BLEND_VARIABLE(X)
#undef X
}

TEST(VectorAssembler, ShiftsByImmediate) {
  InstructionChecker checker;
#define X(name, opcode, digit)                                                    \
  for_register_triples([&](Xmm dst, Xmm src, Xmm) {                               \
    const unsigned count = number_of(src) * 3;                                    \
    checker.expect(fmt::format(#name " {}, {}, {}", text(dst), text(src), count), \
                   [&](Assembler& as) { as.name(dst, src, count); });             \
  });
  ADYTON_X64_VEX_SHIFT_IMM(X)
#undef X
}

TEST(VectorAssembler, Moves) {
#define X(name, prefix, map, load, store)                                                                            \
  check_two_operands(#name, [](auto& as, auto dst, auto& src) { as.name(dst, src); });                               \
  {                                                                                                                  \
    InstructionChecker checker(MemorySize::kHidden);                                                                 \
    for_memory_operands([&](Xmm src, Xmm, const Mem& dst) {                                                          \
      checker.expect(fmt::format(#name " {}, {}", text(dst), text(src)), [&](Assembler& as) { as.name(dst, src); }); \
    });                                                                                                              \
  }
  ADYTON_X64_VEX_MOVES(X)
#undef X
}

TEST(VectorAssembler, ScalarMoves) {
  InstructionChecker checker;
  for (Gpr gpr : all_gprs()) {
    for (Xmm reg : all_xmms()) {
      checker.expect(fmt::format("vmovd {}, {}", text(reg), text(gpr, Width::k32)), [&](Assembler& as) { as.vmovd(reg, gpr); });
      checker.expect(fmt::format("vmovq {}, {}", text(reg), text(gpr, Width::k64)), [&](Assembler& as) { as.vmovq(reg, gpr); });
      checker.expect(fmt::format("vmovd {}, {}", text(gpr, Width::k32), text(reg)), [&](Assembler& as) { as.vmovd(gpr, reg); });
      checker.expect(fmt::format("vmovq {}, {}", text(gpr, Width::k64), text(reg)), [&](Assembler& as) { as.vmovq(gpr, reg); });
    }
  }
  for_register_triples([&](Xmm dst, Xmm a, Xmm b) {
    checker.expect(fmt::format("vmovq {}, {}", text(dst), text(a)), [&](Assembler& as) { as.vmovq(dst, a); });
    checker.expect(fmt::format("vmovss {}, {}, {}", text(dst), text(a), text(b)), [&](Assembler& as) { as.vmovss(dst, a, b); });
    checker.expect(fmt::format("vmovsd {}, {}, {}", text(dst), text(a), text(b)), [&](Assembler& as) { as.vmovsd(dst, a, b); });
    checker.expect(fmt::format("vmovhlps {}, {}, {}", text(dst), text(a), text(b)),
                   [&](Assembler& as) { as.vmovhlps(dst, a, b); });
    checker.expect(fmt::format("vmovlhps {}, {}, {}", text(dst), text(a), text(b)),
                   [&](Assembler& as) { as.vmovlhps(dst, a, b); });
  });
  for_memory_operands([&](Xmm reg, Xmm a, const Mem& m) {
    const std::string small = text(m, Width::k32), large = text(m, Width::k64);
    checker.expect(fmt::format("vmovd {}, {}", text(reg), small), [&](Assembler& as) { as.vmovd(reg, m); });
    checker.expect(fmt::format("vmovq {}, {}", text(reg), large), [&](Assembler& as) { as.vmovq(reg, m); });
    checker.expect(fmt::format("vmovd {}, {}", small, text(reg)), [&](Assembler& as) { as.vmovd(m, reg); });
    checker.expect(fmt::format("vmovq {}, {}", large, text(reg)), [&](Assembler& as) { as.vmovq(m, reg); });
    checker.expect(fmt::format("vmovss {}, {}", text(reg), small), [&](Assembler& as) { as.vmovss(reg, m); });
    checker.expect(fmt::format("vmovsd {}, {}", text(reg), large), [&](Assembler& as) { as.vmovsd(reg, m); });
    checker.expect(fmt::format("vmovss {}, {}", small, text(reg)), [&](Assembler& as) { as.vmovss(m, reg); });
    checker.expect(fmt::format("vmovsd {}, {}", large, text(reg)), [&](Assembler& as) { as.vmovsd(m, reg); });
    checker.expect(fmt::format("vmovlps {}, {}, {}", text(reg), text(a), large), [&](Assembler& as) { as.vmovlps(reg, a, m); });
    checker.expect(fmt::format("vmovhps {}, {}, {}", text(reg), text(a), large), [&](Assembler& as) { as.vmovhps(reg, a, m); });
    checker.expect(fmt::format("vmovlps {}, {}", large, text(reg)), [&](Assembler& as) { as.vmovlps(m, reg); });
    checker.expect(fmt::format("vmovhps {}, {}", large, text(reg)), [&](Assembler& as) { as.vmovhps(m, reg); });
  });
}

template <typename Emit>
void check_insert(std::string_view name, Width register_width, Width memory_width, unsigned lanes, Emit&& emit) {
  InstructionChecker checker;
  unsigned next = 0;
  for (Gpr src : all_gprs()) {
    for (Xmm dst : all_xmms()) {
      const Xmm a = xmm(number_of(dst) * 3 + 1);
      const unsigned lane = next++ % lanes;
      checker.expect(fmt::format("{} {}, {}, {}, {}", name, text(dst), text(a), text(src, register_width), lane),
                     [&](Assembler& as) { emit(as, dst, a, src, lane); });
    }
  }
  for_memory_operands([&](Xmm dst, Xmm a, const Mem& src) {
    const unsigned lane = next++ % lanes;
    checker.expect(fmt::format("{} {}, {}, {}, {}", name, text(dst), text(a), text(src, memory_width), lane),
                   [&](Assembler& as) { emit(as, dst, a, src, lane); });
  });
}

template <typename Emit>
void check_extract(std::string_view name, Width register_width, Width memory_width, unsigned lanes, Emit&& emit) {
  InstructionChecker checker;
  unsigned next = 0;
  for (Gpr dst : all_gprs()) {
    for (Xmm src : all_xmms()) {
      const unsigned lane = next++ % lanes;
      checker.expect(fmt::format("{} {}, {}, {}", name, text(dst, register_width), text(src), lane),
                     [&](Assembler& as) { emit(as, dst, src, lane); });
    }
  }
  for_memory_operands([&](Xmm src, Xmm, const Mem& dst) {
    const unsigned lane = next++ % lanes;
    checker.expect(fmt::format("{} {}, {}, {}", name, text(dst, memory_width), text(src), lane),
                   [&](Assembler& as) { emit(as, dst, src, lane); });
  });
}

TEST(VectorAssembler, InsertsAndExtracts) {
  check_insert("vpinsrb", Width::k32, Width::k8, 16,
               [](auto& as, Xmm d, Xmm a, auto& s, unsigned lane) { as.vpinsrb(d, a, s, lane); });
  check_insert("vpinsrw", Width::k32, Width::k16, 8,
               [](auto& as, Xmm d, Xmm a, auto& s, unsigned lane) { as.vpinsrw(d, a, s, lane); });
  check_insert("vpinsrd", Width::k32, Width::k32, 4,
               [](auto& as, Xmm d, Xmm a, auto& s, unsigned lane) { as.vpinsrd(d, a, s, lane); });
  check_insert("vpinsrq", Width::k64, Width::k64, 2,
               [](auto& as, Xmm d, Xmm a, auto& s, unsigned lane) { as.vpinsrq(d, a, s, lane); });
  check_extract("vpextrb", Width::k32, Width::k8, 16, [](auto& as, auto& d, Xmm s, unsigned lane) { as.vpextrb(d, s, lane); });
  check_extract("vpextrw", Width::k32, Width::k16, 8, [](auto& as, auto& d, Xmm s, unsigned lane) { as.vpextrw(d, s, lane); });
  check_extract("vpextrd", Width::k32, Width::k32, 4, [](auto& as, auto& d, Xmm s, unsigned lane) { as.vpextrd(d, s, lane); });
  check_extract("vpextrq", Width::k64, Width::k64, 2, [](auto& as, auto& d, Xmm s, unsigned lane) { as.vpextrq(d, s, lane); });
  check_extract("vextractps", Width::k32, Width::k32, 4,
                [](auto& as, auto& d, Xmm s, unsigned lane) { as.vextractps(d, s, lane); });
}

TEST(VectorAssembler, SignMasks) {
  check_gpr_from_xmm("vpmovmskb", Width::k32, [](auto& as, Gpr dst, Xmm src) { as.vpmovmskb(dst, src); });
  check_gpr_from_xmm("vmovmskps", Width::k32, [](auto& as, Gpr dst, Xmm src) { as.vmovmskps(dst, src); });
  check_gpr_from_xmm("vmovmskpd", Width::k32, [](auto& as, Gpr dst, Xmm src) { as.vmovmskpd(dst, src); });
}

template <typename Emit>
void check_to_integer(std::string_view name, Width memory_width, Emit&& emit) {
  for (Width width : kWordWidths) {
    check_gpr_from_xmm(name, width, [&](auto& as, Gpr dst, Xmm src) { emit(as, width, dst, src); });
    InstructionChecker checker;
    for_memory_operands([&](Xmm any, Xmm, const Mem& src) {
      const Gpr dst = static_cast<Gpr>(number_of(any));
      checker.expect(fmt::format("{} {}, {}", name, text(dst, width), text(src, memory_width)),
                     [&](Assembler& as) { emit(as, width, dst, src); });
    });
  }
}

template <typename Emit>
void check_from_integer(std::string_view name, Emit&& emit) {
  InstructionChecker checker;
  for (Width width : kWordWidths) {
    for (Gpr src : all_gprs()) {
      for (Xmm dst : all_xmms()) {
        const Xmm rest = xmm(number_of(dst) * 3 + 1);
        checker.expect(fmt::format("{} {}, {}, {}", name, text(dst), text(rest), text(src, width)),
                       [&](Assembler& as) { emit(as, width, dst, rest, src); });
      }
    }
    for_memory_operands([&](Xmm dst, Xmm rest, const Mem& src) {
      checker.expect(fmt::format("{} {}, {}, {}", name, text(dst), text(rest), text(src, width)),
                     [&](Assembler& as) { emit(as, width, dst, rest, src); });
    });
  }
}

TEST(VectorAssembler, ScalarConversions) {
  check_from_integer("vcvtsi2ss", [](auto& as, Width w, Xmm d, Xmm r, auto& s) { as.vcvtsi2ss(w, d, r, s); });
  check_from_integer("vcvtsi2sd", [](auto& as, Width w, Xmm d, Xmm r, auto& s) { as.vcvtsi2sd(w, d, r, s); });
  check_to_integer("vcvtss2si", Width::k32, [](auto& as, Width w, Gpr d, auto& s) { as.vcvtss2si(w, d, s); });
  check_to_integer("vcvtsd2si", Width::k64, [](auto& as, Width w, Gpr d, auto& s) { as.vcvtsd2si(w, d, s); });
  check_to_integer("vcvttss2si", Width::k32, [](auto& as, Width w, Gpr d, auto& s) { as.vcvttss2si(w, d, s); });
  check_to_integer("vcvttsd2si", Width::k64, [](auto& as, Width w, Gpr d, auto& s) { as.vcvttsd2si(w, d, s); });
}

TEST(VectorAssembler, HalfPrecisionStore) {
  InstructionChecker checker(MemorySize::kHidden);
  const auto check = [&](Xmm src, Xmm, const auto& dst) {
    checker.expect(fmt::format("vcvtps2ph {}, {}, {}", text(dst), text(src), 4),
                   [&](Assembler& as) { as.vcvtps2ph(dst, src, 4); });
  };
  for_register_triples(check);
  for_memory_operands(check);
}

TEST(VectorAssembler, Sha) {
#define X(name, opcode) check_two_operands(#name, [](auto& as, auto dst, auto& src) { as.name(dst, src); });
  ADYTON_X64_SHA(X)
#undef X
  check_two_operands_imm("sha1rnds4", [](auto& as, Xmm dst, auto& src, unsigned imm) { as.sha1rnds4(dst, src, imm); });
}

TEST(VectorAssembler, ZeroUpper) {
  InstructionChecker checker;
  checker.expect("vzeroupper", [](Assembler& as) { as.vzeroupper(); });
}

TEST(Avx512Assembler, ThreeOperands) {
#define X(name, prefix, map, w, opcode, size) \
  check_three_operands(#name, [](auto& as, auto dst, auto a, auto& b) { as.name##_avx512(dst, a, b); });
  ADYTON_X64_EVEX_THREE_OPERANDS(X)
#undef X
}

TEST(Avx512Assembler, TwoOperands) {
#define X(name, prefix, map, w, opcode, size) \
  check_two_operands(#name, [](auto& as, auto dst, auto& src) { as.name##_avx512(dst, src); });
  ADYTON_X64_EVEX_TWO_OPERANDS(X)
#undef X
}

TEST(Avx512Assembler, ThreeOperandsWithImmediate) {
#define X(name, prefix, map, w, opcode, size) \
  check_three_operands_imm(#name, [](auto& as, auto dst, auto a, auto& b, unsigned imm) { as.name##_avx512(dst, a, b, imm); });
  ADYTON_X64_EVEX_THREE_OPERANDS_IMM(X)
#undef X
}

TEST(Avx512Assembler, ShiftsByImmediate) {
#define X(name, w, digit) \
  check_two_operands_imm(#name, [](auto& as, auto dst, auto& src, unsigned imm) { as.name##_avx512(dst, src, imm); });
  ADYTON_X64_EVEX_SHIFT_IMM(X)
#undef X
}

TEST(Avx512Assembler, NarrowingMoves) {
  InstructionChecker checker;
#define X(name, opcode)                                                                                                     \
  for_register_triples([&](Xmm dst, Xmm src, Xmm) {                                                                         \
    checker.expect(fmt::format(#name " {}, {}", text(dst), text(src)), [&](Assembler& as) { as.name##_avx512(dst, src); }); \
  });
  ADYTON_X64_EVEX_NARROW(X)
#undef X
}

TEST(Avx512Assembler, BroadcastsOfGeneralRegisters) {
  InstructionChecker checker;
#define X(name, w, opcode)                                                                              \
  for (Gpr src : all_gprs()) {                                                                          \
    for (Xmm dst : all_xmms()) {                                                                        \
      checker.expect(fmt::format(#name " {}, {}", text(dst), text(src, (w) ? Width::k64 : Width::k32)), \
                     [&](Assembler& as) { as.name##_avx512(dst, src); });                               \
    }                                                                                                   \
  }
  ADYTON_X64_EVEX_BROADCAST_GPR(X)
#undef X
}

TEST(Avx512Assembler, UnsignedScalarConversions) {
  check_from_integer("vcvtusi2ss", [](auto& as, Width w, Xmm d, Xmm r, auto& s) { as.vcvtusi2ss_avx512(w, d, r, s); });
  check_from_integer("vcvtusi2sd", [](auto& as, Width w, Xmm d, Xmm r, auto& s) { as.vcvtusi2sd_avx512(w, d, r, s); });
  check_to_integer("vcvtss2usi", Width::k32, [](auto& as, Width w, Gpr d, auto& s) { as.vcvtss2usi_avx512(w, d, s); });
  check_to_integer("vcvtsd2usi", Width::k64, [](auto& as, Width w, Gpr d, auto& s) { as.vcvtsd2usi_avx512(w, d, s); });
  check_to_integer("vcvttss2usi", Width::k32, [](auto& as, Width w, Gpr d, auto& s) { as.vcvttss2usi_avx512(w, d, s); });
  check_to_integer("vcvttsd2usi", Width::k64, [](auto& as, Width w, Gpr d, auto& s) { as.vcvttsd2usi_avx512(w, d, s); });
}

}  // namespace
}  // namespace adyton::engine::x64
