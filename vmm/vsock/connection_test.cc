#include "vmm/vsock/connection.h"

#include <gtest/gtest.h>

#include <deque>
#include <random>

#include "vmm/virtio/testing/fake_driver.h"

namespace adyton::vmm::vsock {
namespace {

constexpr uint32_t kBuffer = 64 * 1024;
constexpr uint32_t kGuestBuffer = 48 * 1024;
const Connection::Identity kIdentity{.guest_cid = 5, .guest_port = 1234, .host_port = 80};

PacketHeader from_guest(Op op, uint32_t len = 0, uint32_t flags = 0, uint32_t buf_alloc = kGuestBuffer, uint32_t fwd_cnt = 0) {
  PacketHeader packet;
  packet.src_cid = kIdentity.guest_cid;
  packet.dst_cid = kHostCid;
  packet.src_port = kIdentity.guest_port;
  packet.dst_port = kIdentity.host_port;
  packet.op = op;
  packet.len = len;
  packet.flags = flags;
  packet.buf_alloc = buf_alloc;
  packet.fwd_cnt = fwd_cnt;
  return packet;
}

Connection established() {
  Connection connection = Connection::accept(kIdentity, from_guest(Op::kRequest), kBuffer);
  EXPECT_EQ(connection.make_control().op, Op::kResponse);
  return connection;
}

TEST(VsockConnection, AnswersARequest) {
  Connection connection = Connection::accept(kIdentity, from_guest(Op::kRequest), kBuffer);
  EXPECT_EQ(connection.send_window(), 0u);  // no data before the response
  ASSERT_TRUE(connection.has_control());
  const PacketHeader response = connection.make_control();
  EXPECT_EQ(response.op, Op::kResponse);
  EXPECT_EQ(response.src_cid, kHostCid);
  EXPECT_EQ(response.dst_cid, 5u);
  EXPECT_EQ(response.src_port, 80u);
  EXPECT_EQ(response.dst_port, 1234u);
  EXPECT_EQ(response.buf_alloc, kBuffer);
  EXPECT_FALSE(connection.has_control());
  EXPECT_EQ(connection.send_window(), kGuestBuffer);
}

TEST(VsockConnection, ConnectsToTheGuest) {
  Connection connection = Connection::initiate(kIdentity, kBuffer);
  EXPECT_TRUE(connection.connecting());
  EXPECT_EQ(connection.make_control().op, Op::kRequest);
  EXPECT_FALSE(connection.has_control());
  EXPECT_EQ(connection.send_window(), 0u);
  EXPECT_TRUE(connection.on_packet(from_guest(Op::kResponse)).established);
  EXPECT_EQ(connection.send_window(), kGuestBuffer);
}

TEST(VsockConnection, ARefusedConnectionIsOver) {
  Connection connection = Connection::initiate(kIdentity, kBuffer);
  connection.make_control();
  EXPECT_TRUE(connection.on_packet(from_guest(Op::kRst)).reset_by_guest);
  EXPECT_TRUE(connection.finished());
}

TEST(VsockConnection, AnythingButAResponseToARequestIsAViolation) {
  for (const Op op : {Op::kRequest, Op::kRw, Op::kShutdown, Op::kCreditUpdate, Op::kInvalid}) {
    Connection connection = Connection::initiate(kIdentity, kBuffer);
    connection.make_control();
    EXPECT_TRUE(connection.on_packet(from_guest(op)).aborted);
    EXPECT_EQ(connection.make_control().op, Op::kRst);
    EXPECT_TRUE(connection.finished());
  }
}

TEST(VsockConnection, AConnectionThatWasNeverOfferedEndsSilently) {
  Connection connection = Connection::initiate(kIdentity, kBuffer);
  connection.abort();
  EXPECT_TRUE(connection.finished());
}

TEST(VsockConnection, CountsCreditExactly) {
  Connection connection = established();
  EXPECT_EQ(connection.on_packet(from_guest(Op::kRw, kBuffer)).payload, kBuffer);
  connection.on_drained(100);
  EXPECT_EQ(connection.on_packet(from_guest(Op::kRw, 100)).payload, 100u);
  EXPECT_TRUE(connection.on_packet(from_guest(Op::kRw, 1)).aborted);
  EXPECT_EQ(connection.make_control().op, Op::kRst);
}

TEST(VsockConnection, SendsNoMoreThanTheGuestHasRoomFor) {
  Connection connection = established();
  EXPECT_EQ(connection.make_data(kGuestBuffer).len, kGuestBuffer);
  EXPECT_EQ(connection.send_window(), 0u);
  connection.on_window_shut();
  ASSERT_TRUE(connection.has_control());
  EXPECT_EQ(connection.make_control().op, Op::kCreditRequest);
  connection.on_window_shut();
  EXPECT_FALSE(connection.has_control());  // once is enough
  connection.on_packet(from_guest(Op::kCreditUpdate, 0, 0, kGuestBuffer, 1000));
  EXPECT_EQ(connection.send_window(), 1000u);
  // A buffer that shrinks below what is under way is no window, not a huge one.
  connection.on_packet(from_guest(Op::kCreditUpdate, 0, 0, 10, 1000));
  EXPECT_EQ(connection.send_window(), 0u);
  // Nor is a count of bytes that were never sent.
  connection.on_packet(from_guest(Op::kCreditUpdate, 0, 0, 10, 0xfffffff0));
  EXPECT_EQ(connection.send_window(), 0u);
}

TEST(VsockConnection, CountersMayWrap) {
  Connection connection = established();
  uint32_t total = 0;
  constexpr uint32_t kStep = 60 * 1024;
  for (int i = 0; i < 80'000; ++i) {
    ASSERT_EQ(connection.on_packet(from_guest(Op::kRw, kStep, 0, kBuffer, total)).payload, kStep);
    connection.on_drained(kStep);
    ASSERT_EQ(connection.send_window(), kBuffer);
    const PacketHeader data = connection.make_data(kStep);
    total += kStep;
    ASSERT_EQ(data.fwd_cnt, total);
  }
}

TEST(VsockConnection, UpdatesCreditBeforeTheGuestStandsStill) {
  Connection connection = established();
  connection.on_packet(from_guest(Op::kRw, kBuffer / 2));
  connection.on_drained(kBuffer / 2);
  EXPECT_FALSE(connection.has_control());  // half is still free as the guest sees it
  connection.on_packet(from_guest(Op::kRw, 1));
  ASSERT_TRUE(connection.has_control());
  const PacketHeader update = connection.make_control();
  EXPECT_EQ(update.op, Op::kCreditUpdate);
  EXPECT_EQ(update.fwd_cnt, kBuffer / 2);
  EXPECT_FALSE(connection.has_control());
}

TEST(VsockConnection, AnswersACreditRequest) {
  Connection connection = established();
  connection.on_packet(from_guest(Op::kCreditRequest));
  ASSERT_TRUE(connection.has_control());
  EXPECT_EQ(connection.make_control().op, Op::kCreditUpdate);
}

TEST(VsockConnection, GuestHalfClosesThenCloses) {
  Connection connection = established();
  connection.on_packet(from_guest(Op::kRw, 10));
  const auto half = connection.on_packet(from_guest(Op::kShutdown, 0, kShutdownSend));
  EXPECT_TRUE(half.end_of_stream);
  EXPECT_FALSE(half.stop_sending);
  EXPECT_GT(connection.send_window(), 0u);
  const auto full = connection.on_packet(from_guest(Op::kShutdown, 0, kShutdownBoth));
  EXPECT_FALSE(full.end_of_stream);
  EXPECT_TRUE(full.stop_sending);
  EXPECT_EQ(connection.send_window(), 0u);
  EXPECT_FALSE(connection.has_control());  // the host has still to take ten bytes
  connection.on_drained(10);
  ASSERT_TRUE(connection.has_control());
  EXPECT_EQ(connection.make_control().op, Op::kRst);
  EXPECT_TRUE(connection.finished());
}

TEST(VsockConnection, DataAfterTheEndOfTheStreamIsAViolation) {
  Connection connection = established();
  connection.on_packet(from_guest(Op::kShutdown, 0, kShutdownSend));
  EXPECT_TRUE(connection.on_packet(from_guest(Op::kRw, 1)).aborted);
}

TEST(VsockConnection, HostHalfClosesThenCloses) {
  Connection connection = established();
  connection.on_host_end_of_stream();
  PacketHeader packet = connection.make_control();
  EXPECT_EQ(packet.op, Op::kShutdown);
  EXPECT_EQ(packet.flags, kShutdownSend);
  EXPECT_EQ(connection.send_window(), 0u);
  EXPECT_EQ(connection.on_packet(from_guest(Op::kRw, 10)).payload, 10u);
  EXPECT_FALSE(connection.awaiting_reset());
  connection.on_host_stopped_reading();
  EXPECT_TRUE(connection.awaiting_reset());
  packet = connection.make_control();
  EXPECT_EQ(packet.op, Op::kShutdown);
  EXPECT_EQ(packet.flags, kShutdownBoth);
  EXPECT_EQ(connection.on_packet(from_guest(Op::kRw, 10)).payload, 0u);  // dropped
  EXPECT_TRUE(connection.on_packet(from_guest(Op::kRst)).reset_by_guest);
  EXPECT_TRUE(connection.finished());
}

TEST(VsockConnection, ASecondRequestIsAViolation) {
  for (const Op op : {Op::kRequest, Op::kResponse, Op::kInvalid, Op{77}}) {
    Connection connection = established();
    EXPECT_TRUE(connection.on_packet(from_guest(op)).aborted);
    EXPECT_EQ(connection.make_control().op, Op::kRst);
  }
}

// A guest that follows the rules, written from the specification: its own buffer, its own view of the credit.
struct ModelGuest {
  uint32_t tx_cnt = 0, peer_fwd_cnt = 0, peer_buf_alloc = 0;
  uint32_t rx_cnt = 0, fwd_cnt = 0, announced = 0;
  uint64_t to_send = 0, received = 0;
  bool accepted = false, shut = false, host_done = false, over = false;
};

// Random schedules of a rule-abiding guest and host: all bytes arrive in both directions, nothing exceeds a buffer, both sides
// end.
TEST(VsockConnection, RandomTransfersDeliverEverythingWithinCredit) {
  const uint64_t seed = virtio::testing::test_seed();
  SCOPED_TRACE(::testing::Message() << "ADYTON_TEST_SEED=" << seed);
  std::mt19937_64 random(seed);
  const auto up_to = [&random](uint64_t limit) { return static_cast<uint32_t>(random() % (limit + 1)); };
  for (int round = 0; round < 300; ++round) {
    const uint32_t host_buffer = 1 + up_to(round % 3 ? 100'000 : 3);
    const uint32_t guest_buffer = 1 + up_to(round % 2 ? 100'000 : 3);
    ModelGuest guest;
    guest.to_send = up_to(500ull * host_buffer / 10 + 10);
    uint64_t host_to_send = up_to(500ull * guest_buffer / 10 + 10);
    const uint64_t guest_total = guest.to_send;
    const uint64_t host_total = host_to_send;
    uint64_t host_received = 0;
    bool host_ended = false;
    bool guest_ended = false;
    const auto guest_packet = [&](Op op, uint32_t len = 0, uint32_t flags = 0) {
      guest.announced = guest.fwd_cnt;
      return from_guest(op, len, flags, guest_buffer, guest.fwd_cnt);
    };
    Connection connection = Connection::accept(kIdentity, guest_packet(Op::kRequest), host_buffer);
    uint32_t idle = 0;
    while (!guest.over) {
      ASSERT_LT(++idle, 100'000u) << "no progress";
      const auto deliver = [&](const PacketHeader& packet) {
        idle = 0;
        guest.peer_fwd_cnt = packet.fwd_cnt;
        guest.peer_buf_alloc = packet.buf_alloc;
        switch (packet.op) {
          case Op::kResponse: guest.accepted = true; break;
          case Op::kRw:
            guest.rx_cnt += packet.len;
            guest.received += packet.len;
            break;
          case Op::kShutdown: guest.host_done |= (packet.flags & kShutdownSend) != 0; break;
          case Op::kCreditRequest: static_cast<void>(connection.on_packet(guest_packet(Op::kCreditUpdate))); break;
          case Op::kRst: guest.over = true; break;
          default: break;
        }
        ASSERT_LE(guest.rx_cnt - guest.fwd_cnt, guest_buffer);
      };
      switch (random() % 6) {
        case 0:  // a control packet goes out
          if (connection.has_control()) deliver(connection.make_control());
          break;
        case 1: {  // the host sends
          const uint32_t bytes = up_to(std::min<uint64_t>(host_to_send, connection.send_window()));
          if (connection.has_control() || bytes == 0) {
            if (host_to_send > 0 && connection.send_window() == 0) connection.on_window_shut();
            if (host_to_send == 0 && guest.accepted && !host_ended) {
              host_ended = true;
              connection.on_host_end_of_stream();
            }
            break;
          }
          host_to_send -= bytes;
          deliver(connection.make_data(bytes));
          break;
        }
        case 2: {  // the host takes
          const uint32_t bytes = up_to(connection.undrained());
          if (bytes) idle = 0;
          connection.on_drained(bytes);
          host_received += bytes;
          break;
        }
        case 3: {  // the guest sends
          if (!guest.accepted || guest.shut) break;
          const uint32_t free = guest.peer_buf_alloc - (guest.tx_cnt - guest.peer_fwd_cnt);
          ASSERT_LE(free, host_buffer);
          const uint32_t bytes = up_to(std::min<uint64_t>(guest.to_send, free));
          if (bytes == 0) break;
          idle = 0;
          guest.tx_cnt += bytes;
          guest.to_send -= bytes;
          const auto effects = connection.on_packet(guest_packet(Op::kRw, bytes));
          ASSERT_EQ(effects.payload, bytes);
          break;
        }
        case 4: {  // the guest's program reads
          const uint32_t bytes = up_to(guest.rx_cnt - guest.fwd_cnt);
          guest.fwd_cnt += bytes;
          if (bytes) idle = 0;
          // As the specification asks: an update when the host may believe the buffer full.
          if (guest.fwd_cnt != guest.announced && guest.rx_cnt - guest.announced >= guest_buffer / 2) {
            static_cast<void>(connection.on_packet(guest_packet(Op::kCreditUpdate)));
          }
          break;
        }
        case 5:  // the guest ends
          if (guest.accepted && guest.to_send == 0 && !guest.shut) {
            guest.shut = true;
            guest_ended = connection.on_packet(guest_packet(Op::kShutdown, 0, kShutdownSend)).end_of_stream;
          } else if (guest.shut && guest.host_done && guest.received == host_total && guest.rx_cnt == guest.fwd_cnt) {
            static_cast<void>(connection.on_packet(guest_packet(Op::kShutdown, 0, kShutdownBoth)));
          }
          break;
      }
      ASSERT_LE(connection.undrained(), host_buffer);
    }
    ASSERT_TRUE(guest_ended);
    ASSERT_EQ(host_received, guest_total);
    ASSERT_EQ(guest.received, host_total);
    ASSERT_TRUE(connection.finished());
  }
}

// Random packets and host events in any order: the invariants that the muxer and its buffers rely on hold.
TEST(VsockConnection, RandomEventsKeepTheInvariants) {
  const uint64_t seed = virtio::testing::test_seed();
  SCOPED_TRACE(::testing::Message() << "ADYTON_TEST_SEED=" << seed);
  std::mt19937_64 random(seed);
  for (int round = 0; round < 5000; ++round) {
    Connection connection = random() % 2 ? Connection::accept(kIdentity, from_guest(Op::kRequest), kBuffer)
                                         : Connection::initiate(kIdentity, kBuffer);
    int resets = 0;
    uint32_t to_drain = 0;  // payload that the muxer was told to hand over and that the host has not taken
    for (int step = 0; step < 60; ++step) {
      const bool was_closed = connection.closed();
      switch (random() % 8) {
        case 0:
        case 1:
        case 2: {
          const auto len = static_cast<uint32_t>(random() % 4 ? random() % (kBuffer / 4) : random());
          const auto effects =
              connection.on_packet(from_guest(static_cast<Op>(random() % 9), len, static_cast<uint32_t>(random() % 5),
                                              static_cast<uint32_t>(random()), static_cast<uint32_t>(random())));
          to_drain += effects.payload;
          if (was_closed) {
            ASSERT_FALSE(effects.payload || effects.established || effects.stop_sending || effects.end_of_stream ||
                         effects.reset_by_guest);
          }
          break;
        }
        case 3: {
          const auto bytes = static_cast<uint32_t>(random() % (to_drain + 1));
          to_drain -= bytes;
          connection.on_drained(bytes);
          break;
        }
        case 4:
          if (random() % 8 == 0) connection.on_host_end_of_stream();
          if (random() % 8 == 0) connection.on_host_stopped_reading();
          if (random() % 32 == 0) connection.abort();
          break;
        case 5: connection.on_window_shut(); break;
        case 6:
          if (const uint32_t window = connection.send_window())
            static_cast<void>(connection.make_data(static_cast<uint32_t>(1 + random() % window)));
          break;
        case 7:
          if (connection.has_control()) resets += connection.make_control().op == Op::kRst;
          break;
      }
      ASSERT_LE(connection.undrained(), kBuffer);
      ASSERT_LE(to_drain, kBuffer);
      ASSERT_LE(resets, 1);
      if (was_closed) { ASSERT_TRUE(connection.closed()); }
      if (connection.closed()) { ASSERT_EQ(connection.send_window(), 0u); }
      if (connection.finished()) { ASSERT_FALSE(connection.has_control()); }
    }
  }
}

}  // namespace
}  // namespace adyton::vmm::vsock
