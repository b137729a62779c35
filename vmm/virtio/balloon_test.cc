#include "vmm/virtio/balloon.h"

#include <gtest/gtest.h>
#include <sys/mman.h>

#include <algorithm>
#include <cstring>
#include <random>

#include "vmm/virtio/testing/fake_driver.h"

namespace adyton::vmm::virtio {
namespace {

using testing::Bench;
using testing::Buffer;

constexpr uint64_t kPage = BalloonDevice::kPage;
constexpr uint64_t kStatistics = 1u << 1, kReporting = 1u << 5;

struct BalloonTest : ::testing::Test, Bench<BalloonDevice> {
  BalloonTest() : Bench<BalloonDevice>(kRamSize) {}

  // Pages that the driver has filled.
  GuestPhysAddr filled(size_t pages) {
    const auto at = driver->allocate(pages * kPage, kPage);
    std::memset(memory.slice(at, pages * kPage).data(), 0x5a, pages * kPage);
    return at;
  }
  [[nodiscard]] bool is_resident(GuestPhysAddr page) const {
    unsigned char resident = 0;
    EXPECT_EQ(::mincore(memory.slice(page, kPage).data(), kPage, &resident), 0);
    return resident & 1;
  }
  void inflate(const std::vector<uint32_t>& frames, uint16_t queue = 0) {
    const auto list = driver->place({reinterpret_cast<const uint8_t*>(frames.data()), frames.size() * 4});
    const Buffer buffer{list, static_cast<uint32_t>(frames.size() * 4), false};
    driver->queue(queue).add(std::span(&buffer, 1));
    driver->kick(queue);
    driver->settle();
  }
  void write_actual(uint32_t pages) {
    transport->write(reg::kConfig + 4, std::span(reinterpret_cast<const uint8_t*>(&pages), sizeof(pages)));
  }
};

TEST_F(BalloonTest, TellsItsTargetAndBelievesTheDriver) {
  device->set_target(10 * kPage + 5);
  ASSERT_TRUE(driver->initialize());
  EXPECT_EQ(driver->config<uint32_t>(0), 10u);
  const int raised = irq.raised();
  driver->acknowledge();
  device->set_target(20 * kPage);
  EXPECT_GT(irq.raised(), raised);
  EXPECT_TRUE(driver->acknowledge() & 2) << "a change of the configuration";
  EXPECT_EQ(driver->config<uint32_t>(0), 20u);
  write_actual(7);
  EXPECT_EQ(device->statistics().actual, 7 * kPage);
  EXPECT_EQ(device->statistics().target, 20 * kPage);
  write_actual(UINT32_MAX);
  EXPECT_EQ(device->statistics().actual, kRamSize) << "no more than there is";
  device->set_target(UINT64_MAX);
  EXPECT_EQ(device->statistics().target, kRamSize);
  driver->reset();
  EXPECT_EQ(device->statistics().actual, 0u);
}

TEST_F(BalloonTest, PagesInTheBalloonGoBackToTheHost) {
  ASSERT_TRUE(driver->initialize());
  const auto pages = filled(8);
  const auto frame = static_cast<uint32_t>(pages / kPage);
  inflate({frame + 3, frame + 1, frame + 2, frame + 6});
  EXPECT_TRUE(driver->queue(0).take_used());
  for (const size_t gone : {1, 2, 3, 6}) {
    EXPECT_FALSE(is_resident(pages + gone * kPage)) << gone;
    EXPECT_EQ(memory.load<uint64_t>(pages + gone * kPage).value(), 0u);
  }
  for (const size_t kept : {0, 4, 5, 7}) EXPECT_EQ(memory.load<uint8_t>(pages + kept * kPage).value(), 0x5a) << kept;
  EXPECT_EQ(device->statistics().returned, 4 * kPage);
  inflate({frame + 3}, 1);
  EXPECT_TRUE(driver->queue(1).take_used()) << "deflating needs no leave";
}

TEST_F(BalloonTest, PagesThatAreNotTheGuestsArePassedOver) {
  ASSERT_TRUE(driver->initialize());
  inflate({0, 1, UINT32_MAX, static_cast<uint32_t>((kRam + kRamSize) / kPage)});
  EXPECT_TRUE(driver->queue(0).take_used());
  EXPECT_FALSE(driver->needs_reset());
  EXPECT_EQ(device->statistics().returned, 0u);
}

TEST_F(BalloonTest, AListWithoutEndIsAFault) {
  ASSERT_TRUE(driver->initialize());
  const Buffer buffer{kRam, 1 << 20, false};
  driver->queue(0).add(std::span(&buffer, 1));
  driver->kick(0);
  driver->settle();
  EXPECT_TRUE(driver->needs_reset());
  EXPECT_EQ(device->statistics().returned, 0u);
}

TEST_F(BalloonTest, FreePagesAreReported) {
  ASSERT_TRUE(driver->initialize());
  const auto pages = filled(16);
  const Buffer parts[2] = {{pages + 100, static_cast<uint32_t>(4 * kPage), true},
                           {pages + 8 * kPage, static_cast<uint32_t>(8 * kPage), true}};
  driver->queue(3).add(parts);
  driver->kick(3);
  driver->settle();
  EXPECT_TRUE(driver->queue(3).take_used());
  EXPECT_EQ(memory.load<uint8_t>(pages + 100).value(), 0x5a) << "not a whole page of the report";
  EXPECT_FALSE(is_resident(pages + kPage));
  EXPECT_EQ(memory.load<uint8_t>(pages + 4 * kPage).value(), 0x5a);
  EXPECT_FALSE(is_resident(pages + 8 * kPage));
  EXPECT_EQ(device->statistics().returned, 11 * kPage);
}

TEST_F(BalloonTest, QueuesAreNumberedByWhatTheDriverKnows) {
  ASSERT_TRUE(driver->initialize(~kStatistics));
  const auto pages = filled(4);
  const Buffer part{pages, static_cast<uint32_t>(4 * kPage), true};
  driver->queue(2).add(std::span(&part, 1));
  driver->kick(2);
  driver->settle();
  EXPECT_TRUE(driver->queue(2).take_used());
  EXPECT_FALSE(is_resident(pages));
}

TEST_F(BalloonTest, TheGuestTellsWhatItDoesWithItsMemory) {
  ASSERT_TRUE(driver->initialize());
  struct [[gnu::packed]] Entry {
    uint16_t tag;
    uint64_t value;
  };
  Entry entries[] = {{4, 1000}, {5, 5000}, {6, 3000}, {2, 17}, {77, 1}};
  const auto place = driver->place({reinterpret_cast<const uint8_t*>(entries), sizeof(entries)});
  const Buffer buffer{place, sizeof(entries), false};
  driver->queue(2).add(std::span(&buffer, 1));
  driver->kick(2);
  driver->settle();
  EXPECT_FALSE(driver->queue(2).take_used()) << "it is kept until somebody asks";
  auto told = device->statistics().guest;
  EXPECT_EQ(told.free, 1000u);
  EXPECT_EQ(told.total, 5000u);
  EXPECT_EQ(told.available, 3000u);
  EXPECT_EQ(told.major_faults, 17u);
  EXPECT_FALSE(told.swapped_in);
  driver->settle();
  ASSERT_TRUE(driver->queue(2).take_used()) << "newer ones, please";
  entries[0].value = 900;
  ASSERT_TRUE(memory.write(place, {reinterpret_cast<const uint8_t*>(entries), sizeof(entries)}));
  driver->queue(2).add(std::span(&buffer, 1));
  driver->kick(2);
  driver->settle();
  EXPECT_EQ(device->statistics().guest.free, 900u);
  driver->reset();
  EXPECT_FALSE(device->statistics().guest.free);
}

TEST_F(BalloonTest, ManyRequestsTakeTurns) {
  ASSERT_TRUE(driver->initialize());
  const auto frame = static_cast<uint32_t>(filled(1) / kPage);
  const auto list = driver->place({reinterpret_cast<const uint8_t*>(&frame), 4});
  const Buffer buffer{list, 4, false};
  for (int i = 0; i < 100; ++i) driver->queue(0).add(std::span(&buffer, 1));
  driver->kick(0);
  driver->settle();
  for (int i = 0; i < 100; ++i) EXPECT_TRUE(driver->queue(0).take_used()) << i;
}

}  // namespace
}  // namespace adyton::vmm::virtio
