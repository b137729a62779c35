#include "cli/progress.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>

#include <string>

#include "base/unique_fd.h"

namespace adyton::cli {
namespace {

struct Pipe {
  Pipe() {
    int fds[2];
    EXPECT_EQ(::pipe2(fds, O_CLOEXEC), 0);
    reader.reset(fds[0]);
    writer.reset(fds[1]);
  }
  std::string take() {
    char buffer[4096];
    const ssize_t got = ::read(reader.get(), buffer, sizeof(buffer));
    return std::string(buffer, got > 0 ? static_cast<size_t>(got) : 0);
  }
  UniqueFd reader, writer;
};

TEST(Progress, ShowsWhatTakesLongAndTakesItBack) {
  Pipe pipe;
  {
    Progress progress(pipe.writer.get(), true);
    progress.step("Boiling water");
    const std::string shown = pipe.take();  // blocks until something is shown
    EXPECT_NE(shown.find("Boiling water"), std::string::npos);
    progress.clear();
  }
  pipe.writer.reset();
  std::string rest;
  for (std::string part; !(part = pipe.take()).empty();) rest += part;
  EXPECT_TRUE(rest.ends_with("\r\033[K"));
}

TEST(Progress, SaysNothingAboutWhatIsQuick) {
  Pipe pipe;
  {
    Progress progress(pipe.writer.get(), true);
    progress.step("Blinking");
    progress.clear();
  }
  pipe.writer.reset();
  EXPECT_EQ(pipe.take(), "");
}

TEST(Progress, SaysNothingWhenDisabled) {
  Pipe pipe;
  {
    Progress progress(pipe.writer.get(), false);
    progress.step("Boiling water");
  }
  pipe.writer.reset();
  EXPECT_EQ(pipe.take(), "");
}

}  // namespace
}  // namespace adyton::cli
