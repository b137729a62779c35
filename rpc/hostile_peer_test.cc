// Peers that break the protocol: each loses its session, and nothing else is lost.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <malloc.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <random>
#include <thread>

#include "rpc/session.h"
#include "rpc/testing/raw_peer.h"
#include "rpc/testing/rpc_testing.h"

namespace adyton::rpc {
namespace {

using namespace testing;

constexpr uint64_t kRoot = wire::address(wire::kAddressCreated | wire::kAddressForServer, 0);
constexpr uint64_t kMine = wire::address(wire::kAddressCreated, 0);

// A server with an honest client beside the hostile one. What the hostile ones leave behind would show at the end.
class HostilePeer : public ::testing::Test {
 protected:
  explicit HostilePeer(ServerOptions options = {.max_threads = 2,
                                                .allow_fds = true,
                                                .limits = {.nodes = 100, .queued_calls = 1000, .queued_bytes = 100'000},
                                                .handshake_timeout = std::chrono::milliseconds(50)})
      : harness_(with_witness(std::move(options), bad_peers_)) {
    honest_ = harness_.connect({.incoming_connections = 1});
    root_ = honest_->root().value();
    EXPECT_EQ(call_add(root_, 1, 2), 3);
    wait_until([this] { return harness_.server.connection_count() == 2; });
    fds_ = count_fds();
    threads_ = count_threads();
    alive_ = TestService::alive();
  }

  ~HostilePeer() override {
    EXPECT_EQ(call_add(root_, 1, 2), 3);
    wait_until([this] { return harness_.server.session_count() == 1 && harness_.server.connection_count() == 2; });
    EXPECT_EQ(call_add(root_, 1, 2), 3);
    wait_until([this] { return count_fds() <= fds_ && count_threads() <= threads_; });
    EXPECT_EQ(TestService::alive(), alive_);
  }

  static ServerOptions with_witness(ServerOptions options, std::atomic<size_t>& count) {
    options.on_bad_peer = [&count](const Caller& peer, const Error& error) {
      EXPECT_EQ(peer.pid, ::getpid());
      EXPECT_FALSE(error.message.empty());
      ++count;
    };
    return options;
  }

  RawPeer connect() { return RawPeer::connect(harness_.address); }

  // Sets a session up and sends `bytes`: the session must end.
  void expect_end(const Bytes& bytes, uint32_t version = 2) {
    RawPeer peer = connect();
    peer.set_up(version);
    peer.get_root();
    peer.send(bytes);
    peer.drain();
    peer.close();
    wait_until([this] { return harness_.server.session_count() == 1; });
  }

  std::atomic<size_t> bad_peers_ = 0;
  Harness harness_;
  std::shared_ptr<Session> honest_;
  std::shared_ptr<Binder> root_;
  size_t fds_ = 0;
  size_t threads_ = 0;
  int alive_ = 0;
};

TEST_F(HostilePeer, HalfHandshakes) {
  const Bytes whole = new_session(2);
  for (size_t size = 0; size < whole.size(); ++size) {
    RawPeer peer = connect();
    peer.send(Bytes(whole.begin(), whole.begin() + static_cast<ptrdiff_t>(size)));
    // The server gives up by itself.
    peer.drain();
  }
  for (size_t size = 0; size < whole.size(); ++size) {
    connect().send(Bytes(whole.begin(), whole.begin() + static_cast<ptrdiff_t>(size)));
  }
  wait_until([this] { return harness_.server.session_count() == 1; });
}

TEST_F(HostilePeer, WrongHandshakes) {
  const std::vector<std::string> cases = {
      // A new session that begins with calls from the server.
      "02000000 01 00 0000000000000000 0000  6363690000000000",
      // Unknown ways of passing descriptors.
      "02000000 00 02 0000000000000000 0000  6363690000000000",
      "02000000 00 ff 0000000000000000 0000  6363690000000000",
      // Session ids of the wrong size.
      "02000000 00 00 0000000000000000 0100  00 6363690000000000",
      "02000000 00 00 0000000000000000 1f00 00 6363690000000000",
      "02000000 00 00 0000000000000000 ffff  6363690000000000",
      // An unknown session.
      "02000000 00 00 0000000000000000 2000 0000000000000000000000000000000000000000000000000000000000000000 6363690000000000",
      "02000000 01 00 0000000000000000 2000 0000000000000000000000000000000000000000000000000000000000000000",
      // Other words.
      "02000000 00 00 0000000000000000 0000  6263690000000000",
      "474554202f20485454502f312e310d0a0d0a474554202f20485454502f312e310d0a0d0a",
  };
  for (const auto& text : cases) {
    SCOPED_TRACE(text);
    RawPeer peer = connect();
    peer.send(hex(text));
    peer.drain();
  }
  wait_until([&] { return bad_peers_ == cases.size(); });
}

TEST_F(HostilePeer, IsToldOfOnlyIfItDidSomethingWrong) {
  const auto client = harness_.connect();
  EXPECT_EQ(call_add(client->root().value(), 1, 2), 3);
  connect().close();
  client->shutdown_and_wait();
  wait_until([this] { return harness_.server.session_count() == 1 && harness_.server.connection_count() == 2; });
  EXPECT_EQ(bad_peers_, 0u);
  expect_end(hex("ff000000 00000000 0000000000000000"));
  wait_until([this] { return bad_peers_ == 1; });
}

// A client does not wait for its further connections: it may have made its call and left before they have been looked at.
TEST_F(HostilePeer, AConnectionThatComesAfterItsSessionsEndIsNoReasonToComplain) {
  RawPeer first = connect();
  const Bytes id = first.set_up();
  first.close();
  wait_until([this] { return harness_.server.session_count() == 1; });
  for (const bool incoming : {false, true}) {
    RawPeer late = connect();
    late.send(join_session(id, incoming));
    late.drain();
  }
  wait_until([this] { return harness_.server.connection_count() == 2; });
  EXPECT_EQ(bad_peers_, 0u);
  RawPeer stranger = connect();
  stranger.send(join_session(zeros(32)));
  stranger.drain();
  wait_until([this] { return bad_peers_ == 1; });
}

TEST_F(HostilePeer, MoreConnectionsThanTheSessionHasThreads) {
  RawPeer peer = connect();
  const Bytes id = peer.set_up();
  RawPeer second = connect();
  second.send(join_session(id));
  second.send(transact(0, wire::kGetMaxThreads, {}));
  EXPECT_FALSE(second.receive_reply().empty());
  RawPeer third = connect();
  third.send(join_session(id));
  third.drain();
  std::vector<RawPeer> incoming;
  for (int i = 0; i < 32; ++i) {
    incoming.push_back(connect());
    incoming.back().send(join_session(id, true));
    EXPECT_EQ(incoming.back().receive(8).size(), 8u);
  }
  RawPeer one_more = connect();
  one_more.send(join_session(id, true));
  one_more.drain();
  // The session is still good, until one of its connections goes.
  peer.send(transact(0, wire::kGetMaxThreads, {}));
  EXPECT_FALSE(peer.receive_reply().empty());
  second.close();
  EXPECT_TRUE(peer.is_closed());
  wait_until([this] { return harness_.server.session_count() == 1; });
}

TEST_F(HostilePeer, BrokenCommands) {
  const Bytes add = le(int32_t{2}) + le(int32_t{3});
  expect_end(command(3, {}));
  expect_end(command(0xffff'ffff, zeros(40)));
  // A reply that nobody waits for.
  expect_end(reply({}));
  // Bodies that are too short or too long.
  expect_end(command(0, {}));
  expect_end(command(0, zeros(39)));
  expect_end(command(2, {}));
  expect_end(command(2, zeros(15)));
  expect_end(command(2, zeros(17)));
  expect_end(le(uint32_t{0}) + le(uint32_t{100'001}) + zeros(8) + zeros(100'001));
  expect_end(le(uint32_t{0}) + le(uint32_t{0xffff'ffff}) + zeros(8));
  // A parcel that is longer than its command, and one whose table is broken.
  expect_end(command(0, le(kRoot) + le(uint32_t{1}) + le(uint32_t{0}) + le(uint64_t{0}) + le(uint32_t{9}) + zeros(12) + add));
  expect_end(command(0, le(kRoot) + le(uint32_t{1}) + le(uint32_t{0}) + le(uint64_t{0}) + le(uint32_t{7}) + zeros(12) + add));
  // Tables that do not agree with the parcel.
  expect_end(transact(kRoot, 1, add, 0, 0, {0}));
  expect_end(transact(kRoot, 1, add, 0, 0, {8}));
  expect_end(transact(kRoot, 1, add, 0, 0, {1}));
  expect_end(transact(kRoot, 1, add, 0, 0, {0xffff'fffc}));
  expect_end(transact(kRoot, 1, binder(kMine) + binder(kMine), 0, 0, {16, 0}));
  expect_end(transact(kRoot, 1, binder(kMine), 0, 0, {0, 0}));
  expect_end(transact(kRoot, 1, le(int32_t{2}) + le(int32_t{0}), 0, 0, {0}));
  expect_end(transact(kRoot, 1, binder(kMine, 0), 0, 0, {0}));
  // The middle of a command is the end of the stream.
  RawPeer peer = connect();
  peer.set_up();
  peer.send(hex("00000000 30000000 00000000"));
  peer.close();
}

TEST_F(HostilePeer, WrongTargets) {
  for (const uint32_t version : {0, 1, 2}) {
    expect_end(transact(kRoot + (uint64_t{1} << 32), 1, {}), version);
    expect_end(transact(kMine, 1, {}), version);
    expect_end(transact(kRoot | 4, 1, {}), version);
    expect_end(transact(uint64_t{1} << 32, 1, {}), version);
    expect_end(transact(kRoot + (uint64_t{1} << 32), 1, {}, 1), version);
  }
  // One's own object, that the server knows, as the target.
  expect_end(transact(kRoot, TestService::kKeep, binder(kMine), 0, 0, {0}) + transact(kMine, 1, {}));
  harness_.root->forget_all();
}

TEST_F(HostilePeer, WrongObjects) {
  for (const uint64_t address : {uint64_t{0}, kRoot + (uint64_t{1} << 32), kMine | 4, kMine & ~uint64_t{1},
                                 uint64_t{0xffff'ffff'0000'0000}, ~uint64_t{0}}) {
    SCOPED_TRACE(address);
    expect_end(transact(kRoot, TestService::kEcho, binder(address), 0, 0, {0}));
    // Without a table it shows when the object is read, and is that call's failure.
    RawPeer peer = connect();
    peer.set_up(1);
    peer.get_root();
    peer.send(transact(kRoot, TestService::kEcho, binder(address)));
    int32_t status = 0;
    peer.receive_reply(&status);
    EXPECT_NE(status, 0);
    peer.send(transact(kRoot, TestService::kAdd, le(int32_t{2}) + le(int32_t{3})));
    EXPECT_EQ(peer.receive_reply(), le(int32_t{5}));
  }
}

TEST_F(HostilePeer, TooManyObjects) {
  Bytes parcel;
  std::vector<uint32_t> table;
  for (uint32_t i = 0; i < 101; ++i) {
    table.push_back(static_cast<uint32_t>(parcel.size()));
    parcel = std::move(parcel) + binder(wire::address(wire::kAddressCreated, i));
  }
  expect_end(transact(kRoot, TestService::kAdd, parcel, 0, 0, table));
}

TEST_F(HostilePeer, ReferencesThatItDoesNotHold) {
  RawPeer peer = connect();
  peer.set_up();
  peer.get_root();
  peer.send(dec_strong(kRoot, 2) + dec_strong(kRoot, 0xffff'ffff) + dec_strong(kRoot + (uint64_t{1} << 32), 1) +
            dec_strong(0, 1) + dec_strong(~uint64_t{0}, 1) + dec_strong(kRoot, 0));
  peer.send(transact(kRoot, TestService::kAdd, le(int32_t{2}) + le(int32_t{3})));
  EXPECT_EQ(peer.receive_reply(), le(int32_t{5}));
  // It gives back what it holds, and calls all the same.
  peer.send(dec_strong(kRoot, 1) + transact(kRoot, TestService::kAdd, le(int32_t{2}) + le(int32_t{3})));
  peer.drain();
}

TEST_F(HostilePeer, OnewayCallsThatNeverGetTheirTurn) {
  Bytes flood;
  for (uint64_t number = 1; number <= 1000; ++number)
    flood = std::move(flood) + transact(kRoot, TestService::kNote, le(int32_t{0}), 1, number);
  expect_end(flood);
  // By size.
  Bytes big;
  for (uint64_t number = 1; number <= 11; ++number)
    big = std::move(big) + transact(kRoot, TestService::kNote, zeros(10'000), 1, number);
  expect_end(big);
  // Numbers that were used.
  const Bytes note = transact(kRoot, TestService::kNote, le(int32_t{0}), 1, 0);
  expect_end(note + note);
  const Bytes later = transact(kRoot, TestService::kNote, le(int32_t{0}), 1, 5);
  expect_end(later + later);
}

TEST_F(HostilePeer, CallsThatNestForever) {
  // The server calls back; each time the answer is another call.
  RawPeer peer = connect();
  peer.set_up();
  peer.get_root();
  const Bytes call = transact(kRoot, TestService::kRecurse, binder(kMine) + le(int32_t{1000}), 0, 0, {0});
  for (unsigned i = 0; i < kMaxCallDepth + 10 && peer.send(call); ++i) {}
  peer.drain();
}

TEST_F(HostilePeer, RepliesThatAreBroken) {
  const Bytes call = transact(kRoot, TestService::kRecurse, binder(kMine) + le(int32_t{1}), 0, 0, {0});
  const std::vector<Bytes> answers = {
      command(1, {}),
      command(1, zeros(19)),
      le(uint32_t{1}) + le(uint32_t{100'021}) + zeros(8) + zeros(100'021),
      le(uint32_t{1}) + le(uint32_t{0xffff'ffff}) + zeros(8),
      command(1, le(int32_t{0}) + le(uint32_t{1}) + zeros(12)),
      reply(binder(kRoot + (uint64_t{1} << 32)), 0, {0}),
      reply({}, 0, {0}),
      command(9, {}),
      dec_strong(kMine, 1) + command(2, zeros(4)),
  };
  for (const Bytes& answer : answers) expect_end(call + answer);
}

TEST_F(HostilePeer, ReadsNothing) {
  ServerOptions options{.send_timeout = std::chrono::milliseconds(50)};
  Harness other(options);
  RawPeer peer = RawPeer::connect(other.address);
  peer.set_up();
  peer.get_root();
  // Both directions fill up: the server does not wait for ever.
  const Bytes call = transact(kRoot, TestService::kReverse, le(int32_t{60'000}) + zeros(60'000));
  while (peer.send(call)) {}
  wait_until([&] { return other.server.session_count() == 0; });
}

TEST_F(HostilePeer, DescriptorsThatNobodyAskedFor) {
  const UniqueFd file(::open("/dev/null", O_RDWR | O_CLOEXEC));
  const std::vector<int> many(253, file.get());
  for (const uint8_t mode : {0, 1}) {
    RawPeer peer = connect();
    peer.set_up(2, mode);
    peer.get_root();
    for (int i = 0; i < 10; ++i) {
      EXPECT_TRUE(peer.send(transact(kRoot, TestService::kAdd, le(int32_t{2}) + le(int32_t{3})), many));
      EXPECT_EQ(peer.receive_reply(), le(int32_t{5}));
      EXPECT_TRUE(peer.send(dec_strong(kRoot, 0), many));
    }
    // A table that names descriptors which did not come.
    EXPECT_TRUE(
        peer.send(transact(kRoot, TestService::kReadFd, le(int32_t{2}) + le(int32_t{1}), 0, 0, {0}), std::span(many).first(1)));
    peer.drain();
  }
  // More than one command can have.
  RawPeer peer = connect();
  peer.set_up(2, 1);
  const Bytes call = transact(kRoot, TestService::kAdd, le(int32_t{2}) + le(int32_t{3}));
  for (size_t i = 0; i < call.size(); ++i) {
    if (!peer.send({call[i]}, many)) break;
  }
  peer.drain();
  // And some before the handshake.
  RawPeer early = connect();
  early.send(new_session(2, 0), many);
  early.receive(8);
}

TEST_F(HostilePeer, BootstrapMessages) {
  const std::vector<int> two = {0, 0};
  const std::vector<std::pair<Bytes, size_t>> cases = {
      {zeros(1), 0}, {zeros(4), 0}, {zeros(4), 2}, {zeros(3), 1}, {zeros(400), 1}};
  for (const auto& [bytes, fds] : cases) {
    std::array<int, 2> ends{};
    ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()), 0);
    RawPeer peer{UniqueFd(ends[1])};
    ASSERT_TRUE(harness_.server.add_bootstrap(UniqueFd(ends[0])));
    peer.send(bytes, std::span(two).first(fds));
  }
  // One that says too little does not keep the server from ending.
  std::array<int, 2> ends{};
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()), 0);
  RawPeer peer{UniqueFd(ends[1])};
  {
    Server other;
    ASSERT_TRUE(other.add_bootstrap(UniqueFd(ends[0])));
    peer.send(zeros(3));
  }
  EXPECT_FALSE(peer.send(zeros(1)));
}

TEST_F(HostilePeer, LeavesInTheMiddleOfACall) {
  {
    RawPeer peer = connect();
    peer.set_up();
    peer.get_root();
    peer.send(transact(kRoot, TestService::kBlock, {}));
    harness_.root->wait_until_blocked();
  }
  // The session's thread cannot know before the call is over.
  harness_.root->unblock();
  wait_until([this] { return harness_.server.session_count() == 1; });
}

TEST_F(HostilePeer, Noise) {
  const uint32_t seed = std::random_device()();
  SCOPED_TRACE(seed);
  std::mt19937 random(seed);
  for (int round = 0; round < 200; ++round) {
    RawPeer peer = connect();
    peer.set_up(random() % 3);
    peer.get_root();
    Bytes bytes = transact(kRoot, 1 + random() % 20, binder(kMine) + zeros(random() % 40), random() % 2, random() % 2, {0});
    if (random() % 2 == 0) bytes = std::move(bytes) + dec_strong(kRoot, random() % 3);
    for (uint32_t i = random() % 4; i > 0; --i) bytes[random() % bytes.size()] ^= static_cast<uint8_t>(1U << random() % 8);
    // What blocks is not what this is about.
    if (wire::load<uint32_t>(bytes, 24) == TestService::kBlock) continue;
    peer.send(bytes);
    peer.send(reply({}));
  }
  wait_until([this] { return harness_.server.session_count() == 1 && harness_.server.connection_count() == 2; });
  harness_.root->forget_all();
}

// With the limits that a server has when nobody sets any.
class HostilePeerAtTheDefaults : public HostilePeer {
 protected:
  HostilePeerAtTheDefaults() : HostilePeer({.max_threads = 2, .allow_fds = true}) {}

  static size_t heap() { return ::mallinfo2().uordblks; }
  // The session is alive and answers.
  static void expect_answer(RawPeer& peer) {
    peer.send(transact(kRoot, TestService::kAdd, le(int32_t{2}) + le(int32_t{3})));
    EXPECT_EQ(peer.receive_reply(), le(int32_t{5}));
  }
  void expect_end_of(RawPeer& peer) {
    peer.drain();
    peer.close();
    wait_until([this] { return bad_peers_ == 1; });
  }
};

TEST_F(HostilePeerAtTheDefaults, TenThousandOnewayCallsThatWait) {
  RawPeer peer = connect();
  peer.set_up();
  peer.get_root();
  const size_t before = heap();
  const auto wait = [](uint64_t number) { return transact(kRoot, TestService::kNote, le(int32_t{0}), 1, number); };
  // Calls are counted together with the one that they wait for.
  Bytes flood;
  for (uint64_t number = 1; number < 9999; ++number) {
    const Bytes call = wait(number);
    flood.insert(flood.end(), call.begin(), call.end());
  }
  peer.send(flood);
  expect_answer(peer);
  EXPECT_LT(heap() - std::min(heap(), before), 16U << 20);
  peer.send(wait(9999));
  expect_answer(peer);
  peer.send(wait(10'000));
  expect_end_of(peer);
}

TEST_F(HostilePeerAtTheDefaults, SixtyFourMebibytesOfOnewayCallsThatWait) {
  RawPeer peer = connect();
  peer.set_up();
  peer.get_root();
  constexpr size_t kEach = 99'000;
  constexpr uint64_t kFit = (64ULL << 20) / kEach;
  const size_t before = heap();
  for (uint64_t number = 1; number <= kFit; ++number) {
    ASSERT_TRUE(peer.send(transact(kRoot, TestService::kNote, zeros(kEach), 1, number)));
  }
  expect_answer(peer);
  EXPECT_LT(heap() - std::min(heap(), before), 80U << 20);
  peer.send(transact(kRoot, TestService::kNote, zeros(kEach), 1, kFit + 1));
  expect_end_of(peer);
}

TEST_F(HostilePeerAtTheDefaults, AHundredThousandObjects) {
  RawPeer peer = connect();
  peer.set_up();
  peer.get_root();
  const size_t before = heap();
  uint32_t made = 0;
  // Calls that wait hold their objects.
  const auto hold = [&](uint64_t number, uint32_t objects) {
    Bytes parcel;
    std::vector<uint32_t> table;
    for (uint32_t i = 0; i < objects; ++i) {
      table.push_back(static_cast<uint32_t>(parcel.size()));
      const Bytes object = binder(wire::address(wire::kAddressCreated, made++));
      parcel.insert(parcel.end(), object.begin(), object.end());
    }
    peer.send(transact(kRoot, TestService::kNote, parcel, 1, number, table));
  };
  // 20 bytes each, in commands of less than 100,000; the root is an object too.
  for (uint64_t number = 1; number <= 25; ++number) hold(number, 3999);
  hold(26, 24);
  EXPECT_EQ(made, 99'999u);
  expect_answer(peer);
  EXPECT_LT(heap() - std::min(heap(), before), 64U << 20);
  hold(27, 1);
  expect_end_of(peer);
}

TEST(HostileServer, EndsTheSessionOnly) {
  const size_t fds = count_fds();
  const size_t threads = count_threads();
  const Bytes id = le(int32_t{32}) + zeros(32);
  const std::vector<std::vector<Bytes>> scripts = {
      {zeros(3)},
      {le(uint32_t{3}) + zeros(4)},
      {le(uint32_t{2}) + zeros(4), command(1, {})},
      {le(uint32_t{2}) + zeros(4), reply(le(int32_t{0}))},
      {le(uint32_t{2}) + zeros(4), reply(le(int32_t{-1}))},
      {le(uint32_t{2}) + zeros(4), reply({})},
      {le(uint32_t{2}) + zeros(4), reply({}, -1)},
      {le(uint32_t{2}) + zeros(4), reply(le(int32_t{1})), reply(le(int32_t{31}) + zeros(32))},
      {le(uint32_t{2}) + zeros(4), reply(le(int32_t{1})), reply(le(int32_t{-1}))},
      // A call of nobody's, instead of an answer.
      {le(uint32_t{2}) + zeros(4), transact(kMine, 1, {})},
      // Many threads, and then nobody there.
      {le(uint32_t{2}) + zeros(4), reply(le(int32_t{1000})), reply(id)},
  };
  for (const auto& script : scripts) {
    std::array<int, 2> ends{};
    ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()), 0);
    RawPeer server{UniqueFd(ends[1])};
    Bytes all;
    for (const Bytes& part : script) all = std::move(all) + part;
    server.send(all);
    ::shutdown(server.fd(), SHUT_WR);
    EXPECT_FALSE(Session::connect(connector_of(UniqueFd(ends[0])), {.handshake_timeout = std::chrono::milliseconds(50)}));
  }
  wait_until([&] { return count_fds() <= fds && count_threads() <= threads; });
}

}  // namespace
}  // namespace adyton::rpc
