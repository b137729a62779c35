// How bytes flow through the vsock device: credit, back-pressure, many connections, long streams, and hostile packets.
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <algorithm>
#include <atomic>
#include <random>
#include <thread>

#include "vmm/vsock/testing/vsock_fixture.h"

namespace adyton::vmm::vsock {
namespace {

using namespace std::chrono_literals;
using testing::at_end;
using testing::FakeGuest;
using testing::kGuestPort;
using testing::kPort;
using testing::read_now;
using testing::VsockTest;
using testing::write_now;

// Fills the connection until the guest has no credit; returns how many bytes the guest sent.
size_t fill(FakeGuest& guest, virtio::testing::FakeDriver& driver, uint32_t buf_alloc) {
  std::string block(16 * 1024, 'x');
  size_t sent = 0;
  uint32_t known_fwd = 0;
  for (;;) {
    while (const auto packet = guest.receive()) known_fwd = packet->header.fwd_cnt;
    const size_t free = buf_alloc - (sent - known_fwd);
    if (free == 0) return sent;
    EXPECT_TRUE(guest.send(Op::kRw, kGuestPort, kPort, std::string_view(block).substr(0, std::min(free, block.size()))));
    sent += std::min(free, block.size());
    driver.settle();
  }
}

TEST_F(VsockTest, AHostThatStopsReadingStopsTheGuest) {
  guest.post_receive_buffers();
  const int fd = open();
  const uint32_t limit = Muxer::Limits().buffer_bytes;
  const size_t sent = fill(guest, *driver, limit);
  EXPECT_GE(sent, limit);
  EXPECT_LE(sent, limit + (1 << 20));  // what the socket itself holds
  EXPECT_FALSE(guest.receive());
  EXPECT_EQ(connections(), 1u);
  // The host reads on: everything arrives, and the guest gets credit again.
  std::string all;
  for (int turns = 0; turns < 100 && all.size() < sent; ++turns) {
    all += read_now(fd);
    driver->settle();
  }
  EXPECT_EQ(all.size(), sent);
  const auto update = guest.receive();
  ASSERT_TRUE(update);
  EXPECT_EQ(update->header.op, Op::kCreditUpdate);
}

TEST_F(VsockTest, MoreThanTheCreditIsAViolation) {
  guest.post_receive_buffers();
  const int fd = open();
  const size_t sent = fill(guest, *driver, Muxer::Limits().buffer_bytes);
  guest.send(Op::kRw, kGuestPort, kPort, "one too many");
  expect_packet(Op::kRst);
  EXPECT_EQ(connections(), 0u);
  std::string all = read_now(fd, 8 << 20);
  EXPECT_LT(all.size(), sent);
  EXPECT_TRUE(at_end(fd));
}

TEST_F(VsockTest, WhatTheGuestSentBeforeItWentIsStillDelivered) {
  for (const bool by_reset : {false, true}) {
    accepted.clear();
    if (by_reset) { ASSERT_TRUE(driver->initialize()); }
    guest = FakeGuest(memory, *driver);
    guest.post_receive_buffers();
    const int fd = open();
    const size_t sent = fill(guest, *driver, Muxer::Limits().buffer_bytes);
    if (by_reset) {
      driver->reset();
    } else {
      guest.send(Op::kRst, kGuestPort, kPort);
      driver->settle();
    }
    EXPECT_EQ(connections(), 0u);
    std::string all;
    for (int turns = 0; turns < 100 && all.size() < sent; ++turns) {
      all += read_now(fd);
      driver->settle();
    }
    EXPECT_EQ(all.size(), sent);
    driver->settle();
    EXPECT_TRUE(at_end(fd));
    if (!by_reset) driver->reset();
  }
}

TEST_F(VsockTest, AGuestWithoutBuffersStopsTheHost) {
  guest.post_receive_buffers(1);
  const int fd = open();
  guest.refill = false;
  guest.poll();
  const std::string block(1 << 16, 'y');
  size_t written = 0;
  for (int i = 0; i < 100; ++i) {
    written += write_now(fd, block);
    driver->settle();
  }
  EXPECT_LT(written, size_t{1} << 20);
  guest.refill = true;
  guest.post_receive_buffers();
  EXPECT_EQ(receive_data(written).size(), written);
}

TEST_F(VsockTest, TheGuestsCreditLimitsTheHost) {
  guest.post_receive_buffers();
  guest.buf_alloc = 10'000;
  const int fd = open();
  write_now(fd, std::string(30'000, 'z'));
  EXPECT_EQ(receive_data(30'000).size(), 10'000u);
  guest.fwd_cnt = 4'000;
  guest.send(Op::kCreditUpdate, kGuestPort, kPort);
  EXPECT_EQ(receive_data(30'000).size(), 4'000u);
  guest.fwd_cnt = 14'000;
  guest.buf_alloc = 100'000;
  guest.send(Op::kCreditUpdate, kGuestPort, kPort);
  EXPECT_EQ(receive_data(30'000).size(), 16'000u);
}

TEST_F(VsockTest, AsksForCreditWhenTheWindowIsShut) {
  guest.post_receive_buffers();
  guest.buf_alloc = 100;
  const int fd = open();
  write_now(fd, std::string(200, 'z'));
  expect_packet(Op::kRw);
  expect_packet(Op::kCreditRequest);
  EXPECT_FALSE(guest.receive());
}

TEST_F(VsockTest, TakesTheGuestsPacketsWhileItHasNoReceiveBuffers) {
  guest.post_receive_buffers(1);
  const int fd = open();
  guest.refill = false;
  guest.poll();
  write_now(fd, "stuck");
  for (int i = 0; i < 500; ++i) {
    ASSERT_TRUE(guest.send(Op::kRw, kGuestPort, kPort, "0123456789"));
    driver->settle();
    ASSERT_EQ(read_now(fd).size(), 10u) << i;
  }
}

struct VsockFewReplies : VsockTest {
  VsockFewReplies() : VsockTest(Muxer::Limits{.max_connections = 4, .max_replies = 10}) {}
};

TEST_F(VsockFewReplies, StopsTakingPacketsWhenItCannotKeepTheAnswers) {
  for (uint32_t i = 0; i < 100; ++i) ASSERT_TRUE(guest.send(Op::kRw, i, kPort, "to nobody"));
  driver->settle();
  EXPECT_FALSE(device->muxer().can_take());
  guest.post_receive_buffers();
  std::vector<uint32_t> ports;
  while (const auto packet = guest.receive()) {
    EXPECT_EQ(packet->header.op, Op::kRst);
    ports.push_back(packet->header.dst_port);
  }
  ASSERT_EQ(ports.size(), 100u);
  EXPECT_TRUE(std::is_sorted(ports.begin(), ports.end()));
}

TEST_F(VsockFewReplies, RefusesMoreConnectionsThanItsLimit) {
  guest.post_receive_buffers();
  for (uint32_t i = 0; i < 4; ++i) open(kGuestPort + i);
  guest.send(Op::kRequest, kGuestPort + 9, kPort);
  expect_packet(Op::kRst);
  const UniqueFd fd = device->muxer().connect(5).value();
  driver->settle();
  EXPECT_TRUE(at_end(fd.get()));
}

TEST_F(VsockTest, HoldsManyConnections) {
  constexpr uint32_t kCount = 1500;
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  const rlimit old = limit;
  if (limit.rlim_max < 2 * kCount + 100) GTEST_SKIP() << "the hard limit of descriptors is " << limit.rlim_max;
  limit.rlim_cur = std::max<rlim_t>(limit.rlim_cur, 2 * kCount + 100);
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &limit), 0);
  guest.post_receive_buffers();
  for (uint32_t i = 0; i < kCount; ++i) ASSERT_GE(open(i), 0);
  EXPECT_EQ(connections(), kCount);
  for (uint32_t i = 0; i < kCount; ++i) {
    write_now(accepted[i].get(), std::to_string(i));
    ASSERT_TRUE(guest.send(Op::kRw, i, kPort, std::to_string(i)));
    if (i % 100 == 0) driver->settle();
  }
  driver->settle();
  uint32_t count = 0;
  while (const auto packet = guest.receive()) {
    ASSERT_EQ(packet->header.op, Op::kRw);
    ASSERT_EQ(packet->text(), std::to_string(packet->header.dst_port));
    ++count;
  }
  EXPECT_EQ(count, kCount);
  for (uint32_t i = 0; i < kCount; ++i) ASSERT_EQ(read_now(accepted[i].get(), 100), std::to_string(i));
  accepted.clear();
  count = 0;
  while (const auto packet = guest.receive()) count += packet->header.op == Op::kShutdown;
  EXPECT_EQ(count, kCount);
  ::setrlimit(RLIMIT_NOFILE, &old);
}

// A stream in both directions at once through a device with its own thread, with the guest's and the host's programs of random
// speed.
TEST_F(VsockTest, StreamsInBothDirections) {
  const uint64_t seed = virtio::testing::test_seed();
  SCOPED_TRACE(::testing::Message() << "ADYTON_TEST_SEED=" << seed);
  constexpr size_t kTotal = 32 << 20;
  const auto byte_at = [](size_t position) { return static_cast<uint8_t>(position * 2654435761u >> 13); };
  std::vector<uint8_t> pattern(kTotal + (1 << 16));
  for (size_t i = 0; i < pattern.size(); ++i) pattern[i] = byte_at(i);

  ASSERT_TRUE(transport->start());
  guest.has_thread = true;
  guest.post_receive_buffers();
  UniqueFd socket;
  std::atomic<bool> arrived = false;
  ASSERT_TRUE(device->muxer().listen(kPort + 1, [&](UniqueFd fd) {
    socket = std::move(fd);
    arrived = true;
  }));
  ASSERT_TRUE(guest.send(Op::kRequest, kGuestPort, kPort + 1));
  while (!arrived) std::this_thread::yield();

  size_t host_received = 0;
  bool host_intact = true;
  std::thread reader([&] {
    std::vector<uint8_t> buffer(1 << 16);
    for (;;) {
      const ssize_t count = ::recv(socket.get(), buffer.data(), buffer.size(), 0);
      if (count <= 0) break;
      host_intact &= std::equal(buffer.begin(), buffer.begin() + count, pattern.begin() + static_cast<ptrdiff_t>(host_received));
      host_received += static_cast<size_t>(count);
    }
  });
  std::thread writer([&] {
    std::mt19937_64 random(seed);
    for (size_t sent = 0; sent < kTotal;) {
      const size_t part = std::min(1 + random() % 100'000, kTotal - sent);
      const ssize_t count = ::send(socket.get(), pattern.data() + sent, part, MSG_NOSIGNAL);
      if (count <= 0) break;
      sent += static_cast<size_t>(count);
    }
    ::shutdown(socket.get(), SHUT_WR);
  });

  std::mt19937_64 random(seed + 1);
  size_t guest_sent = 0;
  size_t guest_received = 0;
  uint32_t peer_fwd = 0;
  uint32_t peer_alloc = 0;
  uint32_t announced = 0;
  bool guest_intact = true;
  bool host_ended = false;
  bool guest_ended = false;
  bool failed = false;
  while (!failed && !(host_ended && guest_ended)) {
    while (const auto packet = guest.receive()) {
      peer_fwd = packet->header.fwd_cnt;
      peer_alloc = packet->header.buf_alloc;
      if (packet->header.op == Op::kRw) {
        guest_intact &=
            std::equal(packet->payload.begin(), packet->payload.end(), pattern.begin() + static_cast<ptrdiff_t>(guest_received));
        guest_received += packet->payload.size();
        guest.fwd_cnt = static_cast<uint32_t>(guest_received);
      } else if (packet->header.op == Op::kShutdown) {
        host_ended = true;
      } else if (packet->header.op == Op::kRst) {
        failed = true;
      }
    }
    if (guest.fwd_cnt - announced > FakeGuest::kBufAlloc / 2 && guest.send(Op::kCreditUpdate, kGuestPort, kPort + 1))
      announced = guest.fwd_cnt;
    const size_t free = peer_alloc - static_cast<uint32_t>(static_cast<uint32_t>(guest_sent) - peer_fwd);
    const size_t part = std::min({size_t{1} + random() % kMaxPayload, free, kTotal - guest_sent});
    if (part > 0) {
      const auto payload = std::span<const uint8_t>(pattern).subspan(guest_sent, part);
      if (guest.send(guest.header(Op::kRw, kGuestPort, kPort + 1, static_cast<uint32_t>(part)), payload)) {
        guest_sent += part;
        announced = guest.fwd_cnt;
      }
    } else if (guest_sent == kTotal && !guest_ended) {
      PacketHeader shutdown = guest.header(Op::kShutdown, kGuestPort, kPort + 1);
      shutdown.flags = kShutdownSend;
      guest_ended = guest.send(shutdown);
    } else {
      std::this_thread::yield();
    }
  }
  reader.join();
  writer.join();
  EXPECT_FALSE(failed);
  EXPECT_EQ(host_received, kTotal);
  EXPECT_EQ(guest_received, kTotal);
  EXPECT_TRUE(host_intact);
  EXPECT_TRUE(guest_intact);
}

// Random packets from the guest and random acts of the host: nothing crashes, leaks a connection beyond the limits, or hangs.
TEST_F(VsockTest, SurvivesRandomPackets) {
  const uint64_t seed = virtio::testing::test_seed();
  SCOPED_TRACE(::testing::Message() << "ADYTON_TEST_SEED=" << seed);
  std::mt19937_64 random(seed);
  guest.post_receive_buffers();
  const auto pick = [&](auto... values) {
    const uint64_t list[] = {static_cast<uint64_t>(values)...};
    return list[random() % std::size(list)];
  };
  for (int i = 0; i < 20'000; ++i) {
    if (random() % 4) {
      PacketHeader packet = guest.header(static_cast<Op>(random() % 9), static_cast<uint32_t>(random() % 8),
                                         static_cast<uint32_t>(pick(kPort, kPort, kPort + 1, 0x40000000)));
      packet.flags = static_cast<uint32_t>(random() % 4);
      packet.buf_alloc = static_cast<uint32_t>(pick(0, 1, 100, 65536, 262144, 0xffffffff));
      packet.fwd_cnt = static_cast<uint32_t>(random() % 3 ? 0 : random());
      std::vector<uint8_t> payload(random() % 3 ? 0 : random() % 5000);
      packet.len = static_cast<uint32_t>(payload.size());
      guest.send(packet, payload);
    } else if (!accepted.empty() && random() % 2) {
      const size_t index = random() % accepted.size();
      switch (random() % 4) {
        case 0: write_now(accepted[index].get(), std::string(random() % 10'000, 'r')); break;
        case 1: read_now(accepted[index].get(), 1 + random() % 10'000); break;
        case 2: ::shutdown(accepted[index].get(), static_cast<int>(random() % 3)); break;
        case 3: accepted.erase(accepted.begin() + static_cast<ptrdiff_t>(index)); break;
      }
    } else if (random() % 64 == 0) {
      accepted.push_back(device->muxer().connect(static_cast<uint32_t>(random() % 8)).value());
    }
    if (accepted.size() > 30) accepted.erase(accepted.begin());
    if (random() % 8 == 0) driver->settle();
    if (random() % 512 == 0) advance(5s);
    while (guest.receive()) {}
  }
  ASSERT_FALSE(driver->needs_reset());
  accepted.clear();
  driver->reset();
  EXPECT_EQ(connections(), 0u);
}

}  // namespace
}  // namespace adyton::vmm::vsock
