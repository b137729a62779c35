#include "tools/trace/timeline_writer.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdio>
#include <sstream>

namespace adyton::trace {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

constexpr uint64_t kStart = 5'000'000'000;
constexpr uint64_t kMs = 1'000'000;

struct TimelineWriterTest : ::testing::Test {
  UniqueFd file{::memfd_create("timeline", MFD_CLOEXEC)};
  capture::Output output{UniqueFd(::dup(file.get()))};
  TimelineWriter writer{output};

  void SetUp() override { ASSERT_TRUE(writer.begin({.name = "VM one", .monotonic = kStart})); }
  void track(TrackId id, const std::string& name, bool counter = false) {
    ASSERT_TRUE(writer.track({.id = id, .name = name, .counter = counter}));
  }
  void slice(TrackId track, std::string_view name, uint64_t begin, uint64_t end) {
    ASSERT_TRUE(writer.event({.type = Event::Type::kBegin, .track = track, .time = begin, .name = name}));
    ASSERT_TRUE(writer.event({.type = Event::Type::kEnd, .track = track, .time = end}));
  }
  void mark(TrackId track, std::string_view name, uint64_t time) {
    ASSERT_TRUE(writer.event({.type = Event::Type::kInstant, .track = track, .time = time, .name = name}));
  }
  void count(TrackId track, uint64_t time, int64_t value) {
    ASSERT_TRUE(writer.event({.type = Event::Type::kCounter, .track = track, .time = time, .value = value}));
  }
  std::string text() {
    EXPECT_TRUE(writer.end());
    std::string all(1 << 20, '\0');
    const ssize_t size = ::pread(file.get(), all.data(), all.size(), 0);
    all.resize(static_cast<size_t>(std::max<ssize_t>(size, 0)));
    return all;
  }
  // The columns of a track.
  static std::string chart(const std::string& all, const std::string& name) {
    std::istringstream lines(all);
    for (std::string line; std::getline(lines, line);) {
      if (!line.starts_with(name + " ") || !line.ends_with("]")) continue;
      return line.substr(line.find('[') + 1, line.rfind(']') - line.find('[') - 1);
    }
    return "no such track";
  }
};

TEST_F(TimelineWriterTest, ShowsWhenTracksAreBusyAndHowLongInAll) {
  track(2, "vCPU 0");
  slice(2, "guest", kStart, kStart + 10 * kMs);
  slice(2, "guest", kStart + 20 * kMs, kStart + 20 * kMs + kMs / 2);
  mark(2, "interrupt taken", kStart + 30 * kMs);
  mark(2, "interrupt taken", kStart + 5 * kMs);
  mark(2, "interrupt taken", kStart + 64 * kMs - 1);
  const std::string all = text();
  EXPECT_THAT(all, HasSubstr("VM one: 64.0 ms in columns of 1.0 ms\n"));
  std::string expected(64, ' ');
  expected.replace(0, 10, "@@@@@@@@@@");
  expected[20] = '+';
  expected[30] = expected[63] = '|';
  EXPECT_EQ(chart(all, "vCPU 0"), expected);
  EXPECT_THAT(all, HasSubstr("\nvCPU 0\n    guest 2 times, 10.5 ms, the longest 10.0 ms\n    interrupt taken 3 times\n"));
}

TEST_F(TimelineWriterTest, ColumnsGetWiderWithTheTrace) {
  track(2, "vCPU 0");
  slice(2, "guest", kStart, kStart + 32 * kMs);
  mark(2, "late", kStart + 100 * 64 * kMs);  // columns of 128 ms: 32 of it are a quarter
  const std::string all = text();
  EXPECT_THAT(all, HasSubstr("VM one: 6.40 s in columns of 128.0 ms\n"));
  std::string expected(51, ' ');
  expected[0] = '-';
  expected[50] = '|';
  EXPECT_EQ(chart(all, "vCPU 0"), expected);
}

TEST_F(TimelineWriterTest, NestedSlicesCoverOnce) {
  track(2, "vCPU 0");
  ASSERT_TRUE(writer.event({.type = Event::Type::kBegin, .track = 2, .time = kStart, .name = "guest"}));
  slice(2, "translate", kStart + kMs, kStart + 2 * kMs);
  ASSERT_TRUE(writer.event({.type = Event::Type::kEnd, .track = 2, .time = kStart + 64 * kMs - 1}));
  const std::string all = text();
  EXPECT_EQ(chart(all, "vCPU 0"), std::string(64, '@'));
  EXPECT_THAT(all,
              HasSubstr("    guest 1 time, 64.0 ms, the longest 64.0 ms\n    translate 1 time, 1.0 ms, the longest 1.0 ms\n"));
}

TEST_F(TimelineWriterTest, WhatWasBeforeItHasNoColumns) {
  track(2, "boot");
  track(3, "never used");
  track(4, "only before");
  slice(4, "load", kStart - 2, kStart - 1);
  slice(2, "kernel", kStart - 900 * kMs, kStart - 400 * kMs);
  slice(2, "init", kStart - 400 * kMs, kStart + 32 * kMs);
  mark(2, "payload main", kStart + 63 * kMs);
  const std::string all = text();
  EXPECT_EQ(chart(all, "boot"), std::string(32, '@') + std::string(31, ' ') + "|");
  EXPECT_THAT(all, HasSubstr("kernel 1 time, 500.0 ms"));
  EXPECT_THAT(all, Not(HasSubstr("never used")));
  EXPECT_EQ(chart(all, "only before"), "no such track");
  EXPECT_THAT(all, HasSubstr("only before\n    load 1 time"));
}

TEST_F(TimelineWriterTest, CountersAreSharesOfTheirLargestValue) {
  track(2, "balloon, bytes", /*counter=*/true);
  count(2, kStart, 0);
  count(2, kStart + 10 * kMs, 100);
  count(2, kStart + 20 * kMs, 1000);
  count(2, kStart + 63 * kMs, 400);
  const std::string all = text();
  std::string expected(64, ' ');
  expected[0] = '_';
  expected[10] = '.';
  expected[20] = '@';
  expected[63] = '=';
  EXPECT_EQ(chart(all, "balloon, bytes"), expected);
  EXPECT_THAT(all, HasSubstr("    from 0 to 1000, at last 400\n"));
}

TEST_F(TimelineWriterTest, StaysSmallWhateverIsInTheTrace) {
  for (TrackId id = 2; id < 2000; ++id) {
    track(id, fmt::format("track {}", id));
    mark(id, "x", kStart);
  }
  for (int i = 0; i < 1000; ++i) mark(2, fmt::format("name {}", i), kStart + static_cast<uint64_t>(i));
  mark(3, "a long time after", kStart + uint64_t{86'400} * 365 * 1'000'000'000);
  slice(3, "backwards", kStart + 10, kStart);
  ASSERT_TRUE(writer.event({.type = Event::Type::kEnd, .track = 3, .time = kStart}));
  const std::string all = text();
  EXPECT_THAT(all, HasSubstr("1487 more tracks are not shown"));
  EXPECT_THAT(all, HasSubstr("    other 937 times\n"));
  EXPECT_LT(all.size(), 200'000u);
}

}  // namespace
}  // namespace adyton::trace
