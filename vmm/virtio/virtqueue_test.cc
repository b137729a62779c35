#include "vmm/virtio/virtqueue.h"

#include <gtest/gtest.h>

#include <random>
#include <set>

#include "vmm/virtio/spec.h"
#include "vmm/virtio/testing/fake_driver.h"

namespace adyton::vmm::virtio {
namespace {

using testing::Buffer;
using testing::FakeQueue;

constexpr GuestPhysAddr kRam = 0x40000000;
constexpr uint64_t kRamSize = 1 << 20;
constexpr GuestPhysAddr kData = kRam + 0x40000;

struct VirtqueueTest : ::testing::Test {
  VirtqueueTest() { memory.add_ram(kRam, kRamSize).value(); }

  void enable(bool event_idx = false, bool indirect = true) {
    layout.event_idx = event_idx;
    layout.indirect = indirect;
    queue.enable(memory, layout, [this](std::string_view reason) { faults.emplace_back(reason); }).value();
  }
  void expect_fault() {
    Chain chain;
    EXPECT_FALSE(queue.pop(chain));
    EXPECT_EQ(faults.size(), 1u);
    EXPECT_FALSE(queue.enabled());
    // A faulty queue stays quiet.
    EXPECT_FALSE(queue.pop(chain));
    EXPECT_FALSE(queue.has_available());
    EXPECT_FALSE(queue.should_interrupt());
    EXPECT_FALSE(queue.enable_doorbells());
    EXPECT_EQ(faults.size(), 1u);
  }

  GuestMemory memory;
  VirtqueueLayout layout{.size = 16, .descriptors = kRam, .avail = kRam + 0x1000, .used = kRam + 0x2000};
  FakeQueue driver{memory, 16, kRam, kRam + 0x1000, kRam + 0x2000, kRam + 0x3000};
  Virtqueue queue;
  std::vector<std::string> faults;
};

TEST_F(VirtqueueTest, HandsOutBuffersByDirection) {
  enable();
  driver.add(std::vector<Buffer>{{kData, 10, false}, {kData + 100, 20, false}, {kData + 200, 30, true}});
  Chain chain;
  ASSERT_TRUE(queue.pop(chain));
  EXPECT_EQ(chain.readable().size(), 2u);
  EXPECT_EQ(chain.readable_bytes(), 30u);
  EXPECT_EQ(chain.writable().size(), 1u);
  EXPECT_EQ(chain.writable_bytes(), 30u);
  EXPECT_EQ(chain.writable()[0].iov_base, memory.slice(kData + 200, 1).data());
  EXPECT_FALSE(queue.pop(chain));
  EXPECT_TRUE(faults.empty());
}

TEST_F(VirtqueueTest, ReturnsChainsToTheDriver) {
  enable();
  const auto head = driver.add(std::vector<Buffer>{{kData, 10, true}});
  Chain chain;
  ASSERT_TRUE(queue.pop(chain));
  EXPECT_FALSE(driver.take_used());
  queue.push(chain, 7);
  const auto used = driver.take_used();
  ASSERT_TRUE(used);
  EXPECT_EQ(used->head, *head);
  EXPECT_EQ(used->written, 7u);
}

TEST_F(VirtqueueTest, FollowsIndirectTables) {
  enable();
  driver.add(std::vector<Buffer>{{kData, 1, false}, {kData + 64, 2, true}, {kData + 128, 3, true}}, /*indirect=*/true);
  Chain chain;
  ASSERT_TRUE(queue.pop(chain));
  EXPECT_EQ(chain.readable_bytes(), 1u);
  EXPECT_EQ(chain.writable_bytes(), 5u);
}

TEST_F(VirtqueueTest, FollowsAnIndirectTableAfterDirectDescriptors) {
  enable();
  driver.write_descriptor(3, kData, 4, kDescNext, 5);
  driver.write_descriptor(5, kRam + 0x8000, 16, kDescIndirect | kDescWrite, 0);  // the write flag is to be ignored here
  memory.store(kRam + 0x8000, uint64_t{kData + 64}).value();
  memory.store(kRam + 0x8008, uint32_t{8}).value();
  memory.store(kRam + 0x800c, uint32_t{kDescWrite}).value();
  driver.offer(3);
  Chain chain;
  ASSERT_TRUE(queue.pop(chain));
  EXPECT_EQ(chain.readable_bytes(), 4u);
  EXPECT_EQ(chain.writable_bytes(), 8u);
}

TEST_F(VirtqueueTest, LeavesOutEmptyBuffers) {
  enable();
  driver.add(std::vector<Buffer>{{0xdead0000, 0, false}, {kData, 5, false}, {0, 0, true}});
  Chain chain;
  ASSERT_TRUE(queue.pop(chain));
  EXPECT_EQ(chain.readable().size(), 1u);
  EXPECT_TRUE(chain.writable().empty());
}

TEST_F(VirtqueueTest, RewindMakesChainsAvailableAgain) {
  enable();
  const auto first = driver.add(std::vector<Buffer>{{kData, 1, true}});
  const auto second = driver.add(std::vector<Buffer>{{kData, 2, true}});
  Chain chain;
  ASSERT_TRUE(queue.pop(chain));
  ASSERT_TRUE(queue.pop(chain));
  queue.rewind(2);
  ASSERT_TRUE(queue.pop(chain));
  EXPECT_EQ(chain.head(), *first);
  ASSERT_TRUE(queue.pop(chain));
  EXPECT_EQ(chain.head(), *second);
}

TEST_F(VirtqueueTest, InterruptFollowsTheFlagWithoutEventIdx) {
  enable();
  Chain chain;
  EXPECT_FALSE(queue.should_interrupt());
  driver.add(std::vector<Buffer>{{kData, 1, true}});
  ASSERT_TRUE(queue.pop(chain));
  queue.push(chain, 0);
  EXPECT_TRUE(queue.should_interrupt());
  EXPECT_FALSE(queue.should_interrupt());
  driver.set_no_interrupt(true);
  driver.add(std::vector<Buffer>{{kData, 1, true}});
  ASSERT_TRUE(queue.pop(chain));
  queue.push(chain, 0);
  EXPECT_FALSE(queue.should_interrupt());
}

TEST_F(VirtqueueTest, InterruptFollowsTheEventIndex) {
  enable(/*event_idx=*/true);
  Chain chain;
  const auto complete_one = [&] {
    driver.add(std::vector<Buffer>{{kData, 1, true}});
    ASSERT_TRUE(queue.pop(chain));
    queue.push(chain, 0);
  };
  driver.want_interrupt();
  complete_one();
  EXPECT_TRUE(queue.should_interrupt());
  complete_one();  // the driver has not asked again
  EXPECT_FALSE(queue.should_interrupt());
  while (driver.take_used()) {}
  driver.want_interrupt();
  complete_one();
  complete_one();
  EXPECT_TRUE(queue.should_interrupt());
}

TEST_F(VirtqueueTest, DoorbellsAreSuppressedAndAskedForAgain) {
  for (const bool event_idx : {false, true}) {
    SCOPED_TRACE(event_idx);
    driver.set_available_index(0);
    enable(event_idx);
    Chain chain;
    queue.disable_doorbells();
    driver.add(std::vector<Buffer>{{kData, 1, true}});
    EXPECT_TRUE(queue.enable_doorbells());  // that one came while nobody listened
    ASSERT_TRUE(queue.pop(chain));
    EXPECT_FALSE(queue.enable_doorbells());
    if (event_idx) {
      EXPECT_EQ(driver.avail_event(), 1);
    } else {
      EXPECT_EQ(driver.used_flags() & kUsedNoNotify, 0);
    }
  }
}

TEST_F(VirtqueueTest, RefusesRingsThatAreNotInMemoryOrMisaligned) {
  const auto try_layout = [&](VirtqueueLayout wrong) { return queue.enable(memory, wrong, {}).has_value(); };
  EXPECT_TRUE(try_layout(layout));
  for (const uint16_t size : {0, 3, 48, 65535})
    EXPECT_FALSE(try_layout({.size = size, .descriptors = kRam, .avail = kRam, .used = kRam}));
  auto wrong = layout;
  wrong.descriptors += 8;
  EXPECT_FALSE(try_layout(wrong));
  wrong = layout;
  wrong.avail += 1;
  EXPECT_FALSE(try_layout(wrong));
  wrong = layout;
  wrong.used += 2;
  EXPECT_FALSE(try_layout(wrong));
  for (GuestPhysAddr VirtqueueLayout::* ring : {&VirtqueueLayout::descriptors, &VirtqueueLayout::avail, &VirtqueueLayout::used}) {
    for (const GuestPhysAddr address : {GuestPhysAddr{0}, kRam - 16, kRam + kRamSize - 16, ~GuestPhysAddr{15}}) {
      wrong = layout;
      wrong.*ring = address;
      EXPECT_FALSE(try_layout(wrong)) << address;
      EXPECT_FALSE(queue.enabled());
    }
  }
}

TEST_F(VirtqueueTest, FaultsOnAnAvailableIndexTooFarAhead) {
  enable();
  driver.set_available_index(17);
  expect_fault();
}

TEST_F(VirtqueueTest, FaultsOnAHeadBeyondTheQueue) {
  enable();
  driver.offer(16);
  expect_fault();
}

TEST_F(VirtqueueTest, FaultsOnANextBeyondTheQueue) {
  enable();
  driver.write_descriptor(0, kData, 1, kDescNext, 999);
  driver.offer(0);
  expect_fault();
}

TEST_F(VirtqueueTest, FaultsOnALoop) {
  enable();
  driver.write_descriptor(0, kData, 1, kDescNext, 1);
  driver.write_descriptor(1, kData, 1, kDescNext, 0);
  driver.offer(0);
  expect_fault();
}

TEST_F(VirtqueueTest, FaultsOnALoopOfEmptyBuffers) {
  enable();
  driver.write_descriptor(0, 0, 0, kDescNext, 0);
  driver.offer(0);
  expect_fault();
}

TEST_F(VirtqueueTest, FaultsOnABufferOutsideMemory) {
  for (const auto& [address, length] : std::vector<std::pair<uint64_t, uint32_t>>{{0, 1},
                                                                                  {kRam - 1, 2},
                                                                                  {kRam + kRamSize - 1, 2},
                                                                                  {kRam + kRamSize, 1},
                                                                                  {~0ull, 1},
                                                                                  {~0ull, 0xffffffff},
                                                                                  {kRam, 0xffffffff}}) {
    SCOPED_TRACE(address);
    faults.clear();
    driver.set_available_index(0);
    enable();
    driver.write_descriptor(0, address, length, 0, 0);
    driver.offer(0);
    expect_fault();
  }
}

TEST_F(VirtqueueTest, FaultsOnAReadableBufferAfterAWritableOne) {
  enable();
  driver.add(std::vector<Buffer>{{kData, 1, true}, {kData, 1, false}});
  expect_fault();
}

TEST_F(VirtqueueTest, FaultsOnIndirectWithoutTheFeature) {
  enable(false, /*indirect=*/false);
  driver.add(std::vector<Buffer>{{kData, 1, true}}, /*indirect=*/true);
  expect_fault();
}

TEST_F(VirtqueueTest, FaultsOnBadIndirectTables) {
  const GuestPhysAddr table = kRam + 0x8000;
  struct Case {
    uint64_t address;
    uint32_t length;
    uint16_t flags;
    uint16_t inner_flags;
    uint16_t inner_next;
  };
  for (const Case& bad : {Case{table, 0, kDescIndirect, 0, 0},                  // no entry
                          Case{table, 17, kDescIndirect, 0, 0},                 // half an entry
                          Case{table, 16 * 65536, kDescIndirect, 0, 0},         // too long
                          Case{0, 16, kDescIndirect, 0, 0},                     // not in memory
                          Case{kRam + kRamSize - 16, 32, kDescIndirect, 0, 0},  // half in memory
                          Case{table, 16, kDescIndirect | kDescNext, 0, 0},     // with a successor
                          Case{table, 16, kDescIndirect, kDescIndirect, 0},     // nested
                          Case{table, 16, kDescIndirect, kDescNext, 0},         // a loop
                          Case{table, 16, kDescIndirect, kDescNext, 1}}) {      // beyond the table
    SCOPED_TRACE(::testing::Message() << bad.address << " " << bad.length << " " << bad.flags);
    faults.clear();
    driver.set_available_index(0);
    enable();
    memory.store(table, uint64_t{kData}).value();
    memory.store(table + 8, uint32_t{1}).value();
    memory.store(table + 12, bad.inner_flags).value();
    memory.store(table + 14, bad.inner_next).value();
    driver.write_descriptor(0, bad.address, bad.length, bad.flags, 1);
    driver.offer(0);
    expect_fault();
  }
}

TEST_F(VirtqueueTest, FaultsOnAChainOfMoreThanFourGigabytes) {
  constexpr uint32_t kEntries = 1000;
  GuestMemory big;
  big.add_ram(kRam, 64 << 20).value();
  FakeQueue other(big, 16, kRam, kRam + 0x1000, kRam + 0x2000, kRam + 0x3000);
  queue
      .enable(
          big,
          [&] {
            auto l = layout;
            l.indirect = true;
            return l;
          }(),
          [this](std::string_view reason) { faults.emplace_back(reason); })
      .value();
  const GuestPhysAddr table = kRam + 0x100000;
  for (uint32_t i = 0; i < kEntries; ++i) {
    big.store(table + 16 * i, uint64_t{kRam}).value();
    big.store(table + 16 * i + 8, uint32_t{32 << 20}).value();
    big.store(table + 16 * i + 12, static_cast<uint16_t>(i + 1 < kEntries ? kDescNext : 0)).value();
    big.store(table + 16 * i + 14, static_cast<uint16_t>(i + 1)).value();
  }
  other.write_descriptor(0, table, 16 * kEntries, kDescIndirect, 0);
  other.offer(0);
  expect_fault();
}

// Any contents of the rings: the queue answers or faults, and what it hands out lies in guest memory.
TEST_F(VirtqueueTest, RandomRingsNeverReachOutsideMemory) {
  const uint64_t seed = testing::test_seed();
  SCOPED_TRACE(::testing::Message() << "ADYTON_TEST_SEED=" << seed);
  std::mt19937_64 random(seed);
  const auto ram = memory.slice(kRam, kRamSize);
  for (int round = 0; round < 3000; ++round) {
    faults.clear();
    for (uint16_t i = 0; i < 16; ++i) {
      const bool sane = random() % 4;
      driver.write_descriptor(i, sane ? kRam + random() % kRamSize : random(),
                              static_cast<uint32_t>(sane ? random() % 4096 : random()), static_cast<uint16_t>(random() % 8),
                              static_cast<uint16_t>(random() % 17));
    }
    driver.set_available_index(0);
    enable(random() % 2, random() % 2);
    for (uint64_t i = random() % 18; i > 0; --i) driver.offer(static_cast<uint16_t>(random() % 17));
    Chain chain;
    for (int pops = 0; queue.pop(chain); ++pops) {
      ASSERT_LT(pops, 16);
      for (const auto segments : {chain.readable(), chain.writable()}) {
        for (const iovec& segment : segments) {
          const auto* start = static_cast<const uint8_t*>(segment.iov_base);
          ASSERT_GE(start, ram.data());
          ASSERT_LE(start + segment.iov_len, ram.data() + ram.size());
        }
      }
      if (random() % 2) queue.push(chain, static_cast<uint32_t>(random()));
      queue.should_interrupt();
    }
    ASSERT_LE(faults.size(), 1u);
  }
}

TEST(ChainCursor, ReadsWritesAndTakesAcrossSegments) {
  uint8_t a[3] = {1, 2, 3};
  uint8_t b[4] = {4, 5, 6, 7};
  const iovec segments[] = {{a, 3}, {b, 4}};
  ChainReader reader(segments);
  uint32_t word = 0;
  ASSERT_TRUE(reader.read_object(word));
  EXPECT_EQ(word, 0x04030201u);
  std::vector<iovec> rest;
  EXPECT_EQ(reader.take(100, rest), 3u);
  ASSERT_EQ(rest.size(), 1u);
  EXPECT_EQ(rest[0].iov_base, b + 1);
  EXPECT_FALSE(reader.read_object(word));

  ChainWriter writer(segments);
  EXPECT_EQ(writer.skip(2), 2u);
  EXPECT_TRUE(writer.write_object(uint16_t{0xbbaa}));
  EXPECT_EQ(a[2], 0xaa);
  EXPECT_EQ(b[0], 0xbb);
  EXPECT_EQ(writer.skip(100), 3u);
  EXPECT_FALSE(writer.write_object(uint8_t{1}));
}

}  // namespace
}  // namespace adyton::vmm::virtio
