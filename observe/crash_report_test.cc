#include "observe/crash_report.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>

#include "base/temporary_directory.h"

namespace adyton::observe {
namespace {

using ::testing::HasSubstr;

std::span<const uint8_t> bytes_of(std::string_view text) { return {reinterpret_cast<const uint8_t*>(text.data()), text.size()}; }

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
  TemporaryDirectory folder;
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

TEST(CrashReport, WhatIsKeptIsFoundAgain) {
  TemporaryDirectory folder;
  const std::string path = folder.path("crash");
  EXPECT_TRUE(kept_crash_reports(path).empty());
  const auto time = std::chrono::system_clock::time_point(std::chrono::seconds(1'700'000'000) + std::chrono::nanoseconds(5));
  const auto keep = [&](CrashKind kind, const std::string& name, std::chrono::seconds later) {
    const auto kept = keep_crash_report(
        path, 9, time + later, crash_report({.kind = kind, .name = name, .cause = "c\nKind: payload", .time = time + later}));
    ASSERT_TRUE(kept) << kept.error().message;
  };
  keep(CrashKind::kKernelPanic, "a b", std::chrono::seconds(0));
  keep(CrashKind::kHang, "\xc3\xa9", std::chrono::seconds(7));
  // What a machine that lost its power may leave, and what is no report.
  for (const char* name : {"20231114T221329.000000000Z.txt", "notes.txt", ".20231114T221329.000000000Z.txt"})
    std::ofstream(path + "/" + name) << "";
  std::filesystem::create_symlink("20231114T221320.000000005Z.txt", path + "/20231114T221330.000000000Z.txt");
  std::filesystem::create_directory(path + "/20231114T221331.000000000Z.txt");
  const auto reports = kept_crash_reports(path);
  ASSERT_EQ(reports.size(), 2u);
  EXPECT_EQ(reports[0].vm, printable("\xc3\xa9"));
  EXPECT_EQ(reports[0].kind, CrashKind::kHang);
  EXPECT_EQ(reports[0].time, time + std::chrono::seconds(7));
  EXPECT_EQ(reports[1].vm, "a b");
  EXPECT_EQ(reports[1].kind, CrashKind::kKernelPanic);
  EXPECT_EQ(reports[1].time, time);
  EXPECT_EQ(reports[1].cause, "c Kind: payload");
  EXPECT_EQ(reports[1].path, path + "/20231114T221320.000000005Z.txt");
}

// The service and programs that run VMs without it write to one folder, which is the user's.
TEST(CrashReport, OnlyOldReportsAreRemoved) {
  TemporaryDirectory folder;
  const std::string path = folder.path("crash");
  const auto time = std::chrono::system_clock::time_point(std::chrono::seconds(1'700'000'000));
  const auto keep = [&](int hours) {
    const auto kept = keep_crash_report(path, 2, time + std::chrono::hours(hours), "report");
    ASSERT_TRUE(kept) << kept.error().message;
  };
  const auto is_there = [&](const char* name) { return std::filesystem::exists(path + "/" + name); };
  keep(0);
  for (const char* name :
       {"notes.txt", "zebra.txt", "a.txt", ".20231115T001319.000000000Z.txt", ".20231114T221330.000000000Z.txt"})
    std::ofstream(path + "/" + name) << "";
  keep(1);
  EXPECT_TRUE(is_there("20231114T221320.000000000Z.txt")) << "two reports are kept, whatever else is there";
  keep(2);
  EXPECT_FALSE(is_there("20231114T221320.000000000Z.txt"));
  EXPECT_TRUE(is_there("20231114T231320.000000000Z.txt"));
  EXPECT_TRUE(is_there("20231115T001320.000000000Z.txt"));
  for (const char* name : {"notes.txt", "zebra.txt", "a.txt"}) EXPECT_TRUE(is_there(name)) << name << " is the user's";
  EXPECT_TRUE(is_there(".20231115T001319.000000000Z.txt")) << "somebody is writing it";
  EXPECT_FALSE(is_there(".20231114T221330.000000000Z.txt")) << "nobody will finish it";
}

TEST(CrashReport, APanicIsHeardHoweverItIsCut) {
  const std::string text = "x\n---[ end Kernel panic - not syncing: oh no ]---\n";
  for (size_t step = 1; step <= text.size(); ++step) {
    PanicWatch watch;
    int heard = 0;
    for (int twice = 0; twice < 2; ++twice) {
      for (size_t at = 0; at < text.size(); at += step)
        heard += watch.heard(bytes_of(std::string_view(text).substr(at, step))) ? 1 : 0;
    }
    EXPECT_EQ(heard, 2) << step;
  }
  PanicWatch watch;
  EXPECT_FALSE(watch.heard(bytes_of("Kernel panic - not syncing: oh no\nRebooting in 5 seconds..")));
}

TEST(CrashReport, WhyTheKernelPanicked) {
  EXPECT_EQ(panic_reason("all is well"), "");
  EXPECT_EQ(panic_reason("[ 1.0] Kernel panic - not syncing: oh\x1b no\r\n more"), "oh\\x1b no");
  EXPECT_EQ(panic_reason("Kernel panic - not syncing: oh no\n[ 2] ---[ end Kernel panic - not syncing: oh no ]---\n"), "oh no");
  EXPECT_EQ(panic_reason("---[ end Kernel panic - not syncing: oh no ]---"), "oh no ]---");
  EXPECT_TRUE(shows_panic("  0xffff800008 panic+0x1c/0x30\n"));
  EXPECT_FALSE(shows_panic("no panic, do_panic+0x1c\n"));
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
}  // namespace adyton::observe
