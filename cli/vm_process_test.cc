#include "cli/vm_process.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <csignal>

namespace adyton::cli {
namespace {

TEST(VmProcess, EndsWhenItsOwnerLetsGo) {
  pid_t pid = -1;
  {
    // A program that reads its end of the control socket for ever.
    auto process = VmProcess::spawn("/usr/bin/yes", "test");
    ASSERT_TRUE(process) << process.error().message;
    pid = process->pid();
    EXPECT_EQ(::kill(pid, 0), 0);
  }
  EXPECT_EQ(::kill(pid, 0), -1);
  EXPECT_EQ(errno, ESRCH);
}

TEST(VmProcess, SaysHowItEnded) {
  auto process = VmProcess::spawn("/bin/false", "test");
  ASSERT_TRUE(process);
  EXPECT_FALSE(process->control().receive());  // until it is gone
  const std::string how = process->finish();
  EXPECT_TRUE(how == "exit code 1" || how == "killed by signal 9 (Killed)") << how;
}

TEST(VmProcess, AMissingProgramIsAnError) {
  auto process = VmProcess::spawn("/nonexistent/adyton-vmm", "test");
  ASSERT_FALSE(process);
  EXPECT_EQ(process.error().code, ErrorCode::kNotFound);
}

}  // namespace
}  // namespace adyton::cli
