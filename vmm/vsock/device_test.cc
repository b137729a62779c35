#include "vmm/vsock/device.h"

#include <gtest/gtest.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>

#include "base/log/testing.h"
#include "vmm/vsock/testing/vsock_fixture.h"

namespace adyton::vmm::vsock {
namespace {

using namespace std::chrono_literals;
using testing::at_end;
using testing::FakeGuest;
using testing::kGuestCid;
using testing::kGuestPort;
using testing::kPort;
using testing::read_now;
using testing::VsockTest;
using testing::would_wait;
using testing::write_now;

TEST_F(VsockTest, TellsTheGuestItsCid) {
  EXPECT_EQ(driver->config<uint64_t>(0), kGuestCid);
  EXPECT_EQ(driver->read32(virtio::reg::kDeviceId), 19u);
  EXPECT_TRUE(driver->features() & 1);
}

TEST_F(VsockTest, AGuestReachesAListener) {
  guest.post_receive_buffers();
  const int fd = open();
  ASSERT_TRUE(guest.send(Op::kRw, kGuestPort, kPort, "hello"));
  driver->settle();
  EXPECT_EQ(read_now(fd), "hello");
  write_now(fd, "world");
  const auto packet = guest.receive();
  ASSERT_TRUE(packet);
  EXPECT_EQ(packet->header.op, Op::kRw);
  EXPECT_EQ(packet->header.src_cid, kHostCid);
  EXPECT_EQ(packet->header.src_port, kPort);
  EXPECT_EQ(packet->header.dst_port, kGuestPort);
  EXPECT_EQ(packet->header.fwd_cnt, 5u);
  EXPECT_EQ(packet->text(), "world");
}

TEST_F(VsockTest, APortWithoutListenerRefuses) {
  guest.post_receive_buffers();
  guest.send(Op::kRequest, kGuestPort, kPort + 1);
  expect_packet(Op::kRst);
  device->muxer().unlisten(kPort);
  guest.send(Op::kRequest, kGuestPort, kPort);
  expect_packet(Op::kRst);
  EXPECT_EQ(connections(), 0u);
}

TEST_F(VsockTest, APortHasOneListener) {
  EXPECT_FALSE(device->muxer().listen(kPort, [](UniqueFd) {}));
  device->muxer().unlisten(kPort);
  EXPECT_TRUE(device->muxer().listen(kPort, [](UniqueFd) {}));
}

TEST_F(VsockTest, TheHostConnectsToTheGuest) {
  guest.post_receive_buffers();
  const UniqueFd fd = device->muxer().connect(kGuestPort).value();
  EXPECT_EQ(write_now(fd.get(), "early"), 5u);  // kept until the guest accepts
  const auto request = guest.receive();
  ASSERT_TRUE(request);
  EXPECT_EQ(request->header.op, Op::kRequest);
  EXPECT_EQ(request->header.dst_port, kGuestPort);
  EXPECT_EQ(request->header.buf_alloc, Muxer::Limits().buffer_bytes);
  EXPECT_FALSE(guest.receive());
  const uint32_t host_port = request->header.src_port;
  guest.send(Op::kResponse, kGuestPort, host_port);
  EXPECT_EQ(receive_data(5), "early");
  guest.send(Op::kRw, kGuestPort, host_port, "answer");
  driver->settle();
  EXPECT_EQ(read_now(fd.get()), "answer");
}

TEST_F(VsockTest, HostConnectionsHavePortsOfTheirOwn) {
  guest.post_receive_buffers();
  const UniqueFd a = device->muxer().connect(kGuestPort).value();
  const UniqueFd b = device->muxer().connect(kGuestPort).value();
  const auto first = guest.receive();
  const auto second = guest.receive();
  ASSERT_TRUE(first && second);
  EXPECT_NE(first->header.src_port, second->header.src_port);
}

TEST_F(VsockTest, AGuestThatRefusesClosesTheSocket) {
  guest.post_receive_buffers();
  const UniqueFd fd = device->muxer().connect(kGuestPort).value();
  const auto request = guest.receive();
  ASSERT_TRUE(request);
  EXPECT_TRUE(would_wait(fd.get()));
  guest.send(Op::kRst, kGuestPort, request->header.src_port);
  driver->settle();
  EXPECT_TRUE(at_end(fd.get()));
  EXPECT_EQ(connections(), 0u);
}

TEST_F(VsockTest, AGuestThatDoesNotAnswerClosesTheSocketInTheEnd) {
  guest.post_receive_buffers();
  const UniqueFd fd = device->muxer().connect(kGuestPort).value();
  expect_packet(Op::kRequest);
  advance(9s);
  EXPECT_TRUE(would_wait(fd.get()));
  advance(2s);
  EXPECT_TRUE(at_end(fd.get()));
  expect_packet(Op::kRst);
  EXPECT_EQ(connections(), 0u);
}

TEST_F(VsockTest, WithoutADriverAConnectionClosesAtOnce) {
  driver->reset();
  const UniqueFd fd = device->muxer().connect(kGuestPort).value();
  driver->settle();
  EXPECT_TRUE(at_end(fd.get()));
}

TEST_F(VsockTest, AGuestThatSendsGarbageWritesABoundedLog) {
  const log::CapturedLog log;
  guest.post_receive_buffers();
  constexpr int kRounds = 3000;
  for (int i = 0; i < kRounds; ++i) {
    PacketHeader spoofed = guest.header(Op::kRequest, kGuestPort, kPort);
    spoofed.src_cid = kGuestCid + 1;
    PacketHeader unknown = guest.header(Op::kRequest, kGuestPort, kPort);
    unknown.type = PacketType{3};
    for (const PacketHeader& packet :
         {spoofed, unknown, guest.header(Op::kRequest, kGuestPort, kPort + 1), guest.header(Op::kRw, kGuestPort, kPort, 1000)}) {
      ASSERT_TRUE(guest.send(packet));
      driver->settle();
      while (guest.receive()) {}
    }
  }
  const auto lines = log.lines();
  EXPECT_LE(lines.size(), 4 * log.most_lines_of_a_limit());
  for (const char* const kind :
       {"warning vsock[", "in the name of CID", "a packet of type 3 to CID 2", "nobody listens", "shorter than it says"}) {
    EXPECT_GE(std::ranges::count_if(lines, [&](const std::string& line) { return line.find(kind) != std::string::npos; }),
              log::RateLimit::kBurst)
        << kind;
  }
}

TEST_F(VsockTest, RejectsStrangeAddressesAndTypes) {
  guest.post_receive_buffers();
  PacketHeader packet = guest.header(Op::kRequest, kGuestPort, kPort);
  packet.src_cid = kGuestCid + 1;
  guest.send(packet);
  EXPECT_FALSE(guest.receive());  // a guest cannot speak for another
  packet = guest.header(Op::kRequest, kGuestPort, kPort);
  packet.dst_cid = kGuestCid + 1;
  guest.send(packet);
  auto reply = guest.receive();
  ASSERT_TRUE(reply);
  EXPECT_EQ(reply->header.op, Op::kRst);
  EXPECT_EQ(reply->header.src_cid, kGuestCid + 1);
  packet = guest.header(Op::kRequest, kGuestPort, kPort);
  packet.type = PacketType{3};
  guest.send(packet);
  reply = guest.receive();
  ASSERT_TRUE(reply);
  EXPECT_EQ(reply->header.op, Op::kRst);
  EXPECT_EQ(reply->header.type, PacketType{3});
  guest.send(Op::kRw, kGuestPort, kPort, "to nobody");
  expect_packet(Op::kRst);
  guest.send(Op::kRst, kGuestPort, kPort);
  EXPECT_FALSE(guest.receive());  // a RST is never answered
  EXPECT_TRUE(accepted.empty());
}

TEST_F(VsockTest, GuestHalfClose) {
  guest.post_receive_buffers();
  const int fd = open();
  guest.send(Op::kRw, kGuestPort, kPort, "last words");
  PacketHeader shutdown = guest.header(Op::kShutdown, kGuestPort, kPort);
  shutdown.flags = kShutdownSend;
  guest.send(shutdown);
  driver->settle();
  EXPECT_EQ(read_now(fd), "last words");
  EXPECT_TRUE(at_end(fd));
  EXPECT_EQ(write_now(fd, "still here"), 10u);
  EXPECT_EQ(receive_data(10), "still here");
}

TEST_F(VsockTest, GuestStopsReceiving) {
  guest.post_receive_buffers();
  const int fd = open();
  PacketHeader shutdown = guest.header(Op::kShutdown, kGuestPort, kPort);
  shutdown.flags = kShutdownReceive;
  guest.send(shutdown);
  driver->settle();
  EXPECT_EQ(write_now(fd, "x"), 0u);
  EXPECT_EQ(errno, EPIPE);
  guest.send(Op::kRw, kGuestPort, kPort, "one way");
  driver->settle();
  EXPECT_EQ(read_now(fd), "one way");
}

TEST_F(VsockTest, HostHalfClose) {
  guest.post_receive_buffers();
  const int fd = open();
  write_now(fd, "question");
  ::shutdown(fd, SHUT_WR);
  const auto data = guest.receive();
  ASSERT_TRUE(data);
  EXPECT_EQ(data->text(), "question");
  expect_packet(Op::kShutdown, kShutdownSend);
  guest.send(Op::kRw, kGuestPort, kPort, "answer");
  driver->settle();
  EXPECT_EQ(read_now(fd), "answer");
  accepted.clear();
  expect_packet(Op::kShutdown, kShutdownBoth);
  guest.send(Op::kRst, kGuestPort, kPort);
  driver->settle();
  EXPECT_EQ(connections(), 0u);
}

TEST_F(VsockTest, HostClose) {
  guest.post_receive_buffers();
  write_now(open(), "bye");
  accepted.clear();
  EXPECT_EQ(receive_data(3), "bye");
  expect_packet(Op::kShutdown, kShutdownBoth);
  guest.send(Op::kRw, kGuestPort, kPort, "too late");
  driver->settle();
  EXPECT_EQ(connections(), 1u);
  guest.send(Op::kRst, kGuestPort, kPort);
  driver->settle();
  EXPECT_EQ(connections(), 0u);
}

TEST_F(VsockTest, AGuestThatDoesNotConfirmACloseIsReset) {
  guest.post_receive_buffers();
  open();
  accepted.clear();
  expect_packet(Op::kShutdown, kShutdownBoth);
  advance(7s);
  EXPECT_FALSE(guest.receive());
  advance(2s);
  expect_packet(Op::kRst);
  EXPECT_EQ(connections(), 0u);
}

TEST_F(VsockTest, HostCloseWithUnreadDataResets) {
  guest.post_receive_buffers();
  open();
  guest.send(Op::kRw, kGuestPort, kPort, "never read");
  driver->settle();
  accepted.clear();
  expect_packet(Op::kRst);
  EXPECT_EQ(connections(), 0u);
}

TEST_F(VsockTest, GuestCloseIsConfirmedWithARst) {
  guest.post_receive_buffers();
  const int fd = open();
  guest.send(Op::kRw, kGuestPort, kPort, "bye");
  PacketHeader shutdown = guest.header(Op::kShutdown, kGuestPort, kPort);
  shutdown.flags = kShutdownBoth;
  guest.send(shutdown);
  expect_packet(Op::kRst);
  EXPECT_EQ(connections(), 0u);
  EXPECT_EQ(read_now(fd), "bye");
  EXPECT_TRUE(at_end(fd));
  open();  // the port may be used again
}

TEST_F(VsockTest, ADeviceResetClosesConnectionsAndKeepsListeners) {
  guest.post_receive_buffers();
  const int fd = open();
  driver->reset();
  EXPECT_TRUE(at_end(fd));
  ASSERT_TRUE(driver->initialize());
  guest = FakeGuest(memory, *driver);
  guest.post_receive_buffers();
  open();
}

TEST_F(VsockTest, ATransportResetIsAnnounced) {
  guest.post_receive_buffers();
  const int fd = open();
  device->reset_transport();
  EXPECT_TRUE(at_end(fd));
  EXPECT_FALSE(driver->queue(VsockDevice::kEventQueue).take_used());
  guest.post_event_buffer();  // the event waited for a buffer
  driver->settle();
  const auto used = driver->queue(VsockDevice::kEventQueue).take_used();
  ASSERT_TRUE(used);
  EXPECT_EQ(used->written, 4u);
  open();
}

TEST_F(VsockTest, IgnoresPacketsThatAreShorterThanTheySay) {
  guest.post_receive_buffers();
  guest.send(guest.header(Op::kRw, kGuestPort, kPort, 100), std::vector<uint8_t>(99));
  guest.send(guest.header(Op::kRw, kGuestPort, kPort, 0xffffffff), std::vector<uint8_t>(99));
  const virtio::testing::Buffer stub{driver->allocate(43), 43, false};
  driver->queue(VsockDevice::kTxQueue).add(std::span(&stub, 1));
  driver->kick(VsockDevice::kTxQueue);
  EXPECT_FALSE(guest.receive());
  EXPECT_FALSE(driver->needs_reset());
  open();
}

TEST_F(VsockTest, AReceiveBufferWithoutRoomAsksForAReset) {
  for (const auto& [bytes, writable] : std::vector<std::pair<uint32_t, bool>>{{44, true}, {10, true}, {4096, false}}) {
    ASSERT_TRUE(driver->initialize());
    guest = FakeGuest(memory, *driver);
    const virtio::testing::Buffer tiny{driver->allocate(bytes), bytes, writable};
    driver->queue(VsockDevice::kRxQueue).add(std::span(&tiny, 1));
    driver->kick(VsockDevice::kRxQueue);
    guest.send(Op::kRequest, kGuestPort, kPort + 1);
    driver->settle();
    EXPECT_TRUE(driver->needs_reset());
    driver->reset();
  }
}

TEST_F(VsockTest, TheTapSeesBothDirections) {
  std::vector<std::string> seen;
  device->muxer().set_tap([&](const PacketHeader& header, std::span<const iovec> payload) {
    std::string text = std::to_string(header.src_cid) + ":" + std::to_string(static_cast<int>(header.op)) + ":";
    size_t left = header.len;
    for (const iovec& part : payload) {
      text.append(static_cast<const char*>(part.iov_base), std::min(left, part.iov_len));
      left -= std::min(left, part.iov_len);
    }
    seen.push_back(text);
  });
  guest.post_receive_buffers();
  const int fd = open();
  guest.send(Op::kRw, kGuestPort, kPort, "in");
  driver->settle();
  read_now(fd);
  write_now(fd, "out");
  driver->settle();
  guest.send(Op::kRw, 9, 9, "");
  driver->settle();
  EXPECT_EQ(seen, (std::vector<std::string>{"7:1:", "2:2:", "7:5:in", "2:5:out", "7:5:", "2:3:"}));
  device->muxer().set_tap({});
  guest.send(Op::kRw, 9, 9, "");
  driver->settle();
  EXPECT_EQ(seen.size(), 6u);
}

TEST_F(VsockTest, CoalescesInterrupts) {
  guest.post_receive_buffers();
  const int fd = open();
  write_now(fd, std::string(100'000, 'q'));  // about 25 packets
  driver->queue(VsockDevice::kRxQueue).want_interrupt();
  driver->acknowledge();
  const int before = irq.raised();
  driver->settle();
  EXPECT_EQ(irq.raised(), before + 1);
  EXPECT_EQ(receive_data(100'000).size(), 100'000u);
}

}  // namespace
}  // namespace adyton::vmm::vsock
