#include "vmm/sbsa_watchdog.h"

#include <gtest/gtest.h>

#include <array>
#include <atomic>

namespace adyton::vmm {
namespace {

struct Line final : IrqLine {
  void set(bool level) override { up = level; }
  std::atomic<bool> up = false;
};

class SbsaWatchdogTest : public ::testing::Test {
 protected:
  void control(uint64_t offset, uint64_t value, size_t size = 4) {
    std::array<uint8_t, 8> data;
    set_mmio_value(data, value);
    watchdog.control_frame().write(offset, std::span(data).first(size));
  }
  void refresh() {
    const std::array<uint8_t, 4> data{};
    watchdog.refresh_frame().write(0, data);
  }
  uint64_t read(uint64_t offset, size_t size = 4) {
    std::array<uint8_t, 8> data{};
    watchdog.control_frame().read(offset, std::span(data).first(size));
    return mmio_value(std::span(data).first(size));
  }
  uint64_t at(uint64_t count) {
    now = count;
    return watchdog.check();
  }

  Line irq;
  std::atomic<uint64_t> now = 1'000;
  std::atomic<int> expired = 0;
  SbsaWatchdog watchdog{irq, {.now = [this] { return now.load(); }, .frequency = 100}, [this] { ++expired; }};
};

TEST_F(SbsaWatchdogTest, IsOffUntilItIsEnabled) {
  EXPECT_EQ(read(0), 0u);
  EXPECT_EQ(read(0xfcc), 0x10000u) << "revision 1";
  control(0x008, 50);
  EXPECT_EQ(at(1'000'000), SbsaWatchdog::kNever);
  EXPECT_EQ(expired, 0);
}

TEST_F(SbsaWatchdogTest, TheFirstSignalInterruptsTheSecondEnds) {
  control(0x008, 50);
  control(0x000, 1);
  EXPECT_EQ(read(0x010, 8), 1'050u);
  EXPECT_EQ(at(1'049), 1u);
  EXPECT_FALSE(irq.up);
  EXPECT_EQ(at(1'050), 50u);
  EXPECT_TRUE(irq.up);
  EXPECT_EQ(read(0), 3u);
  EXPECT_EQ(expired, 0);
  EXPECT_EQ(at(1'100), SbsaWatchdog::kNever);
  EXPECT_EQ(read(0), 7u);
  EXPECT_EQ(expired, 1);
  refresh();
  at(9'999);
  at(99'999);
  EXPECT_EQ(expired, 1) << "a VM ends once";
}

TEST_F(SbsaWatchdogTest, ARefreshGivesAllOfTheTimeAgain) {
  control(0x008, 50);
  control(0x000, 1);
  for (const uint64_t count : {1'040, 1'080, 1'120}) {
    at(count);
    EXPECT_FALSE(irq.up);
    refresh();
  }
  at(1'170);
  EXPECT_TRUE(irq.up);
  refresh();
  EXPECT_FALSE(irq.up);
  EXPECT_EQ(read(0), 1u);
  EXPECT_EQ(at(1'170), 50u);
  control(0x000, 0);
  EXPECT_EQ(at(9'000), SbsaWatchdog::kNever);
}

TEST_F(SbsaWatchdogTest, TheOffsetHas48Bits) {
  control(0x008, 0xffff'ffff'1234'5678, 8);
  EXPECT_EQ(read(0x008, 8), 0xffff'1234'5678u);
  EXPECT_EQ(read(0x00c), 0xffffu);
  control(0x00c, 2);
  control(0x008, 7);
  EXPECT_EQ(read(0x008, 8), 0x2'0000'0007u);
  EXPECT_EQ(read(0x008), 7u);
}

TEST_F(SbsaWatchdogTest, TheGuestMaySayWhen) {
  control(0x008, 50);
  control(0x000, 1);
  control(0x010, 1'007, 8);
  EXPECT_EQ(at(1'000), 7u);
  at(1'007);
  EXPECT_TRUE(irq.up);
}

TEST_F(SbsaWatchdogTest, StrangeAccessesDoNothing) {
  control(0x000, 1, 1);
  control(0x000, 1, 2);
  control(0x100, 1);
  EXPECT_EQ(read(0), 0u);
  EXPECT_EQ(read(0x100, 8), 0u);
  std::array<uint8_t, 8> data{};
  watchdog.refresh_frame().write(8, data);
  watchdog.refresh_frame().read(0, data);
  EXPECT_EQ(mmio_value(data), 0u);
}

TEST_F(SbsaWatchdogTest, NoTimePassesWhileTheVmStandsStill) {
  watchdog.arm(1);  // 50 counts, twice
  EXPECT_EQ(read(0), 1u);
  EXPECT_EQ(read(0x008), 50u);
  watchdog.stand_still(true);
  EXPECT_EQ(at(9'000), SbsaWatchdog::kNever);
  watchdog.stand_still(false);
  EXPECT_EQ(at(9'000), 50u);
  EXPECT_FALSE(irq.up);
}

TEST_F(SbsaWatchdogTest, ItsThreadSeesTheTimeRunOut) {
  SbsaWatchdog watched(irq, {.now = [this] { return now++; }, .frequency = 1'000'000'000}, [this] {
    ++expired;
    expired.notify_all();
  });
  ASSERT_TRUE(watched.start());
  std::array<uint8_t, 4> data{};
  set_mmio_value(data, 5);
  watched.control_frame().write(0x008, data);
  set_mmio_value(data, 1);
  watched.control_frame().write(0x000, data);
  expired.wait(0);
  EXPECT_EQ(expired, 1);
}

}  // namespace
}  // namespace adyton::vmm
