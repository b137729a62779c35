#include "vmm/virtio/rng.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "vmm/virtio/testing/fake_driver.h"

namespace adyton::vmm::virtio {
namespace {

using namespace std::chrono_literals;
using testing::Bench;
using testing::Buffer;

struct RngTest : ::testing::Test, Bench<RngDevice> {
  RngTest() : Bench<RngDevice>(RngDevice::Options{.bytes_per_second = 10'000, .burst_bytes = 1000}) {
    EXPECT_TRUE(driver->initialize());
  }

  void request(std::vector<Buffer> buffers) {
    driver->queue(0).add(buffers);
    driver->kick(0);
    driver->settle();
  }
};

TEST_F(RngTest, FillsBuffersWithRandomBytes) {
  const auto a = driver->allocate(64);
  const auto b = driver->allocate(64);
  request({{a, 64, true}, {b, 64, true}});
  const auto used = driver->queue(0).take_used();
  ASSERT_TRUE(used);
  EXPECT_EQ(used->written, 128u);
  EXPECT_NE(driver->bytes(a, 64), std::vector<uint8_t>(64, 0));
  EXPECT_NE(driver->bytes(b, 64), std::vector<uint8_t>(64, 0));
  EXPECT_NE(driver->bytes(a, 64), driver->bytes(b, 64));
}

TEST_F(RngTest, GivesNoMoreThanItsRate) {
  const auto buffer = driver->allocate(4096);
  request({{buffer, 4096, true}});
  auto used = driver->queue(0).take_used();
  ASSERT_TRUE(used);
  EXPECT_EQ(used->written, 1000u);
  const auto bytes = driver->bytes(buffer, 4096);
  EXPECT_TRUE(std::all_of(bytes.begin() + 1000, bytes.end(), [](uint8_t byte) { return byte == 0; }));
  request({{buffer, 4096, true}});
  EXPECT_FALSE(driver->queue(0).take_used());
  advance(10ms);
  EXPECT_FALSE(driver->queue(0).take_used());
  advance(20ms);
  used = driver->queue(0).take_used();
  ASSERT_TRUE(used);
  EXPECT_GE(used->written, 256u);
  EXPECT_LE(used->written, 300u);
  // A long pause fills the bucket, and no more.
  advance(1h);
  request({{buffer, 4096, true}});
  EXPECT_EQ(driver->queue(0).take_used()->written, 1000u);
}

TEST_F(RngTest, AResetForgetsAWaitingRequest) {
  const auto buffer = driver->allocate(4096);
  request({{buffer, 4096, true}});
  request({{buffer, 4096, true}});
  driver->reset();
  advance(1s);
  ASSERT_TRUE(driver->initialize());
  request({{buffer, 16, true}});
  EXPECT_EQ(driver->queue(0).take_used()->written, 16u);
}

TEST_F(RngTest, ReturnsBuffersThatItMayNotWrite) {
  request({{driver->allocate(16), 16, false}});
  EXPECT_EQ(driver->queue(0).take_used()->written, 0u);
  EXPECT_FALSE(driver->needs_reset());
}

}  // namespace
}  // namespace adyton::vmm::virtio
