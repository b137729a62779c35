#include "service/crash_report.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>

#include "service/testing/temporary_directory.h"

namespace adyton::service {
namespace {

using ::testing::HasSubstr;

TEST(CrashReport, WhatTheGuestSaysCannotReachATerminal) {
  EXPECT_EQ(printable("a\tb\r\nc\x1b[2J\x07\xc3\xa9\r"), "a    b\nc\\x1b[2J\\x07\\xc3\\xa9\\x0d");
  const std::string report = crash_report(
      {.name = "a\nVM: b", .backend = "soft", .cause = "it \x1b[31m", .time = {}, .guest = "x0\x9b", .console = "\x1b]0;"});
  EXPECT_THAT(report, HasSubstr("VM:        a VM: b\n"));
  for (const char c : report) EXPECT_TRUE(c == '\n' || (c >= ' ' && c <= '~'));
}

TEST(CrashReport, IsBounded) {
  const std::string report = crash_report(
      {.name = "vm", .backend = "soft", .cause = "c", .time = {}, .guest = {}, .console = std::string(1 << 20, 'x') + "end\n"});
  EXPECT_LT(report.size(), kMaxCrashConsole + 1000);
  EXPECT_THAT(report, HasSubstr("xend\n"));
}

TEST(CrashReport, TheNewestAreKept) {
  testing::TemporaryDirectory folder;
  const std::string path = folder.path("crash");
  std::string last;
  for (int i = 0; i < 8; ++i) {
    const auto kept = keep_crash_report(path, 5, std::chrono::system_clock::time_point(std::chrono::seconds(1'700'000'000 + i)),
                                        "report " + std::to_string(i));
    ASSERT_TRUE(kept) << kept.error().message;
    last = *kept;
  }
  std::set<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(path)) names.insert(entry.path().filename());
  EXPECT_EQ(names.size(), 5u);
  EXPECT_EQ(*names.begin(), "20231114T221323.000000000Z.txt");
  std::stringstream text;
  text << std::ifstream(last).rdbuf();
  EXPECT_EQ(text.str(), "report 7");
  struct stat status {};
  ASSERT_EQ(::stat(last.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600u);
  EXPECT_FALSE(keep_crash_report(folder.path("no/such"), 5, {}, "x"));
}

TEST(CrashReport, TheMemoryEndsAtAZero) {
  const auto memory = make_crash_memory();
  ASSERT_TRUE(memory);
  EXPECT_EQ(read_crash_memory(memory->get()), "");
  ASSERT_EQ(::pwrite(memory->get(), "text", 4, 0), 4);
  EXPECT_EQ(read_crash_memory(memory->get()), "text");
  const std::string full(kCrashMemory, 'x');
  ASSERT_EQ(::pwrite(memory->get(), full.data(), full.size(), 0), static_cast<ssize_t>(full.size()));
  EXPECT_EQ(read_crash_memory(memory->get()).size(), kCrashMemory);
  EXPECT_NE(::ftruncate(memory->get(), 1), 0);
}

}  // namespace
}  // namespace adyton::service
