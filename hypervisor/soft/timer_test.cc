#include <gtest/gtest.h>

#include <condition_variable>
#include <map>
#include <mutex>

#include "hypervisor/soft/generic_timer.h"
#include "hypervisor/soft/testing/fake_engine.h"
#include "hypervisor/soft/timer_queue.h"

namespace adyton::hypervisor::soft {
namespace {

using testing::fake_counter;
using testing::fake_time;

class GenericTimerTest : public ::testing::Test, protected GenericTimer::Sink {
 protected:
  void set_timer_line(uint32_t ppi, bool level) override { lines_[ppi] = level; }
  void arm_timer(uint64_t deadline) override {
    armed_ = deadline;
    ++arms_;
  }
  void SetUp() override { fake_time = 1000; }

  std::map<uint32_t, bool> lines_;
  uint64_t armed_ = kNever;
  int arms_ = 0;
  engine::arm64::CpuState state_{};
  GenericTimer timer_{fake_counter(), *this};
};

TEST_F(GenericTimerTest, NothingHappensWhileDisabled) {
  state_.cntv_cval = 500;
  timer_.update(state_);
  EXPECT_FALSE(lines_[kVirtualTimerPpi]);
  EXPECT_EQ(arms_, 0);
}

TEST_F(GenericTimerTest, LineFollowsTheCondition) {
  state_.cntv_ctl = 1;
  state_.cntv_cval = 1500;
  timer_.update(state_);
  EXPECT_FALSE(lines_[kVirtualTimerPpi]);
  EXPECT_EQ(armed_, 1500u);
  fake_time = 1499;
  timer_.expire();
  EXPECT_FALSE(lines_[kVirtualTimerPpi]);
  EXPECT_EQ(armed_, 1500u) << "armed again: it had come too early";
  fake_time = 1500;
  timer_.expire();
  EXPECT_TRUE(lines_[kVirtualTimerPpi]);
  EXPECT_FALSE(lines_[kPhysicalTimerPpi]);
  state_.cntv_ctl = 3;  // masked
  timer_.update(state_);
  EXPECT_FALSE(lines_[kVirtualTimerPpi]);
  state_.cntv_ctl = 1;
  timer_.update(state_);
  EXPECT_TRUE(lines_[kVirtualTimerPpi]) << "a level, not an edge";
  state_.cntv_cval = 3000;
  timer_.update(state_);
  EXPECT_FALSE(lines_[kVirtualTimerPpi]);
  EXPECT_EQ(armed_, 3000u);
}

TEST_F(GenericTimerTest, TheEarlierDeadlineCounts) {
  state_.cntv_ctl = state_.cntp_ctl = 1;
  state_.cntv_cval = 5000;
  state_.cntp_cval = 4000;
  timer_.update(state_);
  EXPECT_EQ(armed_, 4000u);
  fake_time = 4000;
  timer_.expire();
  EXPECT_TRUE(lines_[kPhysicalTimerPpi]);
  EXPECT_FALSE(lines_[kVirtualTimerPpi]);
  EXPECT_EQ(armed_, 5000u);
}

TEST_F(GenericTimerTest, OffsetsAndExtremes) {
  state_.cntvoff = 600;
  state_.cntv_ctl = 1;
  state_.cntv_cval = 500;
  timer_.update(state_);
  EXPECT_EQ(armed_, 1100u);
  state_.cntv_cval = UINT64_MAX;
  timer_.update(state_);
  EXPECT_EQ(armed_, kNever);
  EXPECT_FALSE(lines_[kVirtualTimerPpi]);
  state_.cntv_cval = 0;
  timer_.update(state_);
  EXPECT_TRUE(lines_[kVirtualTimerPpi]) << "600 is not below the physical count 1000";
}

TEST_F(GenericTimerTest, AnIdleCpuLooksAfterItself) {
  state_.cntv_ctl = 1;
  state_.cntv_cval = 2000;
  timer_.update(state_);
  EXPECT_EQ(timer_.begin_idle(), 2000u);
  EXPECT_EQ(armed_, kNever);
  fake_time = 2000;
  timer_.end_idle();
  EXPECT_TRUE(lines_[kVirtualTimerPpi]);
  EXPECT_EQ(armed_, kNever);
  state_.cntv_cval = 9000;
  timer_.update(state_);
  EXPECT_EQ(timer_.begin_idle(), 9000u);
  timer_.end_idle();
  EXPECT_EQ(armed_, 9000u);
}

class TimerQueueTest : public ::testing::Test {
 protected:
  void SetUp() override {
    fake_time = 0;
    ASSERT_TRUE(queue_.start());
  }
  void wait_for(unsigned index, int count) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return expired_[index] >= count; });
  }
  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<unsigned, int> expired_;
  TimerQueue queue_{3, fake_counter(), [this](unsigned index) {
                      std::lock_guard lock(mutex_);
                      ++expired_[index];
                      changed_.notify_all();
                    }};
};

TEST_F(TimerQueueTest, CallsBackOncePerDeadline) {
  constexpr uint64_t kFar = 3'000'000'000'000;
  queue_.arm(0, 2 * kFar);
  queue_.arm(1, kFar);
  fake_time = kFar;
  queue_.arm(2, kFar - 1);  // earlier than what the thread sleeps for, so it looks
  wait_for(1, 1);
  wait_for(2, 1);
  fake_time = 2 * kFar;
  queue_.arm(2, 0);
  wait_for(0, 1);
  wait_for(2, 2);
  EXPECT_EQ(expired_[0], 1);
  EXPECT_EQ(expired_[1], 1);
}

TEST_F(TimerQueueTest, WakesByItself) {
  fake_time = 0;
  queue_.arm(0, 1000);
  fake_time = 1000;  // whichever side of the thread's look this falls, the sleep was for a microsecond
  wait_for(0, 1);
}

TEST(Counter, RoundsUpAndIsBounded) {
  fake_time = 10;
  Counter counter{.now = fake_counter().now, .frequency = 3};
  EXPECT_EQ(counter.nanoseconds_until(10), 0u);
  EXPECT_EQ(counter.nanoseconds_until(11), 333'333'334u);
  EXPECT_EQ(counter.nanoseconds_until(UINT64_MAX - 1), 3'600'000'000'000u);
}

}  // namespace
}  // namespace adyton::hypervisor::soft
