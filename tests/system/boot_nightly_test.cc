// A newer stock kernel than the usual one boots again and again on any number of CPUs (tests/e2e/boot_test.cc does it with Debian 12's).
// A boot that hangs once in twenty is a race of the engine.
#include <gtest/gtest.h>

#include "tests/system/boot.h"

namespace adyton::system_test {
namespace {

struct Case {
  const char* name;
  const char* suite;
  unsigned cpus;
};

class Boots : public ::testing::TestWithParam<Case> {};

TEST_P(Boots, TwentyTimesInARow) { expect_boots(GetParam().suite, GetParam().cpus, 20); }

// trixie-backports follows Debian's testing: Linux 7.x.
INSTANTIATE_TEST_SUITE_P(Kernels, Boots,
                         ::testing::Values(Case{"BackportsOn1Cpu", "trixie-backports", 1}, Case{"BackportsOn2Cpus", "trixie-backports", 2},
                                           Case{"BackportsOn4Cpus", "trixie-backports", 4}),
                         [](const auto& kernel) { return std::string(kernel.param.name); });

}  // namespace
}  // namespace adyton::system_test
