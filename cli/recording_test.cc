#include "cli/recording.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>

#include "base/temporary_directory.h"

namespace adyton::cli {
namespace {

class Recording : public ::testing::Test {
 protected:
  void SetUp() override { ASSERT_EQ(::mkfifo(fifo_.c_str(), 0600), 0); }

  TemporaryDirectory folder_;
  const std::string fifo_ = folder_.path("fifo");
};

TEST_F(Recording, ASignalEndsTheWaitForAReader) {
  const pid_t child = ::fork();
  if (child == 0) {
    const auto signals = take_end_signals();
    // It is there before the wait begins, so that there is no moment to be missed.
    ::raise(SIGTERM);
    (void)open_recording(fifo_);
    ::_exit(0);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM) << status;
}

TEST_F(Recording, SignalsAreTheCallersAgainOnceThereIsAReader) {
  const pid_t child = ::fork();
  if (child == 0) {
    const auto signals = take_end_signals();
    const UniqueFd reader(::open(fifo_.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
    const auto file = open_recording(fifo_);
    ::raise(SIGTERM);
    ::_exit(signals && file ? 42 : 1);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 42) << status;
}

}  // namespace
}  // namespace adyton::cli
