// Translated code against the reference interpreter, all state, and against VIXL's simulator.
#include <gtest/gtest.h>

#include <array>
#include <cstdlib>
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
constexpr Encoding kInteger[] = {
#include "engine/interp/testing/encodings_integer.inc"
};
constexpr Encoding kMemory[] = {
#include "engine/interp/testing/encodings_memory.inc"
};
constexpr Encoding kSimd[] = {
#include "engine/interp/testing/encodings_simd.inc"
};
constexpr Encoding kFp[] = {
#include "engine/interp/testing/encodings_fp.inc"
};
#undef X

constexpr uint32_t kFpcrRMode = fp::kFpcrRMode, kFpcrControls = kFpcrRMode | fp::kFpcrFz | fp::kFpcrDn | fp::kFpcrAhp;

class Translated : public ::testing::Test {
 protected:
  // Against the interpreter: whatever is compared must agree, exceptions and FPSR too.
  void agree_with_interpreter(std::span<const Encoding> rows, uint64_t single, uint64_t programs) {
    agree_with_interpreter(translated_, rows, single, programs);
  }
  void agree_with_interpreter(TranslatedExecutor& translated, std::span<const Encoding> rows, uint64_t single, uint64_t programs) {
    FuzzConfig config = fuzz_config(single);
    config.prepare = [](Random& random, MachineState& state) {
      const auto bits = static_cast<uint32_t>(random.next());
      state.fpcr = random.one_in(2) ? 0 : bits & (random.one_in(4) ? kFpcrControls : kFpcrRMode);
    };
    // Arm detects tininess before rounding, x86 after: UFC is not raised when a tiny number is rounded up to the smallest normal one.
    config.compare.ignored_fpsr_bits = fp::kFpsrUfc;
    auto failure = fuzz(interpreter_, translated, rows, config);
    EXPECT_FALSE(failure) << *failure;
    if (programs == 0) return;
    config.count = std::getenv("ADYTON_FUZZ_COUNT") ? config.count : programs;
    config.program_length = 24;
    // What a store-exclusive without its load-exclusive does is IMPLEMENTATION DEFINED in many ways.
    config.excluded_flags |= kStatusRegister;
    // Where an exception is taken, translated code may leave flags behind that nobody can read before they are written again.
    config.skip = [this](uint32_t word) { return is_undefined(word); };
    failure = fuzz(interpreter_, translated, rows, config);
    EXPECT_FALSE(failure) << *failure;
  }
  void agree_with_vixl(std::span<const Encoding> rows, uint64_t count) {
    FuzzConfig config = fuzz_config(count);
    config.compare.fpsr = false;
    config.excluded_flags = kNoVixl;
    config.is_allocated = is_allocated;
    config.skip = [this](uint32_t word) { return vixl_is_wrong_about(word) || is_undefined(word); };
    const auto failure = fuzz(vixl_, translated_, rows, config);
    EXPECT_FALSE(failure) << *failure;
  }

  // VIXL executes many reserved encodings; what is UNDEFINED is the interpreter's to confirm.
  bool is_undefined(uint32_t word) {
    MachineState scratch;
    interpreter_.run(std::span(&word, 1), scratch);
    return scratch.exception && scratch.exception_class == 0;
  }

  FixedMemory window_{kWindowAddress, kWindowSize};
  InterpreterExecutor interpreter_{window_};
  VixlOracle vixl_{window_};
  TranslatedExecutor translated_;
};

TEST_F(Translated, IntegerAgreesWithInterpreter) { agree_with_interpreter(kInteger, 40'000, 2'000); }
TEST_F(Translated, MemoryAgreesWithInterpreter) { agree_with_interpreter(kMemory, 40'000, 2'000); }
TEST_F(Translated, SimdAgreesWithInterpreter) { agree_with_interpreter(kSimd, 40'000, 2'000); }
TEST_F(Translated, FloatingPointAgreesWithInterpreter) { agree_with_interpreter(kFp, 40'000, 2'000); }
TEST_F(Translated, FloatingPointOnBaselineHostAgreesWithInterpreter) {
  TranslatedExecutor baseline({.baseline_host = true, .code_cache_size = 64 << 20});
  agree_with_interpreter(baseline, kFp, 40'000, 2'000);
}
TEST_F(Translated, IntegerAgreesWithVixl) { agree_with_vixl(kInteger, 20'000); }
TEST_F(Translated, MemoryAgreesWithVixl) { agree_with_vixl(kMemory, 20'000); }

TEST_F(Translated, ProgramsOfEverythingAgreeWithInterpreter) {
  std::vector<Encoding> all(std::begin(kInteger), std::end(kInteger));
  all.insert(all.end(), std::begin(kMemory), std::end(kMemory));
  all.insert(all.end(), std::begin(kSimd), std::end(kSimd));
  all.insert(all.end(), std::begin(kFp), std::end(kFp));
  agree_with_interpreter(all, 0, 4'000);
}

TEST_F(Translated, FloatingPointRaisesUnderflow) {
  MachineState state;
  state.v[1].d[0] = 0x0010'0000'0000'0001;  // just above the smallest normal double
  state.v[2].d[0] = 0x3fd5'5555'5555'5555;
  translated_.run(std::array{0x1e620820u}, state);  // FMUL D0, D1, D2
  EXPECT_FALSE(state.exception);
  EXPECT_EQ(state.fpsr, fp::kFpsrUfc | fp::kFpsrIxc);
}

}  // namespace
}  // namespace adyton::engine::jit::testing
