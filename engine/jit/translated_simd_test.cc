// Translated Advanced SIMD and cryptography: on the host's full instruction set and on its baseline, sequences that are
// translated together, and faults in the middle of structures.
#include <gtest/gtest.h>

#include <vector>

#include "engine/fp/soft_float.h"
#include "engine/interp/testing/interpreter_executor.h"
#include "engine/interp/testing/random_program.h"
#include "engine/interp/testing/vixl_oracle.h"
#include "engine/jit/testing/translated_executor.h"

namespace adyton::engine::jit::testing {
namespace {

using namespace interp::testing;

#define X(name, pattern, flags) Encoding(#name, pattern, flags),
constexpr Encoding kSimd[] = {
#include "engine/interp/testing/encodings_simd.inc"
};
constexpr Encoding kMemory[] = {
#include "engine/interp/testing/encodings_memory.inc"
};
#undef X

class TranslatedSimd : public ::testing::TestWithParam<bool> {
 protected:
  // Both start from the same state, run the program and must end in the same state.
  void expect_agreement(std::span<const uint32_t> program, const MachineState& state) {
    MachineState expected = state, actual = state;
    interpreter_.run(program, expected);
    translated_.run(program, actual);
    EXPECT_FALSE(expected.exception);
    std::string text = differences(expected, actual, {});
    if (text.empty()) return;
    for (const uint32_t word : program) text += disassemble(word) + "\n";
    ADD_FAILURE() << text;
  }

  FixedMemory window_{kWindowAddress, kWindowSize};
  InterpreterExecutor interpreter_{window_};
  TranslatedExecutor translated_{{.baseline_host = GetParam(), .code_cache_size = 64 << 20}};
};

INSTANTIATE_TEST_SUITE_P(Hosts, TranslatedSimd, ::testing::Bool(),
                         [](const auto& host) { return host.param ? "Baseline" : "AllFeatures"; });

TEST_P(TranslatedSimd, AgreesWithInterpreter) {
  FuzzConfig config = fuzz_config(60'000);
  auto failure = fuzz(interpreter_, translated_, kSimd, config);
  EXPECT_FALSE(failure) << *failure;
  failure = fuzz(interpreter_, translated_, kMemory, config);
  EXPECT_FALSE(failure) << *failure;
}

TEST_P(TranslatedSimd, ProgramsAgreeWithInterpreter) {
  FuzzConfig config = fuzz_config(3'000);
  config.program_length = 24;
  // FP arithmetic by element is among the encodings: see translated_test.cc about underflow.
  config.compare.ignored_fpsr_bits = fp::kFpsrUfc;
  config.is_allocated = is_allocated;
  config.skip = [this](uint32_t word) {
    MachineState scratch;
    interpreter_.run(std::span(&word, 1), scratch);
    return scratch.exception;
  };
  const auto failure = fuzz(interpreter_, translated_, kSimd, config);
  EXPECT_FALSE(failure) << *failure;
}

// AESE with the AESMC of the same register, AESD with AESIMC, in a row and by themselves.
TEST_P(TranslatedSimd, AesRounds) {
  const FuzzConfig config = fuzz_config(300);
  SCOPED_TRACE(config.seed);
  Random random(config.seed);
  for (uint64_t n = 0; n < config.count; ++n) {
    std::vector<uint32_t> program;
    for (int i = 0; i < 8; ++i) {
      const auto d = static_cast<uint32_t>(random.below(4)), key = static_cast<uint32_t>(random.below(4));
      const uint32_t decrypt = random.one_in(2) ? 0x1000 : 0;
      program.push_back(0x4e284800 | decrypt | key << 5 | d);
      if (random.one_in(8)) continue;
      const uint32_t to = random.one_in(8) ? key : d;
      program.push_back(0x4e286800 | (random.one_in(8) ? 0x1000 - decrypt : decrypt) | to << 5 | d);
    }
    expect_agreement(program, random_state(random));
  }
}

// SHA256H and SHA256H2 share one computation when they have the same operands.
TEST_P(TranslatedSimd, Sha256Rounds) {
  const FuzzConfig config = fuzz_config(300);
  SCOPED_TRACE(config.seed);
  Random random(config.seed);
  for (uint64_t n = 0; n < config.count; ++n) {
    std::vector<uint32_t> program;
    for (int i = 0; i < 6; ++i) {
      const auto w = static_cast<uint32_t>(random.below(6)), copy_from = static_cast<uint32_t>(random.one_in(8) ? 1 : 0);
      program.push_back(0x4ea01c02 | copy_from << 16 | copy_from << 5);  // MOV V2, V0 (or V1)
      program.push_back(0x5e004020 | w << 16);                           // SHA256H Q0, Q1, Vw
      if (random.one_in(4)) program.push_back(0x5e282800 | 3 | w << 5);  // SHA256SU0 V3, Vw
      program.push_back(0x5e005041 | (random.one_in(8) ? 4 : w) << 16);  // SHA256H2 Q1, Q2, Vw
      if (random.one_in(4)) program.push_back(0x5e006083 | w << 16);     // SHA256SU1 V3, V4, Vw
    }
    expect_agreement(program, random_state(random));
  }
}

// A structure that runs into an unmapped page leaves all registers, the base included, as they were.
TEST_P(TranslatedSimd, StructuresFaultPrecisely) {
  constexpr uint64_t kEnd = kWindowAddress + kWindowSize;
  const uint32_t words[] = {
      0x4cdf2020,  // LD1 {V0.16B-V3.16B}, [X1], #64
      0x4cdf0020,  // LD4 {V0.16B-V3.16B}, [X1], #64
      0x4cdf4420,  // LD3 {V0.8H-V2.8H}, [X1], #48
      0x0cdf8820,  // LD2 {V0.2S, V1.2S}, [X1], #16
      0x4dffa420,  // LD4 {V0.D-V3.D}[1], [X1], #32
      0x4dffec20,  // LD4R {V0.2D-V3.2D}, [X1], #32
      0x4c9f2020,  // ST1 {V0.16B-V3.16B}, [X1], #64
  };
  Random random(1);
  for (const uint32_t word : words) {
    for (const unsigned before_end : {4u, 8u, 24u, 40u}) {
      MachineState state = random_state(random), after;
      state.x[1] = kEnd - before_end;
      after = state;
      translated_.run(std::span(&word, 1), after);
      const bool fits = word == 0x0cdf8820 && before_end >= 16;
      const bool fits_lanes = (word == 0x4dffa420 || word == 0x4dffec20) && before_end >= 32;
      if (fits || fits_lanes) {
        EXPECT_FALSE(after.exception) << disassemble(word);
        continue;
      }
      EXPECT_TRUE(after.exception) << disassemble(word) << ", " << before_end << " bytes before the end";
      EXPECT_EQ(after.x[1], state.x[1]) << disassemble(word);
      for (unsigned i = 0; i < 4; ++i) {
        EXPECT_EQ(after.v[i].d[0], state.v[i].d[0]) << disassemble(word);
        EXPECT_EQ(after.v[i].d[1], state.v[i].d[1]) << disassemble(word);
      }
    }
  }
}

}  // namespace
}  // namespace adyton::engine::jit::testing
