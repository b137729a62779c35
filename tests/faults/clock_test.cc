// The wall clock is set a day forward or back while a VM boots, runs and stops.
#include <fcntl.h>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/mman.h>

#include <atomic>
#include <cstdlib>

#include "tests/faults/rig.h"

namespace adyton::faults {
namespace {

constexpr int64_t kDay = 24 * 3600;

// The file that clock_shim.cc reads.
class WallClock {
 public:
  WallClock() : path_(::testing::TempDir() + fmt::format("adyton-fault-clock-{}", ::getpid())) {
    const UniqueFd file(::open(path_.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
    if (::ftruncate(file.get(), sizeof(std::atomic<int64_t>)) != 0) std::abort();
    void* at = ::mmap(nullptr, sizeof(std::atomic<int64_t>), PROT_READ | PROT_WRITE, MAP_SHARED, file.get(), 0);
    if (at == MAP_FAILED) std::abort();
    offset_ = static_cast<std::atomic<int64_t>*>(at);
  }
  ~WallClock() {
    ::munmap(offset_, sizeof(*offset_));
    ::unlink(path_.c_str());
  }
  WallClock(const WallClock&) = delete;
  WallClock& operator=(const WallClock&) = delete;
  [[nodiscard]] std::vector<std::string> environment() const {
    return {"LD_PRELOAD=" ADYTON_FAULT_CLOCK_SHIM, "FAULT_CLOCK=" + path_};
  }
  void set(int64_t offset) { *offset_ = offset; }

 private:
  std::string path_;
  std::atomic<int64_t>* offset_ = nullptr;
};

class ClockTest : public ::testing::Test {
 protected:
  void SetUp() override {
    rig.start();
    rig.measure();
  }
  WallClock clock;
  Rig rig{clock.environment()};
};

TEST_F(ClockTest, JumpsDisturbNoVm) {
  for (int round = 0; round < kRounds && !HasFailure(); ++round) {
    const Moment moment = rig.draw();
    const int64_t jump = random_below(2) == 0 ? kDay : -kDay;
    SCOPED_TRACE(fmt::format("{} s at {}", jump, to_string(moment)));
    const auto client = rig.run();
    Rig::reach(*client, moment);
    clock.set(jump);
    ASSERT_TRUE(client->wait_for("run")) << client->transcript();
    client->order("stop");
    EXPECT_EQ(client->finish(), 0) << client->transcript();
    EXPECT_TRUE(client->said("finished 143")) << client->transcript();
    EXPECT_TRUE(client->said("stopped shutdown")) << client->transcript();
    rig.expect_nothing_left();
    clock.set(0);
  }
  rig.report("clock jump");
}

TEST_F(ClockTest, AHangIsFoundInItsTimeAllTheSame) {
  for (int round = 0; round < kRounds && !HasFailure(); ++round) {
    const int64_t jump = round % 2 == 0 ? kDay : -kDay;
    SCOPED_TRACE(jump);
    // No payload starts within so little.
    const auto client = rig.run({"FAULT_BOOT_TIMEOUT=30"});
    client->wait_for("boot");
    std::chrono::microseconds delay(random_below(30'000));
    Rig::reach(*client, {.phase = Phase::kBoot, .delay = delay});
    clock.set(jump);
    EXPECT_EQ(client->finish(), 0) << client->transcript();
    EXPECT_TRUE(client->said("stopped hangup")) << client->transcript();
    rig.expect_nothing_left();
    clock.set(0);
  }
  rig.report("clock jump during a hang");
}

}  // namespace
}  // namespace adyton::faults
