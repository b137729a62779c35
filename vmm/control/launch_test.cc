#include "vmm/control/launch.h"

#include <gtest/gtest.h>
#include <sys/wait.h>

#include <csignal>

#include "vmm/control/socket.h"

namespace adyton::vmm::control {
namespace {

TEST(Launch, AMissingProgramIsAnError) {
  const auto pair = *Socket::pair();
  const auto pid = launch("/nonexistent/adyton-vmm", pair.second.fd());
  ASSERT_FALSE(pid);
  EXPECT_EQ(pid.error().code, ErrorCode::kNotFound);
}

TEST(Launch, TheProgramHasASessionOfItsOwnAndTheControlSocket) {
  auto [ours, theirs] = *Socket::pair();
  // cat, with nothing to read, ends at once.
  const auto pid = launch("/bin/cat", theirs.fd());
  ASSERT_TRUE(pid) << pid.error().message;
  theirs = Socket();
  EXPECT_EQ(ours.receive().error().code, ErrorCode::kUnavailable) << "the other end goes with the process";
  int status = 0;
  ASSERT_EQ(::waitpid(*pid, &status, 0), *pid);
  EXPECT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

TEST(Launch, TheSandboxHasWordsOfItsOwn) {
  EXPECT_EQ(describe_signal(SIGSEGV), "killed by signal 11 (Segmentation fault)");
  EXPECT_EQ(describe_signal(SIGSYS), "killed: it made a system call that its sandbox forbids (SIGSYS)");
}

}  // namespace
}  // namespace adyton::vmm::control
