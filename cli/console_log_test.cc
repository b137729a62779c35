#include "cli/console_log.h"

#include <fcntl.h>
#include <gtest/gtest.h>

namespace adyton::cli {
namespace {

std::span<const uint8_t> bytes_of(std::string_view text) { return {reinterpret_cast<const uint8_t*>(text.data()), text.size()}; }

TEST(ConsoleLog, KeepsTheLastPart) {
  ConsoleLog log;
  std::string all;
  for (int i = 0; i < 50000; ++i) {
    const std::string line = std::to_string(i) + "\n";
    all += line;
    ASSERT_TRUE(log.append(bytes_of(line)));
  }
  EXPECT_EQ(log.tail(), all.substr(all.size() - ConsoleLog::kKept));
}

TEST(ConsoleLog, FindsThePanicAcrossPieces) {
  ConsoleLog log;
  ASSERT_TRUE(log.append(bytes_of("[    1.0] Kernel pa")));
  EXPECT_FALSE(log.panic());
  ASSERT_TRUE(log.append(bytes_of("nic - not syncing: VFS: Unable to mount\x1b[31m root\r\nmore\n")));
  EXPECT_EQ(log.panic(), "VFS: Unable to mount\\x1b[31m root");
}

TEST(ConsoleLog, CopiesAndReportsAFullDisk) {
  ConsoleLog log;
  UniqueFd full(::open("/dev/full", O_WRONLY | O_CLOEXEC));
  log.copy_to(full.get(), "the console log 'x'");
  auto done = log.append(bytes_of("hello"));
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().message, "cannot write the console log 'x': No space left on device");
  EXPECT_EQ(log.tail(), "hello");
}

}  // namespace
}  // namespace adyton::cli
