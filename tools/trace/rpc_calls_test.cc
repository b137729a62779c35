#include "tools/trace/rpc_calls.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "rpc/wire.h"
#include "tools/trace/testing.h"

namespace adyton::trace {
namespace {

namespace wire = rpc::wire;
using Bytes = std::vector<uint8_t>;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr bool kHost = true, kGuest = false;

Bytes operator+(Bytes a, const Bytes& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}
Bytes command(uint32_t number, const Bytes& body) {
  Bytes bytes(wire::kHeaderSize);
  wire::Header{.command = number, .body_size = static_cast<uint32_t>(body.size())}.encode(
      std::span(bytes).first<wire::kHeaderSize>());
  return bytes + body;
}
Bytes call(std::string_view interface, uint32_t code, uint32_t flags = 0, size_t more = 0) {
  Bytes parcel(4 + interface.size() * 2 + more);
  wire::store(std::span(parcel), 0, static_cast<uint32_t>(interface.size()));
  for (size_t i = 0; i < interface.size(); ++i) parcel[4 + i * 2] = static_cast<uint8_t>(interface[i]);
  Bytes body(wire::kTransactionSize);
  wire::Transaction{.address = wire::address(wire::kAddressCreated, 7),
                    .code = code,
                    .flags = flags,
                    .parcel_size = static_cast<uint32_t>(parcel.size())}
      .encode(std::span(body).first<wire::kTransactionSize>());
  return command(wire::kTransact, body + parcel);
}
Bytes session_call(uint32_t code) {
  Bytes body(wire::kTransactionSize);
  wire::Transaction{.code = code}.encode(std::span(body).first<wire::kTransactionSize>());
  return command(wire::kTransact, body);
}
Bytes reply(int32_t exception = 0, int32_t status = 0) {
  Bytes body(wire::kReplySize + 4);
  wire::Reply{.status = status, .parcel_size = 4}.encode(body);
  wire::store(std::span(body), wire::kReplySize, exception);
  return command(wire::kReply, body);
}
Bytes release() { return command(wire::kDecStrong, Bytes(wire::kDecStrongSize)); }

struct RpcCallsTest : ::testing::Test {
  void send(bool from_host, const Bytes& bytes, capture::Op op = capture::Op::kData, uint32_t guest_port = 5678, size_t cut = 0) {
    capture::Packet packet{.src_cid = from_host ? capture::kHostCid : 3,
                           .dst_cid = from_host ? 3 : capture::kHostCid,
                           .src_port = from_host ? 1000 : guest_port,
                           .dst_port = from_host ? guest_port : 1000,
                           .length = static_cast<uint32_t>(bytes.size()),
                           .op = op};
    packet.payload_size = packet.length;
    packet.payload = std::span(bytes).first(bytes.size() - cut);
    ASSERT_TRUE(calls.packet(packet, time += 10));
  }
  // Without what is the same everywhere.
  [[nodiscard]] std::vector<std::string> lines() const {
    std::vector<std::string> short_ones;
    for (std::string line : writer.lines) {
      for (const char* part : {"vsock ", " guest port=5678 host port=1000"}) {
        if (const size_t at = line.find(part); at != std::string::npos) line.erase(at, std::string_view(part).size());
      }
      short_ones.push_back(std::move(line));
    }
    return short_ones;
  }

  testing::TextWriter writer;
  TrackId next_track = kProcessTrack + 1;
  RpcCalls calls{writer, "vsock", next_track};
  uint64_t time = 0;
};

TEST_F(RpcCallsTest, ACallLastsUntilItsReply) {
  send(kHost, session_call(wire::kGetMaxThreads));
  send(kGuest, reply(8));
  send(kHost, call("com.example.ICalculator", 3));
  send(kGuest, release() + reply(-3));
  send(kHost, call("com.example.ICalculator", 4));
  send(kGuest, reply(0, -74));
  EXPECT_THAT(
      lines(),
      ElementsAre("+10 begin calls GET_MAX_THREADS from=host code=1", "+20 end",
                  "+30 begin calls ICalculator code 3 from=host code=3 interface=com.example.ICalculator", "+40 end exception=-3",
                  "+50 begin calls ICalculator code 4 from=host code=4 interface=com.example.ICalculator", "+60 end status=-74"));
}

TEST_F(RpcCallsTest, CallsBackNestAndOnewayOnesAreMarks) {
  send(kHost, call("I.A", 1));
  send(kGuest, call("I.B", 2));
  send(kGuest, call("I.C", 3, 1));
  send(kHost, reply());
  send(kGuest, reply());
  EXPECT_THAT(lines(), ElementsAre("+10 begin calls A code 1 from=host code=1 interface=I.A",
                                   "+20 begin calls B code 2 from=guest code=2 interface=I.B",
                                   "+30 instant calls C code 3 from=guest code=3 interface=I.C", "+40 end", "+50 end"));
  EXPECT_EQ(writer.open_slices(), 0u);
}

TEST_F(RpcCallsTest, CommandsComeInPiecesOfAnySize) {
  const Bytes both = call("I.A", 1, 0, 5000) + call("I.B", 2, 1);
  for (size_t first : {56, 57, 100, 5000}) {
    writer.lines.clear();
    send(kHost, Bytes(both.begin(), both.begin() + static_cast<ptrdiff_t>(first)));
    for (size_t at = first; at < both.size(); at += 7)
      send(kHost, Bytes(both.begin() + static_cast<ptrdiff_t>(at),
                        both.begin() + static_cast<ptrdiff_t>(std::min(at + 7, both.size()))));
    ASSERT_EQ(writer.lines.size(), 2u) << first;
    EXPECT_THAT(writer.lines[0], ::testing::HasSubstr("begin calls A code 1"));
    send(kGuest, reply());
  }
  EXPECT_EQ(writer.open_slices(), 0u);
}

TEST_F(RpcCallsTest, WhatIsNoRpcIsPassedBy) {
  send(kHost, Bytes(3, 'x'));
  send(kHost, Bytes(4000, 'x'));
  send(kGuest, Bytes(4000, 0));
  Bytes big = call("I.A", 1);
  wire::store(std::span(big), 4, uint32_t{0xffffffff});
  send(kHost, big);
  Bytes long_parcel = call("I.A", 1);
  wire::store(std::span(long_parcel), 16 + 24, uint32_t{0x1000});
  send(kHost, long_parcel);
  send(kGuest, reply());
  EXPECT_THAT(writer.lines, IsEmpty());
}

TEST_F(RpcCallsTest, WhatIsMissingEndsWhatWasOpenAndTheNextCallIsFoundAgain) {
  send(kHost, call("I.A", 1, 0, 100), capture::Op::kData, 5678, 50);  // cut
  send(kHost, Bytes(50, 'x'));                                        // the middle of something
  send(kHost, call("I.B", 2));
  ASSERT_TRUE(calls.lose(time += 10));
  send(kGuest, reply());
  send(kHost, call("I.C", 3));
  send(kGuest, reply());
  EXPECT_THAT(lines(), ElementsAre("+30 begin calls B code 2 from=host code=2 interface=I.B", "+40 end",
                                   "+60 begin calls C code 3 from=host code=3 interface=I.C", "+70 end"));
}

TEST_F(RpcCallsTest, MemoryIsBoundedAndTracksAreUsedAgain) {
  for (uint32_t port = 0; port < 1000; ++port) send(kHost, call("I.A", 1), capture::Op::kData, port);
  EXPECT_EQ(writer.names.size(), RpcCalls::kMaxConnections);
  for (uint32_t port = 0; port < 1000; ++port) send(kGuest, {}, capture::Op::kReset, port);
  EXPECT_EQ(writer.open_slices(), 0u);
  for (uint32_t port = 0; port < 1000; ++port) {
    send(kHost, call("I.A", 1), capture::Op::kData, port);
    send(kGuest, {}, capture::Op::kReset, port);
  }
  EXPECT_EQ(writer.names.size(), RpcCalls::kMaxConnections);
  for (int i = 0; i < 100; ++i) send(kHost, call("I.A", 1));
  EXPECT_EQ(writer.open_slices(), RpcCalls::kMaxDepth);
}

}  // namespace
}  // namespace adyton::trace
