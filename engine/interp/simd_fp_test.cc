// Floating point, Advanced SIMD and cryptography against VIXL's simulator and QEMU.
#include <gtest/gtest.h>

#include "engine/fp/soft_float.h"
#include "engine/interp/testing/interpreter_executor.h"
#include "engine/interp/testing/qemu_oracle.h"
#include "engine/interp/testing/random_program.h"
#include "engine/interp/testing/vixl_oracle.h"

namespace adyton::engine::interp::testing {
namespace {

constexpr Encoding kSimd[] = {
#define X(name, pattern, flags) Encoding(#name, pattern, flags),
#include "engine/interp/testing/encodings_simd.inc"
#undef X
};
constexpr Encoding kFp[] = {
#define X(name, pattern, flags) Encoding(#name, pattern, flags),
#include "engine/interp/testing/encodings_fp.inc"
#undef X
};
constexpr Encoding kUnadvertised[] = {
#define X(name, pattern, flags) Encoding(#name, pattern, flags),
#include "engine/interp/testing/encodings_unadvertised.inc"
#undef X
};
// The whole group of C4.1.95
constexpr Encoding kAnything[] = {Encoding("Anything", "oooo 111 qqqqqqqqq rr wwwwww hhhhhhhh", kPlain)};
// What VIXL 5.1 computes wrongly.
constexpr Encoding kWrongInVixl[] = {
    // Keep the upper bits of the destination: scalar and 64-bit vector SCVTF and UCVTF, FCVTN.
    Encoding("ConvertToFloat", "0Q U 01110 0y 10000 11101 10 nnnnn ddddd", kPlain),
    Encoding("ConvertToFloatScalar", "01 U 11110 0y 10000 11101 10 nnnnn ddddd", kPlain),
    Encoding("ConvertToFloatFixed", "0Q U 011110 iiii iii 11100 1 nnnnn ddddd", kPlain),
    Encoding("ConvertToFloatFixedScalar", "01 U 111110 iiii iii 11100 1 nnnnn ddddd", kPlain),
    Encoding("Narrow", "00 0 01110 0y 10000 10110 10 nnnnn ddddd", kPlain),
    // FCVTXN loses the sign of tiny numbers.
    Encoding("NarrowToOdd", "0Q 1 01110 01 10000 10110 10 nnnnn ddddd", kPlain),
    Encoding("NarrowToOddScalar", "01 1 11110 01 10000 10110 10 nnnnn ddddd", kPlain),
    // FRSQRTS rounds twice: 00ffffff and ff033b0f give 40633b0f, where 40633b0e is nearer to (3 - a * b) / 2. QEMU's is tested against.
    Encoding("ReciprocalSqrtStep", "0Q 0 01110 1y 1 mmmmm 11111 1 nnnnn ddddd", kPlain),
    Encoding("ReciprocalSqrtStepScalar", "01 0 11110 1y 1 mmmmm 11111 1 nnnnn ddddd", kPlain),
    // PMULL of doublewords is not implemented, that of bytes overwrites a source that is also the destination.
    Encoding("PolynomialMultiplyLong", "0Q 0 01110 zz 1 mmmmm 1110 00 nnnnn ddddd", kPlain),
};

template <size_t N>
bool matches(const Encoding (&encodings)[N], uint32_t insn) {
  for (const Encoding& encoding : encodings) {
    if ((insn & encoding.mask) == encoding.bits) return true;
  }
  return false;
}

// FJCVTZS in QEMU 7.2 says that a subnormal which FPCR.FZ flushes was converted exactly (FPToFixedJS: Z = '0').
bool is_javascript_conversion(uint32_t insn) { return (insn & 0xfffffc00) == 0x1e7e0000; }

// By-element instructions whose element lies in the destination register: VIXL overwrites it while it is still needed.
bool element_overwritten_in_vixl(uint32_t insn) {
  return (insn & 0x8f000400) == 0x0f000000 && ((insn >> 16) & 31) == (insn & 31);
}

class SimdFp : public ::testing::Test {
 protected:
  FuzzConfig vixl_config(uint64_t count) {
    FuzzConfig config = fuzz_config(count);
    config.compare.fpsr = false;
    config.excluded_flags = kNoVixl;
    config.is_allocated = is_allocated;
    // VIXL executes many reserved arrangements, like ADDV of 2D: UNDEFINED is QEMU's to confirm.
    config.skip = [this](uint32_t insn) {
      return matches(kWrongInVixl, insn) || element_overwritten_in_vixl(insn) || is_undefined(insn);
    };
    return config;
  }

  bool is_undefined(uint32_t insn) {
    MachineState scratch;
    interpreter.run(std::span(&insn, 1), scratch);
    return scratch.exception;
  }

  void agrees_with_qemu(std::span<const Encoding> encodings, uint64_t count, bool flush_to_zero) {
    const auto qemu = QemuOracle::create();
    if (!qemu) GTEST_SKIP() << "no qemu-aarch64, or no cross compiler when this was built";
    FuzzConfig config = fuzz_config(count);
    config.skip = [=](uint32_t insn) {
      return matches(kUnadvertised, insn) || (flush_to_zero && is_javascript_conversion(insn));
    };
    config.prepare = [=](Random& random, MachineState& state) {
      state.fpcr = static_cast<uint32_t>(random.next()) & (fp::kFpcrRMode | fp::kFpcrDn | fp::kFpcrAhp);
      if (flush_to_zero) state.fpcr |= fp::kFpcrFz;
      if (random.one_in(8)) state.fpsr = static_cast<uint32_t>(random.next()) & 0x0800'009f;
    };
    const auto failure = fuzz(*qemu, interpreter, encodings, config);
    EXPECT_FALSE(failure) << *failure;
  }

  FixedMemory window{kWindowAddress, kWindowSize};
  VixlOracle vixl{window};
  InterpreterExecutor interpreter{window};
};

TEST_F(SimdFp, IntegerVectorInstructionsAgreeWithVixl) {
  const auto failure = fuzz(vixl, interpreter, kSimd, vixl_config(300'000));
  EXPECT_FALSE(failure) << *failure;
}

TEST_F(SimdFp, FloatingPointAgreesWithVixl) {
  FuzzConfig config = vixl_config(300'000);
  // VIXL computes with the host's rounding mode and never flushes to zero.
  config.prepare = [](Random& random, MachineState& state) { state.fpcr = random.one_in(4) ? fp::kFpcrDn : 0; };
  const auto failure = fuzz(vixl, interpreter, kFp, config);
  EXPECT_FALSE(failure) << *failure;
}

TEST_F(SimdFp, IntegerVectorInstructionsAgreeWithQemu) { agrees_with_qemu(kSimd, 60'000, false); }
TEST_F(SimdFp, FloatingPointAgreesWithQemu) { agrees_with_qemu(kFp, 60'000, false); }
TEST_F(SimdFp, FlushingFloatingPointAgreesWithQemu) { agrees_with_qemu(kFp, 40'000, true); }
TEST_F(SimdFp, RandomWordsAreAllocatedAsInQemu) { agrees_with_qemu(kAnything, 100'000, false); }

TEST_F(SimdFp, WhatIsNotAdvertisedIsUndefined) {
  Random random(fuzz_config(0).seed);
  for (const Encoding& encoding : kUnadvertised) {
    for (unsigned i = 0; i < 500; ++i) {
      MachineState state = random_state(random);
      const Instance instance = random_instance(random, encoding, kCodeAddress);
      const MachineState before = state;
      interpreter.run(std::span(&instance.word, 1), state);
      ASSERT_TRUE(state.exception && state.exception_class == 0)
          << encoding.name << std::hex << ' ' << instance.word << ' ' << disassemble(instance.word);
      state.exception = false;
      EXPECT_EQ(differences(before, state, {}), "") << encoding.name;
    }
  }
}

}  // namespace
}  // namespace adyton::engine::interp::testing
