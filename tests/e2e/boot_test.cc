// The guest boots, again and again, on any number of CPUs.
#include <gtest/gtest.h>

#include "tests/e2e/adyton.h"

namespace adyton::e2e {
namespace {

class Boots : public ::testing::TestWithParam<const char*> {};

INSTANTIATE_TEST_SUITE_P(Cpus, Boots, ::testing::Values("1", "2", "4"));

TEST_P(Boots, TwentyTimesInARow) {
  for (int i = 0; i < 20; ++i) {
    const Finished done = run({"--smp", GetParam(), probe(), "exit", std::to_string(i)});
    ASSERT_EQ(done.code, i) << "boot " << i << ": " << done.errors;
  }
}

}  // namespace
}  // namespace adyton::e2e
