// The interpreter against VIXL's simulator, over random integer, branch and load/store instructions.
#include <gtest/gtest.h>

#include <vector>

#include "engine/interp/testing/interpreter_executor.h"
#include "engine/interp/testing/random_program.h"
#include "engine/interp/testing/vixl_oracle.h"

namespace adyton::engine::interp::testing {
namespace {

constexpr Encoding kInteger[] = {
#define X(name, pattern, flags) Encoding(#name, pattern, flags),
#include "engine/interp/testing/encodings_integer.inc"
#undef X
};

constexpr Encoding kMemory[] = {
#define X(name, pattern, flags) Encoding(#name, pattern, flags),
#include "engine/interp/testing/encodings_memory.inc"
#undef X
};

class Differential : public ::testing::Test {
 protected:
  static FuzzConfig config(uint64_t count) {
    FuzzConfig result = fuzz_config(count);
    result.compare.fpsr = false;
    result.excluded_flags = kNoVixl;
    result.is_allocated = is_allocated;
    result.skip = vixl_is_wrong_about;
    return result;
  }
  FixedMemory window{kWindowAddress, kWindowSize};
  VixlOracle vixl{window};
  InterpreterExecutor interpreter{window};
};

TEST_F(Differential, IntegerInstructionsAgreeWithVixl) {
  const auto failure = fuzz(vixl, interpreter, kInteger, config(200'000));
  EXPECT_FALSE(failure) << *failure;
}

TEST_F(Differential, LoadsAndStoresAgreeWithVixl) {
  const auto failure = fuzz(vixl, interpreter, kMemory, config(200'000));
  EXPECT_FALSE(failure) << *failure;
}

// What an instruction leaves must be what the next one finds; and branches inside the program.
TEST_F(Differential, ProgramsAgreeWithVixl) {
  std::vector<Encoding> all(std::begin(kInteger), std::end(kInteger));
  all.insert(all.end(), std::begin(kMemory), std::end(kMemory));
  FuzzConfig programs = config(5'000);
  programs.program_length = 32;
  const auto failure = fuzz(vixl, interpreter, all, programs);
  EXPECT_FALSE(failure) << *failure;
}

}  // namespace
}  // namespace adyton::engine::interp::testing
