// What stands on the wire, byte by byte, in both roles and all versions (reference: AOSP's RpcWireFormat.h).
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cstring>
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

// ---- calls and replies with descriptors and objects, from the structures of RpcWireFormat.h and Parcel.cpp

// `size` bytes, and the descriptors that came with the first of them, which is where a command's descriptors belong.
Bytes receive_with_fds(RawPeer& peer, size_t size, std::vector<UniqueFd>& fds) {
  Bytes bytes(1);
  iovec part{bytes.data(), bytes.size()};
  alignas(cmsghdr) std::array<uint8_t, CMSG_SPACE(4 * sizeof(int))> control{};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  EXPECT_EQ(::recvmsg(peer.fd(), &message, MSG_CMSG_CLOEXEC), 1);
  for (const cmsghdr* header = CMSG_FIRSTHDR(&message); header != nullptr;
       header = CMSG_NXTHDR(&message, const_cast<cmsghdr*>(header))) {
    EXPECT_EQ(header->cmsg_type, SCM_RIGHTS);
    for (size_t at = 0; at < (header->cmsg_len - CMSG_LEN(0)) / sizeof(int); ++at) {
      int fd = -1;
      std::memcpy(&fd, CMSG_DATA(header) + at * sizeof(int), sizeof(fd));
      fds.emplace_back(fd);
    }
  }
  return std::move(bytes) + peer.receive(size - 1);
}

#define EXPECT_BYTES_AND_FDS(peer, text, fds)                                                          \
  do {                                                                                                 \
    const Bytes expected_bytes = hex(text);                                                            \
    EXPECT_EQ(to_hex(receive_with_fds((peer), expected_bytes.size(), (fds))), to_hex(expected_bytes)); \
  } while (false)

// What is read of a pipe or file.
std::string content_of(const UniqueFd& fd) {
  std::array<char, 16> text{};
  const ssize_t size = ::read(fd.get(), text.data(), text.size());
  return {text.data(), size < 0 ? 0 : static_cast<size_t>(size)};
}

UniqueFd pipe_with(std::string_view text) {
  std::array<int, 2> ends{};
  EXPECT_EQ(::pipe2(ends.data(), O_CLOEXEC), 0);
  const UniqueFd writer(ends[1]);
  EXPECT_EQ(::write(writer.get(), text.data(), text.size()), static_cast<ssize_t>(text.size()));
  return UniqueFd(ends[0]);
}

// Which objects the table at a command's end names: version 1 descriptors only, version 2 binders too. Version 0 has none.
TEST(ClientOnTheWire, ACallWithDescriptorsAndObjects) {
  for (const uint32_t version : {1U, 2U}) {
    SCOPED_TRACE(version);
    ScriptedServer server([version](RawPeer& peer) {
      const bool two = version == 2;
      // Header of a connection: version, options, file descriptors by SCM_RIGHTS (1), reserved, a new session.
      EXPECT_BYTES(peer, (two ? "02000000" : "01000000") + std::string("00 01 0000000000000000 0000  63636900 00000000"));
      peer.send(hex(two ? "02000000 00000000" : "01000000 00000000"));
      peer.receive(56);
      peer.send(reply(le(int32_t{1})));  // GET_MAX_THREADS
      peer.receive(56);
      peer.send(reply(le(int32_t{32}) + hex(kId)));  // GET_SESSION_ID
      peer.receive(56);
      // GET_ROOT's reply.
      peer.send(hex(two ? "01000000 28000000 0000000000000000"  // REPLY; 20 + 16 + 4 bytes
                          "00000000 10000000"                   // status; the parcel's size
                          "000000000000000000000000"            // reserved
                          "01000000 0300000005000000 0c000000"  // a binder: the server's fifth, of system stability
                          "00000000"                            // the table: at 0
                        : "01000000 24000000 0000000000000000"  // REPLY; 20 + 16 bytes
                          "00000000 10000000"                   //
                          "000000000000000000000000"            //
                          "01000000 0300000005000000 0c000000"  // a binder: not in a table of version 1
                    ));
      std::vector<UniqueFd> fds;
      if (two) {
        EXPECT_BYTES_AND_FDS(peer,
                             "00000000"                            // TRANSACT
                             "54000000"                            // of 40 + 32 + 12 bytes
                             "0000000000000000"                    // reserved
                             "03000000 05000000"                   // the target: made (1), by the server (2); its number
                             "06000000"                            // the code
                             "00000000"                            // flags: not oneway
                             "0000000000000000"                    // no number of a oneway call
                             "20000000"                            // the parcel has 32 bytes
                             "000000000000000000000000"            // reserved
                             "01000000 0100000000000000 0c000000"  // at 0 a binder: made (1) by the client, number 0, stability
                             "02000000 00000000"                   // at 16 a descriptor: the first that came along
                             "02000000 01000000"                   // at 24 a descriptor: the second
                             "00000000 10000000 18000000",         // the table: 0, 16, 24
                             fds);
      } else {
        EXPECT_BYTES_AND_FDS(peer,
                             "00000000"                            // TRANSACT
                             "50000000"                            // of 40 + 32 + 8 bytes
                             "0000000000000000"                    // reserved
                             "03000000 05000000"                   // the target
                             "06000000"                            // the code
                             "00000000"                            // flags
                             "0000000000000000"                    // no number of a oneway call
                             "20000000"                            // the parcel has 32 bytes
                             "000000000000000000000000"            // reserved
                             "01000000 0100000000000000 0c000000"  // at 0 a binder
                             "02000000 00000000"                   // at 16 a descriptor
                             "02000000 01000000"                   // at 24 a descriptor
                             "10000000 18000000",                  // the table: 16, 24
                             fds);
      }
      ASSERT_EQ(fds.size(), 2u);
      EXPECT_EQ(content_of(fds[0]), "one");
      EXPECT_EQ(content_of(fds[1]), "two");
      // A reply that brings one: the same in both versions, as no binder is in it.
      const UniqueFd theirs = pipe_with("three");
      const int fd = theirs.get();
      peer.send(hex("01000000"                  // REPLY
                    "20000000"                  // of 20 + 8 + 4 bytes
                    "0000000000000000"          // reserved
                    "00000000"                  // status
                    "08000000"                  // the parcel has 8 bytes
                    "000000000000000000000000"  // reserved
                    "02000000 00000000"         // at 0 a descriptor: the first
                    "00000000"),                // the table: 0
                std::span(&fd, 1));
      peer.drain();
    });
    auto session = Session::connect(server.connector(), {.fd_passing = FdPassing::kUnix, .max_protocol_version = version});
    ASSERT_TRUE(session) << session.error().message;
    auto root = (*session)->root();
    ASSERT_TRUE(root);
    Parcel data, answer;
    data.write_binder(std::make_shared<TestService>());
    EXPECT_TRUE(data.write_fd(pipe_with("one").get()).is_ok());
    EXPECT_TRUE(data.write_fd(pipe_with("two").get()).is_ok());
    EXPECT_TRUE((*root)->transact(TestService::kEcho, data, &answer).is_ok());
    auto fd = answer.read_fd();
    ASSERT_TRUE(fd);
    EXPECT_EQ(content_of(*fd), "three");
    (*session)->shutdown_and_wait();
  }
}

TEST(ServerOnTheWire, CallsWithDescriptorsAndObjects) {
  for (const bool two : {false, true}) {
    SCOPED_TRACE(two);
    Harness harness({.allow_fds = true});
    RawPeer peer = RawPeer::connect(harness.address);
    // Descriptors by SCM_RIGHTS (1).
    peer.send(hex((two ? "02000000" : "01000000") + std::string("00 01 0000000000000000 0000  63636900 00000000")));
    EXPECT_BYTES(peer, two ? "02000000 00000000" : "01000000 00000000");
    EXPECT_EQ(peer.get_root(), 3u);
    // kReadFd: the parcel is a descriptor, which both versions have in the table.
    const UniqueFd ours = pipe_with("hi");
    const int fd = ours.get();
    peer.send(hex("00000000"                  // TRANSACT
                  "34000000"                  // of 40 + 8 + 4 bytes
                  "0000000000000000"          // reserved
                  "03000000 00000000"         // the target: made (1), by the server (2), number 0
                  "0c000000"                  // the code
                  "00000000"                  // flags
                  "0000000000000000"          // no number of a oneway call
                  "08000000"                  // the parcel has 8 bytes
                  "000000000000000000000000"  // reserved
                  "02000000 00000000"         // at 0 a descriptor: the first that came along
                  "00000000"),                // the table: 0
              std::span(&fd, 1));
    EXPECT_BYTES(peer,
                 "02000000 10000000 0000000000000000"   // DEC_STRONG of 16 bytes
                 "03000000 00000000 01000000 00000000"  // the target, once
                 "01000000 20000000 0000000000000000"   // REPLY of 20 + 12 bytes
                 "00000000 0c000000"                    // status; the parcel has 12 bytes
                 "000000000000000000000000"             // reserved
                 "02000000 6800 6900 0000 0000");       // two UTF-16 units, the end, padding
    // kEcho: a binder, and a descriptor behind it that nobody reads.
    const Bytes head = hex(std::string("00000000") +             // TRANSACT
                           (two ? "48000000" : "44000000") +     // of 40 + 24 bytes and the table
                           "0000000000000000"                    // reserved
                           "03000000 00000000"                   // the target
                           "06000000"                            // the code
                           "00000000"                            // flags
                           "0000000000000000"                    // no number of a oneway call
                           "18000000"                            // the parcel has 24 bytes
                           "000000000000000000000000"            // reserved
                           "01000000 0100000000000000 0c000000"  // at 0 a binder: made (1) by the client, number 0
                           "02000000 00000000");                 // at 16 a descriptor
    peer.send(head + hex(two ? "00000000 10000000" : "10000000"), std::span(&fd, 1));
    EXPECT_BYTES(peer,
                 "02000000 10000000 0000000000000000"
                 "03000000 00000000 01000000 00000000");
    EXPECT_BYTES(peer, two ? "01000000 28000000 0000000000000000"  // REPLY of 20 + 16 + 4 bytes
                             "00000000 10000000"                   // status; the parcel has 16 bytes
                             "000000000000000000000000"            // reserved
                             "01000000 0100000000000000 0c000000"  // the client's own binder comes back
                             "00000000"                            // the table: 0
                           : "01000000 24000000 0000000000000000"  // REPLY of 20 + 16 bytes
                             "00000000 10000000"                   //
                             "000000000000000000000000"            //
                             "01000000 0100000000000000 0c000000");
    peer.send(dec_strong(1, 1));
    EXPECT_BYTES(peer, "02000000 10000000 0000000000000000  01000000 00000000 01000000 00000000");
    // kSendFd("hi"): the reply's first byte brings the descriptor, so that the reference comes in a command before it.
    peer.send(
        hex("00000000 34000000 0000000000000000"   // TRANSACT of 40 + 12 bytes
            "03000000 00000000 0d000000 00000000"  // the target; the code; flags
            "0000000000000000 0c000000"            // no number; the parcel has 12 bytes
            "000000000000000000000000"             // reserved
            "02000000 6800 6900 0000 0000"));      // two UTF-16 units, the end, padding
    EXPECT_BYTES(peer,
                 "02000000 10000000 0000000000000000"
                 "03000000 00000000 01000000 00000000");
    std::vector<UniqueFd> fds;
    EXPECT_BYTES_AND_FDS(peer,
                         "01000000 20000000 0000000000000000"  // REPLY of 20 + 8 + 4 bytes
                         "00000000 08000000"                   // status; the parcel has 8 bytes
                         "000000000000000000000000"            // reserved
                         "02000000 00000000"                   // at 0 a descriptor
                         "00000000",                           // the table: 0
                         fds);
    ASSERT_EQ(fds.size(), 1u);
    EXPECT_EQ(content_of(fds[0]), "hi");
  }
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
