// A guest that waits costs next to nothing: WFI sleeps, and nothing polls.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <chrono>
#include <fstream>
#include <sstream>
#include <thread>

#include "tests/e2e/adyton.h"

namespace adyton::system_test {
namespace {

// User and system time of the processes (proc(5), fields 14 and 15 of stat), in seconds.
double processor_time(const std::vector<pid_t>& processes) {
  double ticks = 0;
  for (const pid_t pid : processes) {
    std::stringstream text;
    text << std::ifstream(fmt::format("/proc/{}/stat", pid)).rdbuf();
    std::string stat = text.str();
    stat.erase(0, stat.rfind(')') + 1);
    std::istringstream fields(stat);
    std::string field;
    for (int number = 3; number < 14; ++number) fields >> field;
    double user = 0, kernel = 0;
    fields >> user >> kernel;
    ticks += user + kernel;
  }
  return ticks / static_cast<double>(::sysconf(_SC_CLK_TCK));
}

class Idle : public ::testing::TestWithParam<const char*> {};

TEST_P(Idle, TakesLessThanAHundredthOfACore) {
  e2e::Adyton adyton({"run", "--smp", GetParam(), e2e::probe(), "wait"});
  ASSERT_TRUE(adyton.wait_for("ready\n"));
  // The kernel's own work after a boot is no part of this.
  std::this_thread::sleep_for(std::chrono::seconds(10));
  constexpr int kSeconds = 20;
  const auto processes = adyton.processes();
  const double before = processor_time(processes);
  std::this_thread::sleep_for(std::chrono::seconds(kSeconds));
  const double share = (processor_time(processes) - before) / kSeconds;
  RecordProperty("percent_of_a_core", fmt::format("{:.2f}", share * 100));
  fmt::print("idle with {} CPUs: {:.2f} % of a core\n", GetParam(), share * 100);
  EXPECT_LT(share, 0.01);
}

INSTANTIATE_TEST_SUITE_P(Cpus, Idle, ::testing::Values("1", "2", "4"));

}  // namespace
}  // namespace adyton::system_test
