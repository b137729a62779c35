// Debian's userland in the guest, at length: every program prints on Adyton what it prints on QEMU's system emulator, with the
// same kernel.
#include <gtest/gtest.h>

#include "tests/system/guest.h"
#include "tests/system/scripts.h"

namespace adyton::system_test {
namespace {

using e2e::Finished;

void expect_like_qemu(const std::string& root, const std::string& script) {
  const Finished ours = run_script(root, script);
  const Finished theirs = run_script_in_qemu(root, script);
  EXPECT_EQ(ours.output, theirs.output) << ours.errors;
  EXPECT_EQ(ours.code, theirs.code) << ours.errors;
  EXPECT_FALSE(ours.output.empty());
}

TEST(Userland, OpenSslDigestsAndCiphers) { expect_like_qemu(small_root(), kOpenSsl); }
TEST(Userland, OpenSslKeys) { expect_like_qemu(small_root(), kOpenSslKeys); }
TEST(Userland, OpenSslSpeed) { expect_like_qemu(small_root(), kOpenSslSpeed); }
TEST(Userland, Sqlite) { expect_like_qemu(small_root(), kSqlite); }
TEST(Userland, Perl) { expect_like_qemu(small_root(), kPerl); }
TEST(Userland, AShellForksAThousandTimes) { expect_like_qemu(small_root(), kForks); }
TEST(Userland, GccAndWhatItCompiles) { expect_like_qemu(full_root(), kGcc); }

// Python's tests of its own modules. What each single test came to is compared; the log of the run is shown when they differ.
class Python : public ::testing::TestWithParam<const char*> {};

TEST_P(Python, OwnTests) {
  const std::string script = std::string("python3 -m test -v ") + GetParam() + R"( >/tmp/log 2>&1; status=$?
cat /tmp/log >&2
sed -nE 's/.*\.\.\. (ok|FAIL|ERROR|skipped.*|expected failure)$/&/p' /tmp/log | sort
exit $status)";
  const std::string root = full_root();
  const Finished ours = run_script(root, script);
  EXPECT_EQ(ours.code, 0) << ours.errors;
  const Finished theirs = run_script_in_qemu(root, script);
  EXPECT_EQ(theirs.code, 0);
  EXPECT_EQ(ours.output, theirs.output) << ours.errors;
  EXPECT_NE(ours.output.find("... ok\n"), std::string::npos);
}

INSTANTIATE_TEST_SUITE_P(Modules, Python,
                         ::testing::Values("test_math", "test_struct", "test_json", "test_threading", "test_hashlib"),
                         [](const auto& module) { return std::string(module.param); });

}  // namespace
}  // namespace adyton::system_test
