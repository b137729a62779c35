// Seqpacket connections through the device: message boundaries in both directions, sizes, credit, ends, and who may have one.
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <cerrno>
#include <random>

#include "vmm/vsock/testing/vsock_fixture.h"

namespace adyton::vmm::vsock {
namespace {

using testing::at_end;
using testing::FakeGuest;
using testing::kGuestPort;
using testing::kPort;
using testing::VsockTest;
using testing::would_wait;
using testing::write_now;

constexpr uint32_t kSeqPort = kPort + 1;

std::string pattern(size_t size, uint32_t salt = 0) {
  std::string text(size, '\0');
  for (size_t i = 0; i < size; ++i) text[i] = static_cast<char>((i + salt) * 2654435761u >> 11);
  return text;
}

struct Seqpacket : VsockTest {
  Seqpacket() {
    device->muxer().listen(kSeqPort, PacketType::kSeqpacket, [this](UniqueFd fd) { accepted.push_back(std::move(fd)); }).value();
    guest.post_receive_buffers();
    guest.type = PacketType::kSeqpacket;
  }
  int open_seqpacket() {
    EXPECT_TRUE(guest.send(Op::kRequest, kGuestPort, kSeqPort));
    const auto response = guest.receive();
    EXPECT_TRUE(response && response->header.op == Op::kResponse && response->header.type == PacketType::kSeqpacket);
    buf_alloc = response ? response->header.buf_alloc : 0;
    return accepted.empty() ? -1 : accepted.back().get();
  }
  void guest_sends(std::string_view text, uint32_t flags) {
    PacketHeader header = guest.header(Op::kRw, kGuestPort, kSeqPort, static_cast<uint32_t>(text.size()));
    header.flags = flags;
    ASSERT_TRUE(guest.send(header, std::span(reinterpret_cast<const uint8_t*>(text.data()), text.size())));
    driver->settle();
  }
  // One message; "(none)" when there is none now.
  std::string host_receives(int fd) {
    std::string text(1 << 20, '\0');
    const ssize_t count = ::recv(fd, text.data(), text.size(), MSG_DONTWAIT);
    if (count < 0) return "(none)";
    text.resize(static_cast<size_t>(count));
    return text;
  }
  // One message of the host, put together as the specification says; counts what it took as forwarded when `take`.
  std::optional<std::string> guest_receives(bool take = true) {
    std::string text;
    while (const auto packet = guest.receive()) {
      if (packet->header.op != Op::kRw) continue;
      EXPECT_EQ(packet->header.type, PacketType::kSeqpacket);
      text += packet->text();
      guest_received += packet->header.len;
      if (packet->header.flags & kEndOfMessage) {
        if (take) guest.fwd_cnt = guest_received;
        return text;
      }
    }
    return std::nullopt;
  }
  uint32_t buf_alloc = 0;
  uint32_t guest_received = 0;
};

TEST_F(Seqpacket, IsOffered) { EXPECT_TRUE(driver->features() & 2); }

TEST_F(Seqpacket, MessagesKeepTheirBoundaries) {
  const int fd = open_seqpacket();
  guest_sends("one", kEndOfMessage);
  guest_sends("two", kEndOfMessage | kEndOfRecord);
  guest_sends("th", 0);
  EXPECT_EQ(host_receives(fd), "one");
  EXPECT_EQ(host_receives(fd), "two");
  EXPECT_EQ(host_receives(fd), "(none)");  // not whole yet
  guest_sends("ree", kEndOfMessage);
  EXPECT_EQ(host_receives(fd), "three");
  write_now(fd, "alpha");
  write_now(fd, "beta");
  EXPECT_EQ(guest_receives(), "alpha");
  EXPECT_EQ(guest_receives(), "beta");
  EXPECT_FALSE(guest_receives());
}

TEST_F(Seqpacket, AnEmptyPacketMayEndAMessage) {
  const int fd = open_seqpacket();
  guest_sends("message", 0);
  guest_sends("", kEndOfMessage);
  EXPECT_EQ(host_receives(fd), "message");
  guest_sends("", kEndOfMessage);  // a message of nothing would look like the end
  EXPECT_TRUE(would_wait(fd));
}

TEST_F(Seqpacket, TheLongestMessagePassesInBothDirections) {
  const int fd = open_seqpacket();
  ASSERT_EQ(buf_alloc, device->muxer().longest_message());
  const std::string longest = pattern(buf_alloc);
  for (size_t at = 0; at < longest.size(); at += 50'000) {
    const std::string_view part = std::string_view(longest).substr(at, 50'000);
    guest_sends(part, at + part.size() == longest.size() ? kEndOfMessage : 0);
  }
  EXPECT_TRUE(host_receives(fd) == longest);
  guest.buf_alloc = buf_alloc;
  guest.send(Op::kCreditUpdate, kGuestPort, kSeqPort);
  EXPECT_EQ(write_now(fd, longest), longest.size());
  EXPECT_TRUE(guest_receives() == longest);
  EXPECT_EQ(write_now(fd, longest + "x"), 0u);
  EXPECT_EQ(errno, EMSGSIZE);
}

TEST_F(Seqpacket, AMessageThatTheGuestsBufferNeverHoldsEndsTheConnection) {
  guest.buf_alloc = 1000;
  const int fd = open_seqpacket();
  EXPECT_EQ(write_now(fd, pattern(1000)), 1000u);
  EXPECT_TRUE(guest_receives() == pattern(1000));
  guest.send(Op::kCreditUpdate, kGuestPort, kSeqPort);
  EXPECT_EQ(write_now(fd, pattern(1001)), 1001u);
  auto packet = guest.receive();
  while (packet && packet->header.op == Op::kCreditRequest) packet = guest.receive();
  ASSERT_TRUE(packet);
  EXPECT_EQ(packet->header.op, Op::kRst);
  EXPECT_EQ(connections(), 0u);
}

TEST_F(Seqpacket, AMessageWaitsForCreditInPieces) {
  guest.buf_alloc = 1000;
  const int fd = open_seqpacket();
  EXPECT_EQ(write_now(fd, pattern(700, 1)), 700u);
  EXPECT_EQ(write_now(fd, pattern(700, 2)), 700u);
  EXPECT_TRUE(guest_receives(/*take=*/false) == pattern(700, 1));
  EXPECT_FALSE(guest_receives());
  EXPECT_EQ(guest_received, 1000u);
  guest.fwd_cnt = 700;
  guest.send(Op::kCreditUpdate, kGuestPort, kSeqPort);
  const auto rest = guest.receive();
  ASSERT_TRUE(rest);
  EXPECT_EQ(rest->header.len, 400u);
  EXPECT_EQ(rest->header.flags, kEndOfMessage);
  EXPECT_EQ(rest->text(), pattern(700, 2).substr(300));
}

TEST_F(Seqpacket, AMessageWaitsForReceiveBuffers) {
  ASSERT_TRUE(driver->initialize());
  guest = FakeGuest(memory, *driver);
  guest.type = PacketType::kSeqpacket;
  guest.post_receive_buffers(2);
  const int fd = open_seqpacket();
  EXPECT_EQ(write_now(fd, pattern(50'000)), 50'000u);  // many times two buffers
  EXPECT_TRUE(guest_receives() == pattern(50'000));
}

TEST_F(Seqpacket, TheRestOfAMessageArrivesAlthoughTheHostHasGone) {
  guest.buf_alloc = 1000;
  const int fd = open_seqpacket();
  write_now(fd, pattern(900, 1));
  write_now(fd, "");
  write_now(fd, pattern(900, 2));
  write_now(fd, pattern(10, 3));
  accepted.clear();
  EXPECT_TRUE(guest_receives() == pattern(900, 1));
  EXPECT_FALSE(guest_receives(false));
  guest.send(Op::kCreditUpdate, kGuestPort, kSeqPort);
  std::vector<std::string> messages;
  bool shut = false;
  std::string text;
  while (const auto packet = guest.receive()) {
    shut |= packet->header.op == Op::kShutdown;
    if (packet->header.op != Op::kRw) continue;
    EXPECT_FALSE(shut);
    text += packet->text();
    guest.fwd_cnt += packet->header.len;
    guest.send(Op::kCreditUpdate, kGuestPort, kSeqPort);
    if (packet->header.flags & kEndOfMessage) messages.push_back(std::exchange(text, ""));
  }
  ASSERT_EQ(messages.size(), 2u);
  EXPECT_TRUE(messages[0] == pattern(900, 2).substr(100));
  EXPECT_TRUE(messages[1] == pattern(10, 3));
  EXPECT_TRUE(shut);
}

TEST_F(Seqpacket, EmptyMessagesOfTheHostAreSkipped) {
  const int fd = open_seqpacket();
  for (int i = 0; i < 40; ++i) ASSERT_EQ(::send(fd, "", 0, MSG_DONTWAIT), 0);
  write_now(fd, "after");
  EXPECT_EQ(guest_receives(), "after");
}

TEST_F(Seqpacket, AHostThatStopsReadingStopsTheGuestAndLosesNothing) {
  const int fd = open_seqpacket();
  std::mt19937 random(7);
  size_t outstanding = 0;
  uint32_t fwd_cnt = 0;
  uint32_t sent = 0;
  std::vector<std::string> messages;
  for (;;) {
    while (const auto packet = guest.receive()) fwd_cnt = packet->header.fwd_cnt;
    outstanding = sent - fwd_cnt;
    const std::string message = pattern(1 + random() % 9000, static_cast<uint32_t>(random()));
    if (outstanding + message.size() > buf_alloc) break;
    const size_t cut = random() % message.size();
    if (cut) guest_sends(message.substr(0, cut), 0);
    guest_sends(message.substr(cut), kEndOfMessage);
    sent += static_cast<uint32_t>(message.size());
    messages.push_back(message);
  }
  EXPECT_EQ(connections(), 1u);
  for (const std::string& message : messages) {
    ASSERT_TRUE(host_receives(fd) == message);
    driver->settle();
  }
  EXPECT_TRUE(would_wait(fd));
}

TEST_F(Seqpacket, AGuestThatClosesInTheMiddleOfAMessageIsConfirmed) {
  const int fd = open_seqpacket();
  guest_sends("whole", kEndOfMessage);
  guest_sends("in the mid", 0);
  PacketHeader shutdown = guest.header(Op::kShutdown, kGuestPort, kSeqPort);
  shutdown.flags = kShutdownBoth;
  guest.send(shutdown);
  expect_packet(Op::kRst);
  EXPECT_EQ(connections(), 0u);
  EXPECT_EQ(host_receives(fd), "whole");
  EXPECT_TRUE(at_end(fd));
}

TEST_F(Seqpacket, TheHostConnects) {
  const UniqueFd fd = device->muxer().connect(kGuestPort, PacketType::kSeqpacket).value();
  const auto request = guest.receive();
  ASSERT_TRUE(request);
  EXPECT_EQ(request->header.type, PacketType::kSeqpacket);
  guest.send(Op::kResponse, kGuestPort, request->header.src_port);
  write_now(fd.get(), "hello");
  EXPECT_EQ(guest_receives(), "hello");
}

TEST_F(Seqpacket, TypesDoNotMix) {
  guest.send(Op::kRequest, kGuestPort, kPort);  // where a stream is expected
  expect_packet(Op::kRst);
  guest.type = PacketType::kStream;
  guest.send(Op::kRequest, kGuestPort, kSeqPort);
  expect_packet(Op::kRst);
  guest.type = PacketType::kSeqpacket;
  open_seqpacket();
  guest.type = PacketType::kStream;
  guest.send(Op::kRw, kGuestPort, kSeqPort, "of another type");
  expect_packet(Op::kRst);
  EXPECT_EQ(connections(), 1u);
}

TEST_F(Seqpacket, IsRefusedToADriverThatDoesNotKnowIt) {
  ASSERT_TRUE(driver->initialize(~uint64_t{2}));
  guest = FakeGuest(memory, *driver);
  guest.type = PacketType::kSeqpacket;
  guest.post_receive_buffers();
  guest.send(Op::kRequest, kGuestPort, kSeqPort);
  expect_packet(Op::kRst);
  const UniqueFd fd = device->muxer().connect(kGuestPort, PacketType::kSeqpacket).value();
  driver->settle();
  EXPECT_TRUE(at_end(fd.get()));
}

}  // namespace
}  // namespace adyton::vmm::vsock
