// What becomes of a VM of which one thread does what it must not, or has a fault: for every kind of thread that there is.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <filesystem>
#include <set>
#include <string>

#include "tests/e2e/every_thread.h"

namespace adyton::e2e {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

class EveryThread : public ::testing::TestWithParam<ThreadKind> {
 protected:
  void SetUp() override {
    if (!kFilters) GTEST_SKIP() << "the sandbox is reduced under a sanitizer";
    if (::geteuid() != 0) GTEST_SKIP() << "only root may trace a process that is not dumpable";
#if !defined(__x86_64__)
    GTEST_SKIP() << "threads are only hijacked on x86-64";
#endif
  }
};

TEST_P(EveryThread, AForbiddenCallIsNamedWithItsThread) {
  const auto end = hijack_thread(GetParam(), "syscall", SYS_getuid);
  if (!end && end.error().code == ErrorCode::kUnsupported) GTEST_SKIP() << end.error().message;
  ASSERT_TRUE(end) << end.error().message;
  EXPECT_EQ(end->exit_code, 159);
  EXPECT_EQ(end->last_message,
            std::string(R"({"type":"ended","reason":"forbidden-call","message":"it made the system call getuid, )") +
                "which its sandbox forbids (thread " + GetParam().thread + ")\"}");
}

// One that the C library finds out about, and says so in its own words before it aborts.
TEST_P(EveryThread, AFaultIsCalledAFault) {
  const auto end = hijack_thread(GetParam(), "__stack_chk_fail", 0);
  if (!end && end.error().code == ErrorCode::kUnsupported) GTEST_SKIP() << end.error().message;
  ASSERT_TRUE(end) << end.error().message;
  EXPECT_EQ(end->exit_code, 159);
  EXPECT_EQ(end->last_message,
            std::string(R"({"type":"ended","reason":"internal-error","message":"the virtual machine monitor )") +
                "aborted (thread " + GetParam().thread + ")\"}");
  EXPECT_THAT(end->errors, HasSubstr("stack smashing detected"));
}

INSTANTIATE_TEST_SUITE_P(Policies, EveryThread, ::testing::ValuesIn(kThreadKinds), [](const auto& test) {
  std::string name = test.param.policy;
  std::erase(name, '-');
  return name;
});

TEST(ThreadKinds, AreAllThatHaveAPolicy) {
  std::set<std::string> policies, kinds;
  for (const auto& entry : fs::directory_iterator(ADYTON_POLICIES)) policies.insert(entry.path().stem());
  for (const ThreadKind& kind : kThreadKinds) kinds.insert(kind.policy);
  EXPECT_EQ(kinds, policies);
}

}  // namespace
}  // namespace adyton::e2e
