#include "base/log/rate_limit.h"

#include <gtest/gtest.h>

#include <thread>
#include <vector>

namespace adyton::log {
namespace {

using namespace std::chrono_literals;
using Time = RateLimit::Clock::time_point;

TEST(RateLimit, LetsABurstPassAndThenOneForEachInterval) {
  RateLimit limit(3, 100ms);
  const Time begin(1h);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(limit.admit(begin), 0u) << i;
  for (int i = 0; i < 5; ++i) EXPECT_FALSE(limit.admit(begin)) << i;
  EXPECT_FALSE(limit.admit(begin + 99ms));
  EXPECT_EQ(limit.admit(begin + 100ms), 6u);
  EXPECT_FALSE(limit.admit(begin + 100ms));
  EXPECT_EQ(limit.admit(begin + 200ms), 1u);
}

TEST(RateLimit, FillsUpAgainWhileNothingComes) {
  RateLimit limit(3, 100ms);
  const Time begin(1h);
  for (int i = 0; i < 4; ++i) (void)limit.admit(begin);
  EXPECT_TRUE(limit.admit(begin + 200ms));
  EXPECT_TRUE(limit.admit(begin + 200ms));
  EXPECT_FALSE(limit.admit(begin + 200ms));
  int passed = 0;
  for (int i = 0; i < 10; ++i) passed += limit.admit(begin + 1h).has_value();
  EXPECT_EQ(passed, 3) << "no more than it holds";
}

TEST(RateLimit, TellsOnceHowManyDidNotPass) {
  RateLimit limit(1, 1s);
  const Time begin(1h);
  (void)limit.admit(begin);
  for (int i = 0; i < 7; ++i) (void)limit.admit(begin);
  EXPECT_EQ(limit.take_suppressed(), 7u);
  EXPECT_EQ(limit.take_suppressed(), 0u);
  EXPECT_EQ(limit.admit(begin + 1s), 0u);
}

TEST(RateLimit, CountsRightWithManyThreads) {
  RateLimit limit(10, 1h);
  constexpr int kThreads = 4;
  constexpr int kEach = 20'000;
  std::atomic<uint64_t> passed = 0;
  std::vector<std::jthread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&] {
      for (int j = 0; j < kEach; ++j) passed += limit.admit(Time(1h)).has_value();
    });
  }
  threads.clear();
  EXPECT_EQ(passed, 10u);
  EXPECT_EQ(limit.take_suppressed(), uint64_t{kThreads * kEach - 10});
}

}  // namespace
}  // namespace adyton::log
