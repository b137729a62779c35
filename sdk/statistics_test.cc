#include <gtest/gtest.h>

#include "adyton/service_statistics.h"

namespace adyton {
namespace {

using namespace std::chrono_literals;

TEST(ServiceStatistics, EstimatesLatenciesAsPrometheusDoes) {
  ServiceStatistics statistics;
  statistics.call_bounds = {10us, 20us, 50us};
  const ServiceStatistics::Calls calls{
      .vm = {}, .interface = "i", .method = "m", .counts = {10, 0, 80, 10}, .time = {}, .failures = 0};
  EXPECT_EQ(calls.count(), 100u);
  EXPECT_EQ(statistics.latency(calls, 0.05), 5us);
  EXPECT_EQ(statistics.latency(calls, 0.10), 10us);
  EXPECT_EQ(statistics.latency(calls, 0.50), 35us);  // histogram_quantile(0.5): 20 + 30 * 40 / 80
  EXPECT_EQ(statistics.latency(calls, 0.99), 50us) << "above all bounds";
  EXPECT_EQ(statistics.latency(calls, 7), 50us);
}

TEST(ServiceStatistics, HaveNoLatencyWithoutCalls) {
  ServiceStatistics statistics;
  EXPECT_FALSE(statistics.latency({.vm = {}, .interface = {}, .method = {}, .counts = {1}, .time = {}, .failures = 0}, 0.5));
  statistics.call_bounds = {10us};
  EXPECT_FALSE(statistics.latency({.vm = {}, .interface = {}, .method = {}, .counts = {0, 0}, .time = {}, .failures = 0}, 0.5));
}

}  // namespace
}  // namespace adyton
