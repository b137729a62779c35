// What stands on the wire, byte by byte, in both roles and all versions (reference: AOSP's RpcWireFormat.h).
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <array>
#include <functional>
#include <thread>

#include "rpc/parcel.h"
#include "rpc/session.h"
#include "rpc/testing/raw_peer.h"
#include "rpc/testing/rpc_testing.h"

namespace adyton::rpc {
namespace {

using namespace testing;

#define EXPECT_BYTES(peer, text)                                                      \
  do {                                                                                \
    const Bytes expected_bytes = hex(text);                                           \
    EXPECT_EQ(to_hex((peer).receive(expected_bytes.size())), to_hex(expected_bytes)); \
  } while (false)

// Runs `server` on the other end of the only connection of a session.
class ScriptedServer {
 public:
  explicit ScriptedServer(std::function<void(RawPeer&)> script) {
    std::array<int, 2> ends{};
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()), 0);
    const timeval limit{30, 0};
    ::setsockopt(ends[1], SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    client_end_ = UniqueFd(ends[0]);
    thread_ = std::thread([script = std::move(script), peer = std::make_shared<RawPeer>(UniqueFd(ends[1]))] { script(*peer); });
  }
  ~ScriptedServer() { thread_.join(); }
  Connector connector() { return connector_of(std::move(client_end_)); }

 private:
  UniqueFd client_end_;
  std::thread thread_;
};

constexpr std::string_view kId = "000102030405060708090a0b0c0d0e0f 101112131415161718191a1b1c1d1e1f";

TEST(ClientOnTheWire, Version2) {
  ScriptedServer server([](RawPeer& peer) {
    // A new session: version 2, no options, no descriptors; then the words of the side that calls.
    EXPECT_BYTES(peer, "02000000 00 00 0000000000000000 0000  63636900 00000000");
    peer.send(hex("02000000 00000000"));
    // GET_MAX_THREADS.
    EXPECT_BYTES(peer,
                 "00000000 28000000 0000000000000000"
                 "0000000000000000 01000000 00000000 0000000000000000 00000000 000000000000000000000000");
    peer.send(hex("01000000 18000000 0000000000000000  00000000 04000000 000000000000000000000000  01000000"));
    // GET_SESSION_ID.
    EXPECT_BYTES(peer,
                 "00000000 28000000 0000000000000000"
                 "0000000000000000 02000000 00000000 0000000000000000 00000000 000000000000000000000000");
    peer.send(hex("01000000 38000000 0000000000000000  00000000 24000000 000000000000000000000000  20000000" + std::string(kId)));
    // GET_ROOT: an object that the server made, with its place in the table.
    EXPECT_BYTES(peer,
                 "00000000 28000000 0000000000000000"
                 "0000000000000000 00000000 00000000 0000000000000000 00000000 000000000000000000000000");
    peer.send(
        hex("01000000 28000000 0000000000000000  00000000 10000000 000000000000000000000000"
            "01000000 0300000005000000 0c000000  00000000"));
    // A call of it. The server gives the reference to its target back before it answers.
    EXPECT_BYTES(peer,
                 "00000000 30000000 0000000000000000"
                 "0300000005000000 01000000 00000000 0000000000000000 08000000 000000000000000000000000  02000000 03000000");
    peer.send(
        hex("02000000 10000000 0000000000000000  0300000005000000 01000000 00000000"
            "01000000 18000000 0000000000000000  00000000 04000000 000000000000000000000000  05000000"));
    // Two oneway calls.
    EXPECT_BYTES(peer,
                 "00000000 2c000000 0000000000000000"
                 "0300000005000000 0b000000 01000000 0000000000000000 04000000 000000000000000000000000  07000000");
    EXPECT_BYTES(peer,
                 "00000000 2c000000 0000000000000000"
                 "0300000005000000 0b000000 01000000 0100000000000000 04000000 000000000000000000000000  08000000");
    // One of the client's objects: the first that it made.
    EXPECT_BYTES(peer,
                 "00000000 3c000000 0000000000000000"
                 "0300000005000000 06000000 00000000 0000000000000000 10000000 000000000000000000000000"
                 "01000000 0100000000000000 0c000000  00000000");
    // Which the server calls before it answers, and then gives back.
    peer.send(
        hex("00000000 30000000 0000000000000000"
            "0100000000000000 01000000 00000000 0000000000000000 08000000 000000000000000000000000  02000000 03000000"));
    EXPECT_BYTES(peer,
                 "02000000 10000000 0000000000000000  0100000000000000 01000000 00000000"
                 "01000000 18000000 0000000000000000  00000000 04000000 000000000000000000000000  05000000");
    peer.send(
        hex("02000000 10000000 0000000000000000  0100000000000000 01000000 00000000"
            "02000000 10000000 0000000000000000  0300000005000000 03000000 00000000"
            "01000000 18000000 0000000000000000  00000000 04000000 000000000000000000000000  00000000"));
    // The last user goes.
    EXPECT_BYTES(peer, "02000000 10000000 0000000000000000  0300000005000000 01000000 00000000");
    EXPECT_TRUE(peer.is_closed());
  });
  auto session = Session::connect(server.connector());
  ASSERT_TRUE(session) << session.error().message;
  auto root = (*session)->root();
  ASSERT_TRUE(root);
  EXPECT_EQ(call_add(*root, 2, 3), 5);
  EXPECT_TRUE(call_note(*root, 7).is_ok());
  EXPECT_TRUE(call_note(*root, 8).is_ok());
  auto mine = std::make_shared<TestService>();
  EXPECT_EQ(call_echo(*root, mine), nullptr);
  EXPECT_EQ(mine->calls(), 1);
  EXPECT_EQ(mine.use_count(), 1);
  session->reset();
  root->reset();
}

TEST(ClientOnTheWire, Version0) {
  ScriptedServer server([](RawPeer& peer) {
    EXPECT_BYTES(peer, "02000000 00 00 0000000000000000 0000  63636900 00000000");
    peer.send(hex("00000000 00000000"));
    peer.receive(56);
    // Replies have a status only, then the parcel.
    peer.send(hex("01000000 08000000 0000000000000000  00000000 01000000"));
    peer.receive(56);
    peer.send(hex("01000000 28000000 0000000000000000  00000000 20000000" + std::string(kId)));
    peer.receive(56);
    peer.send(hex("01000000 14000000 0000000000000000  00000000 01000000 0300000005000000 0c000000"));
    // No table of objects.
    EXPECT_BYTES(peer,
                 "00000000 38000000 0000000000000000"
                 "0300000005000000 06000000 00000000 0000000000000000 10000000 000000000000000000000000"
                 "01000000 0100000000000000 0c000000");
    peer.send(hex("01000000 04000000 0000000000000000  eaffffff"));
    peer.drain();
  });
  auto session = Session::connect(server.connector());
  ASSERT_TRUE(session) << session.error().message;
  EXPECT_EQ((*session)->protocol_version(), 0u);
  auto root = (*session)->root();
  ASSERT_TRUE(root);
  Parcel data, reply;
  data.write_binder(std::make_shared<TestService>());
  EXPECT_EQ((*root)->transact(TestService::kEcho, data, &reply).transport_error(), TransportError::kBadValue);
  (*session)->shutdown_and_wait();
}

TEST(ClientOnTheWire, MoreConnectionsJoinTheSession) {
  const UnixAddress address{"@adyton-rpc-protocol-" + std::to_string(::getpid())};
  auto listening = listen_on(address);
  ASSERT_TRUE(listening);
  std::thread server([&] {
    RawPeer first(UniqueFd(::accept4(listening->get(), nullptr, nullptr, SOCK_CLOEXEC)));
    EXPECT_BYTES(first, "01000000 00 00 0000000000000000 0000  63636900 00000000");
    first.send(hex("01000000 00000000"));
    first.receive(56);
    first.send(reply(le(int32_t{2})));
    first.receive(56);
    first.send(reply(le(int32_t{32}) + hex(kId)));
    RawPeer second(UniqueFd(::accept4(listening->get(), nullptr, nullptr, SOCK_CLOEXEC)));
    EXPECT_BYTES(second, "01000000 00 00 0000000000000000 2000" + std::string(kId) + "63636900 00000000");
    RawPeer incoming(UniqueFd(::accept4(listening->get(), nullptr, nullptr, SOCK_CLOEXEC)));
    EXPECT_BYTES(incoming, "01000000 01 00 0000000000000000 2000" + std::string(kId));
    incoming.send(hex("63636900 00000000"));
    EXPECT_TRUE(incoming.is_closed());
  });
  auto session = Session::connect(address, {.outgoing_connections = 5, .incoming_connections = 1, .max_protocol_version = 1});
  ASSERT_TRUE(session) << session.error().message;
  EXPECT_EQ((*session)->server_threads(), 2u);
  (*session)->shutdown_and_wait();
  server.join();
}

TEST(ClientOnTheWire, RefusesANewerVersion) {
  ScriptedServer server([](RawPeer& peer) {
    peer.receive(24);
    peer.send(hex("02000000 00000000"));
    EXPECT_TRUE(peer.is_closed());
  });
  auto session = Session::connect(server.connector(), {.max_protocol_version = 1});
  ASSERT_FALSE(session);
  EXPECT_EQ(session.error().code, ErrorCode::kUnsupported);
}

TEST(ClientOnTheWire, GivesUpAServerThatSaysNothing) {
  ScriptedServer server([](RawPeer& peer) { peer.drain(); });
  auto session = Session::connect(server.connector(), {.handshake_timeout = std::chrono::milliseconds(20)});
  ASSERT_FALSE(session);
  EXPECT_EQ(session.error().code, ErrorCode::kUnavailable);
}

TEST(ServerOnTheWire, Version2) {
  Harness harness;
  RawPeer peer = RawPeer::connect(harness.address);
  peer.send(hex("ffff0000 00 00 0000000000000000 0000  63636900 00000000"));
  EXPECT_BYTES(peer, "02000000 00000000");
  peer.send(transact(0, 1, {}));
  EXPECT_BYTES(peer, "01000000 18000000 0000000000000000  00000000 04000000 000000000000000000000000  01000000");
  peer.send(transact(0, 2, {}));
  EXPECT_BYTES(peer, "01000000 38000000 0000000000000000  00000000 24000000 000000000000000000000000  20000000");
  EXPECT_EQ(peer.receive(32).size(), 32u);
  peer.send(transact(0, 0, {}));
  EXPECT_BYTES(peer,
               "01000000 28000000 0000000000000000  00000000 10000000 000000000000000000000000"
               "01000000 0300000000000000 0c000000  00000000");
  peer.send(transact(0, 3, {}));
  EXPECT_BYTES(peer, "01000000 14000000 0000000000000000  b6ffffff 00000000 000000000000000000000000");
  // The target's reference comes back before the reply.
  peer.send(
      hex("00000000 30000000 0000000000000000"
          "0300000000000000 01000000 00000000 0000000000000000 08000000 000000000000000000000000  02000000 03000000"));
  EXPECT_BYTES(peer,
               "02000000 10000000 0000000000000000  0300000000000000 01000000 00000000"
               "01000000 18000000 0000000000000000  00000000 04000000 000000000000000000000000  05000000");
  // References of oneway calls come back when there is nothing else to do, not necessarily one by one.
  peer.send(transact(3, TestService::kNote, le(int32_t{2}), 1, 1) + transact(3, TestService::kNote, le(int32_t{1}), 1, 0));
  EXPECT_BYTES(peer, "02000000 10000000 0000000000000000  0300000000000000 02000000 00000000");
  EXPECT_EQ(harness.root->wait_for_notes(2), (std::vector<int32_t>{1, 2}));
  // An object of the client's comes to it and is sent back, as the reply's last user goes.
  peer.send(transact(3, TestService::kEcho, binder(1), 0, 0, {0}));
  EXPECT_BYTES(peer,
               "02000000 10000000 0000000000000000  0300000000000000 01000000 00000000"
               "01000000 28000000 0000000000000000  00000000 10000000 000000000000000000000000"
               "01000000 0100000000000000 0c000000  00000000");
  peer.send(dec_strong(1, 1));
  EXPECT_BYTES(peer, "02000000 10000000 0000000000000000  0100000000000000 01000000 00000000");
  // Nobody holds anything.
  peer.send(dec_strong(3, 1));
  EXPECT_TRUE(peer.is_closed());
}

TEST(ServerOnTheWire, Version0) {
  Harness harness;
  RawPeer peer = RawPeer::connect(harness.address);
  peer.send(new_session(0));
  EXPECT_BYTES(peer, "00000000 00000000");
  peer.send(transact(0, 0, {}));
  EXPECT_BYTES(peer, "01000000 14000000 0000000000000000  00000000  01000000 0300000000000000 0c000000");
  // The size of the parcel is not looked at.
  peer.send(
      hex("00000000 30000000 0000000000000000"
          "0300000000000000 01000000 00000000 0000000000000000 ffffffff 000000000000000000000000  02000000 03000000"));
  EXPECT_BYTES(peer,
               "02000000 10000000 0000000000000000  0300000000000000 01000000 00000000"
               "01000000 08000000 0000000000000000  00000000 05000000");
}

TEST(ServerOnTheWire, CallsOnAnIncomingConnection) {
  Harness harness;
  RawPeer peer = RawPeer::connect(harness.address);
  const Bytes id = peer.set_up();
  RawPeer incoming = RawPeer::connect(harness.address);
  incoming.send(join_session(id, true));
  EXPECT_BYTES(incoming, "63636900 00000000");
  const uint64_t root = peer.get_root();
  peer.send(transact(root, TestService::kKeep, binder(wire::address(wire::kAddressCreated, 9)), 0, 0, {0}));
  peer.receive_reply();
  std::thread caller([&] { EXPECT_TRUE(harness.root->call_kept_from_elsewhere().is_ok()); });
  EXPECT_BYTES(incoming,
               "00000000 30000000 0000000000000000"
               "0100000009000000 01000000 00000000 0000000000000000 08000000 000000000000000000000000  01000000 02000000");
  incoming.send(dec_strong(wire::address(wire::kAddressCreated, 9), 1) + reply(le(int32_t{3})));
  caller.join();
}

}  // namespace
}  // namespace adyton::rpc
