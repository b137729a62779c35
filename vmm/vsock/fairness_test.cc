// Connections share the device: one that floods neither starves the others nor grows memory.
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <fstream>
#include <map>
#include <set>

#include "vmm/vsock/testing/vsock_fixture.h"

namespace adyton::vmm::vsock {
namespace {

using testing::kGuestPort;
using testing::kPort;
using testing::read_now;
using testing::VsockTest;
using testing::write_now;

// Every connection of the host's has endless data; the guest takes packet after packet. Between two turns of one connection no
// other gets more than one turn.
TEST_F(VsockTest, EveryFloodingConnectionGetsItsTurn) {
  constexpr uint32_t kConnections = 8;
  constexpr uint32_t kFlooders = kConnections - 1;
  guest.buf_alloc = 1u << 30;
  guest.post_receive_buffers();
  for (uint32_t i = 0; i < kConnections; ++i) ASSERT_GE(open(kGuestPort + i), 0);
  const std::string block(1 << 16, 'f');
  const auto flood = [&] {
    for (uint32_t i = 0; i < kFlooders; ++i) {
      while (write_now(accepted[i].get(), block) > 0) {}
    }
  };
  flood();
  const int modest = accepted.back().get();
  for (int round = 0; round < 20; ++round) {
    write_now(modest, "a few bytes");
    std::map<uint32_t, uint64_t> bytes;  // by connection, until the modest one's arrive
    for (;;) {
      const auto packet = guest.receive();
      ASSERT_TRUE(packet) << "the modest connection starves";
      if (packet->header.dst_port == kGuestPort + kFlooders) break;
      bytes[packet->header.dst_port] += packet->header.len;
      flood();
    }
    // A turn each for the queue before it, and what was under way to the guest when it wrote.
    for (const auto& [port, count] : bytes) ASSERT_LE(count, 3 * Muxer::kTurnBytes) << port;
  }
}

TEST_F(VsockTest, AGuestThatFloodsOneConnectionDoesNotStopAnother) {
  guest.post_receive_buffers();
  ASSERT_GE(open(kGuestPort), 0);
  const int other = open(kGuestPort + 1);
  // The first one's reader never reads: its credit is used up, to the last byte.
  const std::string block(16 * 1024, 'x');
  uint32_t sent = 0;
  uint32_t fwd_cnt = 0;
  for (;;) {
    while (const auto packet = guest.receive()) fwd_cnt = packet->header.fwd_cnt;
    const uint32_t free = Muxer::Limits().buffer_bytes - (sent - fwd_cnt);
    if (free == 0) break;
    const auto part = std::string_view(block).substr(0, free);
    ASSERT_TRUE(guest.send(Op::kRw, kGuestPort, kPort, part));
    sent += static_cast<uint32_t>(part.size());
    driver->settle();
  }
  for (int i = 0; i < 1000; ++i) {
    ASSERT_TRUE(guest.send(Op::kRw, kGuestPort + 1, kPort, "0123456789"));
    driver->settle();
    ASSERT_EQ(read_now(other, 100), "0123456789");
  }
}

uint64_t resident_bytes() {
  std::ifstream file("/proc/self/statm");
  uint64_t total = 0;
  uint64_t resident = 0;
  file >> total >> resident;
  return resident * 4096;
}

// Readers that have stopped at both ends, and writers that go on: what is kept for them is bounded by the credit, not by how long
// it lasts.
TEST_F(VsockTest, StoppedReadersDoNotGrowMemory) {
  constexpr uint32_t kConnections = 16;
  guest.post_receive_buffers();
  for (uint32_t i = 0; i < kConnections; ++i) ASSERT_GE(open(kGuestPort + i), 0);
  const std::string block(16 * 1024, 'x');
  std::map<uint32_t, uint32_t> sent;
  std::map<uint32_t, uint32_t> fwd;
  std::map<uint32_t, uint32_t> received;
  const auto turn = [&] {
    while (const auto packet = guest.receive()) {
      fwd[packet->header.dst_port] = packet->header.fwd_cnt;
      received[packet->header.dst_port] += packet->header.len;
    }
    for (uint32_t i = 0; i < kConnections; ++i) {
      const uint32_t port = kGuestPort + i;
      while (write_now(accepted[i].get(), block) > 0) {}
      const uint32_t free = Muxer::Limits().buffer_bytes - (sent[port] - fwd[port]);
      const auto part = std::string_view(block).substr(0, free);
      if (!part.empty() && guest.send(Op::kRw, port, kPort, part)) sent[port] += static_cast<uint32_t>(part.size());
    }
    driver->settle();
  };
  for (int i = 0; i < 200; ++i) turn();
  const uint64_t before = resident_bytes();
  const auto sent_before = sent;
  for (int i = 0; i < 2000; ++i) turn();
  EXPECT_EQ(sent, sent_before);                                                                        // the guest stands still
  for (const auto& [port, bytes] : received) EXPECT_EQ(bytes, testing::FakeGuest::kBufAlloc) << port;  // and so does the host
  EXPECT_LT(resident_bytes(), before + (1 << 20));
  EXPECT_EQ(connections(), kConnections);
}

}  // namespace
}  // namespace adyton::vmm::vsock
