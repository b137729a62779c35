#include "vmm/virtio/mmio_transport.h"

#include <gtest/gtest.h>

#include <random>

#include "base/log/testing.h"
#include "vmm/virtio/testing/fake_driver.h"

namespace adyton::vmm::virtio {
namespace {

using testing::Bench;
using testing::Buffer;

// Returns every chain of both queues with the bytes of its readable part reversed in its writable part.
class ReverseDevice final : public Device {
 public:
  static constexpr uint64_t kFeatureA = 1 << 3;

  DeviceId id() const override { return DeviceId::kEntropy; }
  std::string_view name() const override { return "reverse"; }
  uint64_t features() const override { return kFeatureA; }
  std::span<const uint16_t> queue_sizes() const override { return kSizes; }
  void read_config(uint64_t offset, std::span<uint8_t> out) const override { read_config_object(config, offset, out); }
  void write_config(uint64_t offset, std::span<const uint8_t> data) override {
    if (offset == 4 && data.size() == 4) std::memcpy(&config.writable, data.data(), 4);
  }
  void activate(uint64_t features, std::span<Virtqueue> all) override {
    driver_features = features;
    queues = all;
    ++activations;
  }
  void queue_notified(uint16_t index) override {
    ++notifications;
    Virtqueue& queue = queues[index];
    Chain chain;
    do {
      while (queue.pop(chain)) {
        std::vector<uint8_t> data(chain.readable_bytes());
        ChainReader(chain).read(data);
        std::reverse(data.begin(), data.end());
        queue.push(chain, static_cast<uint32_t>(ChainWriter(chain).write(data)));
      }
      host().signal(queue);
    } while (queue.enable_doorbells());
  }
  void reset() override {
    queues = {};
    ++resets;
  }
  void change_config() {
    ++config.readable;
    host().raise_config_changed();
  }

  static constexpr std::array<uint16_t, 2> kSizes = {64, 8};
  struct {
    uint32_t readable = 0x11223344;
    uint32_t writable = 5;
  } config;
  uint64_t driver_features = 0;
  std::span<Virtqueue> queues;
  int activations = 0;
  int notifications = 0;
  int resets = 0;
};

struct MmioTransportTest : ::testing::Test, Bench<ReverseDevice> {
  std::vector<uint8_t> exchange(uint16_t queue_index, const std::vector<uint8_t>& request, bool indirect = false) {
    const auto in = driver->place(request);
    const auto out = driver->allocate(request.size());
    auto& queue = driver->queue(queue_index);
    queue.want_interrupt();
    EXPECT_TRUE(queue.add(std::vector<Buffer>{{in, static_cast<uint32_t>(request.size()), false},
                                              {out, static_cast<uint32_t>(request.size()), true}},
                          indirect));
    driver->kick(queue_index);
    driver->settle();
    const auto used = queue.take_used();
    if (!used) return {};
    return driver->bytes(out, used->written);
  }
};

TEST_F(MmioTransportTest, IdentifiesItself) {
  EXPECT_EQ(driver->read32(reg::kMagicValue), 0x74726976u);
  EXPECT_EQ(driver->read32(reg::kVersion), 2u);
  EXPECT_EQ(driver->read32(reg::kDeviceId), 4u);
  EXPECT_EQ(driver->device_features(), ReverseDevice::kFeatureA | kFeatureVersion1 | kFeatureIndirectDesc | kFeatureEventIdx);
  driver->write32(reg::kDeviceFeaturesSel, 2);
  EXPECT_EQ(driver->read32(reg::kDeviceFeatures), 0u);
  EXPECT_EQ(driver->read32(reg::kShmLenLow), 0xffffffffu);
  EXPECT_EQ(driver->read32(reg::kShmLenHigh), 0xffffffffu);
}

TEST_F(MmioTransportTest, MovesRequestsThroughTheQueues) {
  for (const uint64_t without : {uint64_t{0}, kFeatureEventIdx, kFeatureIndirectDesc | kFeatureEventIdx}) {
    ASSERT_TRUE(driver->initialize(~without));
    for (int i = 0; i < 200; ++i) {
      const auto value = static_cast<uint8_t>(i);
      ASSERT_EQ(exchange(i % 2, {value, 2, 3}, i % 3 == 0 && !(without & kFeatureIndirectDesc)),
                (std::vector<uint8_t>{3, 2, value}))
          << i;
      ASSERT_TRUE(irq.level());
      ASSERT_EQ(driver->acknowledge(), kInterruptUsedBuffer);
      ASSERT_FALSE(irq.level());
    }
  }
}

TEST_F(MmioTransportTest, CountsWhatItMovesAcrossResets) {
  for (int round = 0; round < 2; ++round) {
    ASSERT_TRUE(driver->initialize());
    for (uint8_t i = 0; i < 10; ++i) ASSERT_EQ(exchange(1, {i, 2, 3}).size(), 3u);
  }
  const auto statistics = transport->statistics();
  EXPECT_EQ(statistics.interrupts, 20u);
  ASSERT_EQ(statistics.queues.size(), transport->queue_count());
  EXPECT_EQ(statistics.queues[1].chains, 20u);
  EXPECT_GE(statistics.queues[1].kicks, 20u);
  EXPECT_EQ(statistics.queues[1].bytes_from_guest, 60u);
  EXPECT_EQ(statistics.queues[1].bytes_to_guest, 60u);
  EXPECT_EQ(statistics.queues[0].chains, 0u);
}

TEST_F(MmioTransportTest, ServesWhatWasAvailableBeforeDriverOk) {
  driver->reset();
  driver->write32(reg::kStatus, kStatusAcknowledge | kStatusDriver);
  driver->write_features(kFeatureVersion1);
  driver->write32(reg::kStatus, kStatusAcknowledge | kStatusDriver | kStatusFeaturesOk);
  driver->set_up_queue(0);
  const auto out = driver->allocate(4);
  driver->queue(0).add(std::vector<Buffer>{{out, 4, true}});
  driver->settle();
  EXPECT_FALSE(driver->queue(0).take_used());
  driver->write32(reg::kStatus, kStatusAcknowledge | kStatusDriver | kStatusFeaturesOk | kStatusDriverOk);
  driver->settle();
  EXPECT_TRUE(driver->queue(0).take_used());
}

TEST_F(MmioTransportTest, InsistsOnVersion1AndOnFeaturesThatItOffers) {
  EXPECT_FALSE(driver->initialize(~kFeatureVersion1));
  for (const uint64_t unknown : {1ull << 4, 1ull << 40, 1ull << 63}) {
    driver->reset();
    driver->write32(reg::kStatus, kStatusAcknowledge | kStatusDriver);
    driver->write_features(kFeatureVersion1 | unknown);
    driver->write32(reg::kStatus, kStatusAcknowledge | kStatusDriver | kStatusFeaturesOk);
    EXPECT_FALSE(driver->read32(reg::kStatus) & kStatusFeaturesOk);
    driver->write32(reg::kStatus, kStatusAcknowledge | kStatusDriver | kStatusDriverOk);
    EXPECT_FALSE(driver->read32(reg::kStatus) & kStatusDriverOk);
  }
  EXPECT_EQ(device->activations, 0);
  EXPECT_TRUE(driver->initialize());
}

TEST_F(MmioTransportTest, FeaturesAreFixedOnceAccepted) {
  ASSERT_TRUE(driver->initialize(kFeatureVersion1));
  driver->write_features(~0ull);
  EXPECT_EQ(device->driver_features, kFeatureVersion1);
}

TEST(MmioTransportOptions, AccessPlatformIsRequiredWhenAskedFor) {
  GuestMemory memory;
  memory.add_ram(0x40000000, 4 << 20).value();
  testing::FakeIrq irq;
  auto transport = MmioTransport::create(memory, irq, std::make_unique<ReverseDevice>(), {.access_platform = true}).value();
  testing::FakeDriver driver(memory, *transport, 0x40010000);
  EXPECT_FALSE(driver.initialize(~kFeatureAccessPlatform));
  EXPECT_TRUE(driver.initialize());
}

TEST_F(MmioTransportTest, StatusBitsAreOnlyAddedAndNeedsResetIsTheDevices) {
  driver->write32(reg::kStatus, kStatusAcknowledge | kStatusDriver);
  driver->write32(reg::kStatus, kStatusAcknowledge);
  EXPECT_EQ(driver->read32(reg::kStatus), kStatusAcknowledge | kStatusDriver);
  driver->write32(reg::kStatus, kStatusNeedsReset | kStatusFailed | 0xffffff00);
  EXPECT_EQ(driver->read32(reg::kStatus), kStatusAcknowledge | kStatusDriver | kStatusFailed);
}

TEST_F(MmioTransportTest, ResetForgetsEverything) {
  ASSERT_TRUE(driver->initialize());
  exchange(0, {1});
  ASSERT_TRUE(irq.level());
  driver->reset();
  EXPECT_FALSE(irq.level());
  EXPECT_EQ(driver->read32(reg::kStatus), 0u);
  EXPECT_EQ(driver->read32(reg::kInterruptStatus), 0u);
  driver->write32(reg::kQueueSel, 0);
  EXPECT_EQ(driver->read32(reg::kQueueReady), 0u);
  driver->kick_always(0);
  const int before = device->notifications;
  driver->settle();
  EXPECT_EQ(device->notifications, before);
  ASSERT_TRUE(driver->initialize());
  EXPECT_EQ(exchange(0, {1, 2}), (std::vector<uint8_t>{2, 1}));
}

TEST_F(MmioTransportTest, AQueueMayBeStoppedAlone) {
  ASSERT_TRUE(driver->initialize());
  driver->write32(reg::kQueueSel, 0);
  driver->write32(reg::kQueueReady, 0);
  EXPECT_EQ(driver->read32(reg::kQueueReady), 0u);
  EXPECT_TRUE(exchange(0, {1, 2}).empty());
  EXPECT_EQ(exchange(1, {1, 2}), (std::vector<uint8_t>{2, 1}));
}

TEST_F(MmioTransportTest, ConfigurationIsReadInAnyWidthAndHasAGeneration) {
  ASSERT_TRUE(driver->initialize());
  EXPECT_EQ(driver->config<uint32_t>(0), 0x11223344u);
  EXPECT_EQ(driver->config<uint8_t>(1), 0x33);
  EXPECT_EQ(driver->config<uint64_t>(0), 0x511223344ull);
  EXPECT_EQ(driver->config<uint64_t>(4), 5u);
  EXPECT_EQ(driver->config<uint32_t>(0xf0), 0u);
  driver->write32(reg::kConfig + 4, 77);
  EXPECT_EQ(driver->config<uint32_t>(4), 77u);
  const uint32_t generation = driver->read32(reg::kConfigGeneration);
  device->change_config();
  EXPECT_NE(driver->read32(reg::kConfigGeneration), generation);
  EXPECT_EQ(driver->acknowledge(), kInterruptConfigChange);
  EXPECT_FALSE(irq.level());
}

TEST_F(MmioTransportTest, AMalformedRequestAsksForAReset) {
  ASSERT_TRUE(driver->initialize());
  driver->queue(0).write_descriptor(0, 0, 100, 0, 0);
  driver->queue(0).offer(0);
  driver->kick_always(0);
  driver->settle();
  EXPECT_TRUE(driver->needs_reset());
  EXPECT_EQ(driver->acknowledge(), kInterruptConfigChange);
  EXPECT_NE(transport->fault_reason().find("queue 0"), std::string::npos) << transport->fault_reason();
  ASSERT_TRUE(driver->initialize());
  EXPECT_FALSE(driver->needs_reset());
  EXPECT_TRUE(transport->fault_reason().empty());
  EXPECT_EQ(exchange(0, {1, 2}), (std::vector<uint8_t>{2, 1}));
}

TEST_F(MmioTransportTest, ADriverThatBreaksItsDeviceOverAndOverWritesABoundedLog) {
  const log::CapturedLog log;
  for (int i = 0; i < 300; ++i) {
    ASSERT_TRUE(driver->initialize());
    driver->queue(0).write_descriptor(0, 0, 100, 0, 0);
    driver->queue(0).offer(0);
    driver->kick_always(0);
    driver->settle();
    ASSERT_TRUE(driver->needs_reset());
  }
  const auto lines = log.lines();
  ASSERT_GE(lines.size(), log::RateLimit::kBurst);
  EXPECT_LE(lines.size(), log.most_lines_of_a_limit());
  EXPECT_NE(lines[0].find("warning virtio["), std::string::npos) << lines[0];
  EXPECT_NE(lines[0].find("device=reverse: the guest's driver has broken its device"), std::string::npos) << lines[0];
  EXPECT_NE(lines[0].find("queue 0: a buffer of 100 bytes at 0x0 is not in guest memory"), std::string::npos) << lines[0];
}

TEST_F(MmioTransportTest, BadQueueSetupAsksForAReset) {
  for (const auto& [offset, value] : std::vector<std::pair<uint64_t, uint32_t>>{{reg::kQueueNum, 128},
                                                                                {reg::kQueueNum, 0},
                                                                                {reg::kQueueNum, 3},
                                                                                {reg::kQueueDescHigh, 1},
                                                                                {reg::kQueueDriverLow, 0x40000001},
                                                                                {reg::kQueueDeviceLow, 0xfffffffc}}) {
    SCOPED_TRACE(::testing::Message() << offset << " " << value);
    driver->reset();
    driver->write32(reg::kStatus, kStatusAcknowledge | kStatusDriver);
    driver->write_features(kFeatureVersion1);
    driver->write32(reg::kStatus, kStatusFeaturesOk);
    driver->set_up_queue(0);
    driver->write32(reg::kQueueReady, 0);
    driver->write32(offset, value);
    driver->write32(reg::kQueueReady, 1);
    driver->write32(reg::kStatus, kStatusDriverOk);
    EXPECT_TRUE(driver->needs_reset());
    driver->settle();
  }
  EXPECT_EQ(device->activations, 0);
}

TEST_F(MmioTransportTest, IgnoresAccessesOfOddSizeAndQueuesThatDoNotExist) {
  uint8_t byte = 0xaa;
  transport->read(reg::kMagicValue, std::span(&byte, 1));
  EXPECT_EQ(byte, 0);
  uint64_t wide = 1;
  transport->read(reg::kMagicValue, std::span(reinterpret_cast<uint8_t*>(&wide), 8));
  EXPECT_EQ(wide, 0u);
  transport->write(reg::kStatus, std::span(reinterpret_cast<const uint8_t*>(&wide), 8));
  EXPECT_EQ(driver->read32(reg::kStatus), 0u);
  driver->write32(reg::kQueueSel, 2);
  EXPECT_EQ(driver->read32(reg::kQueueNumMax), 0u);
  driver->write32(reg::kQueueReady, 1);
  EXPECT_EQ(driver->read32(reg::kQueueReady), 0u);
  driver->write32(reg::kQueueNotify, 0xffffffff);
  driver->write32(0x1f4, 1);
}

TEST_F(MmioTransportTest, ADoorbellDescriptorWorksLikeQueueNotify) {
  ASSERT_TRUE(driver->initialize());
  const auto out = driver->allocate(4);
  driver->queue(1).add(std::vector<Buffer>{{out, 4, true}});
  const uint64_t one = 1;
  ASSERT_EQ(::write(transport->doorbell_fd(1), &one, sizeof(one)), ssize_t{sizeof(one)});
  driver->settle();
  EXPECT_TRUE(driver->queue(1).take_used());
}

TEST_F(MmioTransportTest, WorksOnAThreadOfItsOwn) {
  ASSERT_TRUE(transport->start());
  for (int round = 0; round < 20; ++round) {
    // settle() belongs to loops without thread, so the steps of initialize() are taken here.
    driver->reset();
    driver->write32(reg::kStatus, kStatusAcknowledge | kStatusDriver);
    driver->write_features(driver->device_features());
    driver->write32(reg::kStatus, kStatusFeaturesOk);
    driver->set_up_queue(0);
    driver->write32(reg::kStatus, kStatusDriverOk);
    auto& queue = driver->queue(0);
    const auto out = driver->allocate(4);
    for (int i = 0; i < 50; ++i) {
      queue.want_interrupt();
      queue.add(std::vector<Buffer>{{out, 4, true}});
      driver->kick(0);
      while (!queue.take_used()) std::this_thread::yield();
    }
  }
  driver->reset();
  EXPECT_EQ(device->activations, 20);
}

TEST_F(MmioTransportTest, SurvivesRandomRegisterAccesses) {
  const uint64_t seed = testing::test_seed();
  SCOPED_TRACE(::testing::Message() << "ADYTON_TEST_SEED=" << seed);
  std::mt19937_64 random(seed);
  ASSERT_TRUE(driver->initialize());
  for (int i = 0; i < 50000; ++i) {
    const uint64_t offset = random() % 4 ? random() % 0x40 * 4 : random() % MmioTransport::kSize;
    if (random() % 2) {
      driver->read32(offset);
    } else {
      driver->write32(offset, static_cast<uint32_t>(random() % 3 ? random() % 16 : random()));
    }
    if (i % 64 == 0) driver->settle();
  }
  EXPECT_TRUE(driver->initialize());
}

}  // namespace
}  // namespace adyton::vmm::virtio
