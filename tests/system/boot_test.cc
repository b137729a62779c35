// The kernel that payloads get, once; boot_nightly_test.cc is the long form.
#include "tests/system/boot.h"

#include <gtest/gtest.h>

namespace adyton::system_test {
namespace {

TEST(Boot, LinuxOfDebian12OnOneCpu) { expect_boots("bookworm", 1, 1); }
TEST(Boot, LinuxOfDebian12OnFourCpus) { expect_boots("bookworm", 4, 1); }

}  // namespace
}  // namespace adyton::system_test
