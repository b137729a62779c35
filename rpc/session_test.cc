// Sessions between two of our sides over Unix sockets: calls, callbacks, references, order, descriptors, death.
#include "rpc/session.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <condition_variable>
#include <filesystem>
#include <future>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <tuple>
#include <vector>

#include "rpc/parcel.h"
#include "rpc/remote_binder.h"
#include "rpc/server.h"
#include "rpc/session_core.h"
#include "rpc/testing/rpc_testing.h"

namespace adyton::rpc {
namespace {

using namespace testing;

TEST(Session, CallsTheRootObject) {
  Harness harness;
  auto session = harness.connect();
  EXPECT_EQ(session->protocol_version(), 2u);
  auto root = session->root();
  ASSERT_TRUE(root) << root.error().to_string();
  EXPECT_EQ(call_add(*root, 2, 3), 5);
  EXPECT_EQ((*root)->interface_descriptor(), "adyton.test.ITest");
  EXPECT_TRUE((*root)->ping().is_ok());
}

TEST(Session, SpeaksEveryVersion) {
  for (uint32_t version = 0; version <= 2; ++version) {
    Harness harness;
    auto session = harness.connect({.max_protocol_version = version});
    EXPECT_EQ(session->protocol_version(), version);
    EXPECT_EQ(call_add(*session->root(), 2, 3), 5);
    EXPECT_EQ(call_repeat(*session->root(), "ha", 3), "hahaha");
  }
}

TEST(Session, TheLowerVersionIsUsed) {
  Harness harness({.max_protocol_version = 1});
  EXPECT_EQ(harness.connect()->protocol_version(), 1u);
}

TEST(Session, OneRemoteObjectIsOneProxy) {
  Harness harness;
  auto session = harness.connect();
  auto root = *session->root();
  auto child = call_make_object(root, "child");
  auto same = call_get_object(root, "child");
  EXPECT_EQ(child, same);
  EXPECT_EQ(child->local(), nullptr);
}

TEST(Session, AnObjectThatComesBackIsTheLocalOne) {
  Harness harness;
  auto session = harness.connect();
  auto root = *session->root();
  auto mine = std::make_shared<TestService>();
  EXPECT_EQ(call_echo(root, mine), mine);
  // And the server's own arrives there as its own.
  auto child = call_make_object(root, "child");
  EXPECT_EQ(call_echo(root, child), child);
  EXPECT_TRUE(call_is_local(root, child));
  EXPECT_FALSE(call_is_local(root, mine));
}

TEST(Session, ObjectsLiveAsLongAsTheyAreHeld) {
  Harness harness;
  auto session = harness.connect();
  auto root = *session->root();
  auto child = call_make_object(root, "child");
  call_forget(root, "child");
  EXPECT_EQ(call_add(child, 1, 1), 2);
  EXPECT_EQ(TestService::alive(), 2);
  child.reset();
  // A later call on the same connection is answered after the references were taken back.
  EXPECT_EQ(call_add(root, 1, 1), 2);
  EXPECT_EQ(TestService::alive(), 1);
}

TEST(Session, CallbacksInACall) {
  Harness harness;
  auto session = harness.connect();
  auto root = *session->root();
  auto mine = std::make_shared<TestService>();
  // root -> mine -> root -> ... on one connection.
  EXPECT_EQ(call_recurse(root, mine, 20), 20);
  std::weak_ptr<TestService> weak = mine;
  mine.reset();
  EXPECT_EQ(call_add(root, 1, 1), 2);
  EXPECT_TRUE(weak.expired());
}

TEST(Session, CallbacksLaterNeedIncomingThreads) {
  Harness harness;
  auto mine = std::make_shared<TestService>();
  {
    auto session = harness.connect();
    EXPECT_TRUE(call_keep(*session->root(), mine).is_ok());
    EXPECT_EQ(harness.root->call_kept_from_elsewhere().transport_error(), TransportError::kWouldBlock);
  }
  auto session = harness.connect({.incoming_connections = 1});
  EXPECT_TRUE(call_keep(*session->root(), mine).is_ok());
  EXPECT_TRUE(harness.root->call_kept_from_elsewhere().is_ok());
  EXPECT_EQ(mine->calls(), 1);
}

TEST(Session, ExceptionsAndErrorsArrive) {
  Harness harness;
  auto session = harness.connect();
  auto root = *session->root();
  Parcel reply;
  EXPECT_EQ(root->transact(999, Parcel(), &reply).transport_error(), TransportError::kUnknownTransaction);
  const Status thrown = call_fail(root);
  EXPECT_EQ(thrown.exception(), Exception::kServiceSpecific);
  EXPECT_EQ(thrown.service_specific_code(), 42);
  EXPECT_EQ(thrown.message(), "as asked");
}

TEST(Session, ManyThreads) {
  Harness harness({.max_threads = 4});
  auto session = harness.connect({.incoming_connections = 2});
  auto root = *session->root();
  std::vector<std::thread> threads;
  std::atomic<int> wrong = 0;
  for (int t = 0; t < 8; ++t) {
    threads.emplace_back([&, t] {
      auto mine = std::make_shared<TestService>();
      for (int i = 0; i < 200; ++i) {
        if (call_add(root, t, i) != t + i) ++wrong;
        if (i % 10 == 0 && call_echo(root, mine) != mine) ++wrong;
        if (i % 25 == 0 && call_recurse(root, mine, 3) != 3) ++wrong;
        if (i % 7 == 0 && !call_note(root, i).is_ok()) ++wrong;
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
  EXPECT_TRUE(session->is_alive());
}

TEST(Session, OnewayCallsKeepTheirOrder) {
  Harness harness({.max_threads = 4});
  auto session = harness.connect();
  auto root = *session->root();
  constexpr int kCalls = 3000;
  for (int i = 0; i < kCalls; ++i) EXPECT_TRUE(call_note(root, i).is_ok());
  const auto notes = harness.root->wait_for_notes(kCalls);
  ASSERT_EQ(notes.size(), static_cast<size_t>(kCalls));
  for (int i = 0; i < kCalls; ++i) EXPECT_EQ(notes[static_cast<size_t>(i)], i);
}

TEST(Session, EndsWithItsLastUser) {
  Harness harness;
  auto session = harness.connect();
  auto root = *session->root();
  session.reset();
  EXPECT_EQ(call_add(root, 1, 2), 3);
  EXPECT_EQ(harness.server.session_count(), 1u);
  root.reset();
  wait_until([&] { return harness.server.session_count() == 0; });
}

TEST(Session, ReferencesOnTheirWayDoNotKeepIt) {
  for (const uint32_t incoming : {0U, 1U}) {
    Harness harness({.max_threads = 3});
    auto session = harness.connect({.incoming_connections = incoming});
    auto root = *session->root();
    const std::weak_ptr<Binder> weak = root;
    for (int i = 0; i < 50; ++i) EXPECT_TRUE(call_note(root, i).is_ok());
    harness.root->wait_for_notes(50);
    session.reset();
    root.reset();
    EXPECT_TRUE(weak.expired());
    wait_until([&] { return harness.server.session_count() == 0; });
  }
}

// What is given back after a oneway call must not lie where the peer reads only with its next call, which may never come: not
// even if all connections for calls are taken at that moment.
TEST(Session, OnewayReferencesComeBackWhenAConnectionIsFree) {
  Harness harness({.max_threads = 1});
  auto session = harness.connect({.outgoing_connections = 1, .incoming_connections = 1});
  auto root = *session->root();
  auto object = std::make_shared<TestService>();
  const std::weak_ptr<TestService> weak = object;
  ASSERT_TRUE(call_keep(root, object).is_ok());
  std::thread caller([&] { EXPECT_TRUE(call_block(root).is_ok()); });
  harness.root->wait_until_blocked();
  EXPECT_TRUE(call_note(harness.root->kept(), 1).is_ok());
  object->wait_for_notes(1);
  object.reset();
  harness.root->forget_all();
  harness.root->unblock();
  caller.join();
  wait_until([&] { return weak.expired(); });
}

TEST(Session, RootFactoryGivesEachItsOwn) {
  Harness harness;
  std::atomic<uint32_t> uid = 0;
  harness.server.set_root_factory([&](const Caller& caller) -> std::shared_ptr<Binder> {
    uid = caller.uid;
    return std::make_shared<TestService>();
  });
  auto one = harness.connect();
  auto two = harness.connect();
  ASSERT_TRUE(one->root());
  ASSERT_TRUE(two->root());
  EXPECT_EQ(uid, ::getuid());
  call_make_object(*one->root(), "here");
  EXPECT_EQ(call_get_object(*two->root(), "here"), nullptr);
}

TEST(Session, CallsAfterTheEndAreDead) {
  Harness harness;
  auto session = harness.connect();
  auto root = *session->root();
  harness.server.shutdown();
  Parcel reply;
  EXPECT_EQ(root->transact(1, Parcel(), &reply).transport_error(), TransportError::kDeadObject);
  EXPECT_FALSE(root->is_alive());
}

TEST(Session, DescriptorsGoBothWays) {
  Harness harness({.allow_fds = true});
  for (const uint32_t version : {1, 2}) {
    auto session = harness.connect({.fd_passing = FdPassing::kUnix, .max_protocol_version = version});
    auto root = *session->root();
    EXPECT_EQ(call_read_fd(root, "through a pipe"), "through a pipe");
    Parcel data, reply;
    ASSERT_TRUE(data.write_string("and back").is_ok());
    ASSERT_TRUE(root->transact(TestService::kSendFd, data, &reply).is_ok());
    auto fd = reply.read_fd();
    ASSERT_TRUE(fd);
    std::array<char, 16> text{};
    EXPECT_EQ(::read(fd->get(), text.data(), text.size()), 8);
    EXPECT_EQ(std::string_view(text.data()), "and back");
  }
}

TEST(Session, DescriptorsNeedToBeAllowed) {
  {
    Harness harness;
    EXPECT_FALSE(harness.try_connect({.fd_passing = FdPassing::kUnix, .handshake_timeout = std::chrono::seconds(1)}));
    auto session = harness.connect();
    EXPECT_EQ(call_read_fd(*session->root(), ""), to_string(TransportError::kFdsNotAllowed));
    // Nor can the server send one.
    Parcel data, reply;
    ASSERT_TRUE(data.write_string("").is_ok());
    EXPECT_EQ((*session->root())->transact(TestService::kSendFd, data, &reply).transport_error(), TransportError::kFdsNotAllowed);
    EXPECT_TRUE(session->is_alive());
  }
  Harness harness({.allow_fds = true});
  auto old = harness.connect({.fd_passing = FdPassing::kUnix, .max_protocol_version = 0});
  EXPECT_EQ(call_read_fd(*old->root(), ""), to_string(TransportError::kFdsNotAllowed));
}

TEST(Session, AsManyDescriptorsAsAMessageCanHave) {
  Harness harness({.allow_fds = true});
  auto session = harness.connect({.fd_passing = FdPassing::kUnix});
  auto root = *session->root();
  const size_t before = count_fds();
  for (const int count : {253, 254}) {
    Parcel data, reply;
    data.write_int32(1);
    data.write_int32(2);
    for (int i = 0; i < count; ++i) ASSERT_TRUE(data.write_fd(0).is_ok());
    EXPECT_EQ(root->transact(TestService::kAdd, data, &reply).transport_error(),
              count <= 253 ? TransportError::kOk : TransportError::kBadValue);
  }
  wait_until([&] { return count_fds() <= before; });
}

TEST(Session, DescriptorsFindTheirCommand) {
  Harness harness({.max_threads = 3, .allow_fds = true});
  auto session = harness.connect({.fd_passing = FdPassing::kUnix});
  auto root = *session->root();
  std::vector<std::thread> threads;
  std::atomic<int> wrong = 0;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 200; ++i) {
        const std::string text = std::to_string(t) + ":" + std::to_string(i);
        if (!call_note(root, i).is_ok()) ++wrong;
        if (call_read_fd(root, text) != text) ++wrong;
        if (call_add(root, t, i) != t + i) ++wrong;
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
}

TEST(Session, BodiesHaveALimit) {
  Harness harness;
  auto session = harness.connect();
  auto root = *session->root();
  // 40 bytes of the body are not the parcel's, 4 are the count.
  for (const size_t size : {100'000 - 44, 100'000 - 40}) {
    Parcel data, reply;
    data.write_vector(std::span<const uint8_t>(std::vector<uint8_t>(size)));
    const Status status = root->transact(TestService::kReverse, data, &reply);
    EXPECT_EQ(status.transport_error(), size == 100'000 - 44 ? TransportError::kOk : TransportError::kNoMemory)
        << status.to_string();
  }
  // A reply that would be too long fails there, and the session goes on.
  Parcel data, reply;
  ASSERT_TRUE(data.write_string(std::string(1000, 'x')).is_ok());
  data.write_int32(100);
  EXPECT_EQ(root->transact(TestService::kRepeat, data, &reply).transport_error(), TransportError::kNoMemory);
  EXPECT_EQ(call_add(root, 1, 2), 3);
}

TEST(Session, TheLimitCanBeRaisedOnBothSides) {
  constexpr size_t kLimit = 8 << 20;
  Harness harness({.max_body_size = kLimit});
  auto session = harness.connect({.max_body_size = kLimit});
  auto root = *session->root();
  std::vector<uint8_t> bytes(4 << 20);
  for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<uint8_t>(i * 2654435761U >> 24);
  Parcel data, reply;
  data.write_vector(std::span<const uint8_t>(bytes));
  ASSERT_TRUE(root->transact(TestService::kReverse, data, &reply).is_ok());
  auto back = reply.read_vector<uint8_t>();
  ASSERT_TRUE(back);
  EXPECT_TRUE(std::equal(bytes.rbegin(), bytes.rend(), back->begin(), back->end()));
}

// Answers with an exception to odd codes.
class Fickle final : public LocalBinder {
 public:
  std::string interface_descriptor() override { return "adyton.test.IFickle"; }
  Status on_transact(uint32_t code, const Parcel&, Parcel* reply, uint32_t flags) override {
    if (flags & kOneway) return Status::ok();
    return reply->write_status(code % 2 ? Status::from_exception(Exception::kIllegalState, "odd") : Status::ok());
  }
};

TEST(Session, AnObserverHearsOfServedCalls) {
  class Observer final : public CallObserver {
   public:
    void served(const ServedCall& call) override {
      EXPECT_EQ(call.target.interface_descriptor(), "adyton.test.IFickle");
      EXPECT_LE(call.begin, call.end);
      const std::lock_guard lock(mutex);
      calls.emplace_back(call.code, call.oneway, call.succeeded);
      changed.notify_all();
    }
    std::mutex mutex;
    std::condition_variable changed;
    std::vector<std::tuple<uint32_t, bool, bool>> calls;
  };
  const auto observer = std::make_shared<Observer>();
  Server server({.observer = observer});
  server.set_root(std::make_shared<Fickle>());
  int ends[2];
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
  ASSERT_TRUE(server.add_bootstrap(UniqueFd(ends[0])));
  auto session = Session::connect(connector_over(std::make_shared<UniqueFd>(ends[1])));
  ASSERT_TRUE(session) << session.error().message;
  auto root = *(*session)->root();
  Parcel reply;
  ASSERT_TRUE(root->transact(2, Parcel(), &reply).is_ok());
  ASSERT_TRUE(root->transact(3, Parcel(), &reply).is_ok());
  ASSERT_TRUE(root->transact(5, Parcel(), nullptr, kOneway).is_ok());
  std::unique_lock lock(observer->mutex);
  observer->changed.wait(lock, [&] { return observer->calls.size() == 3; });
  EXPECT_EQ(observer->calls[0], std::tuple(2u, false, true));
  EXPECT_EQ(observer->calls[1], std::tuple(3u, false, false));
  EXPECT_EQ(observer->calls[2], std::tuple(5u, true, true));
}

TEST(Session, ObjectsStayInTheirSession) {
  Harness one;
  Harness two;
  auto first = one.connect();
  auto second = two.connect();
  Parcel data, reply;
  data.write_binder(*first->root());
  EXPECT_EQ((*second->root())->transact(TestService::kEcho, data, &reply).transport_error(), TransportError::kInvalidOperation);
  EXPECT_EQ(call_add(*second->root(), 1, 2), 3);
}

TEST(Session, NullObjects) {
  Harness harness;
  auto session = harness.connect();
  EXPECT_EQ(call_echo(*session->root(), nullptr), nullptr);
  harness.server.set_root(nullptr);
  auto other = harness.connect();
  auto none = other->root();
  ASSERT_TRUE(none);
  EXPECT_EQ(*none, nullptr);
}

TEST(Session, CallersAreKnown) {
  Harness harness;
  auto session = harness.connect();
  Parcel reply;
  ASSERT_TRUE((*session->root())->transact(TestService::kCaller, Parcel(), &reply).is_ok());
  EXPECT_NE(*reply.read_uint64(), 0u);
  EXPECT_EQ(*reply.read_uint32(), ::getuid());
  EXPECT_EQ(*reply.read_int32(), ::getpid());
  EXPECT_EQ(current_caller(), nullptr);
}

TEST(Session, PeersCanBeTurnedAway) {
  Harness harness;
  harness.server.set_peer_filter([](const Caller& caller) { return caller.uid != ::getuid(); });
  EXPECT_FALSE(harness.try_connect());
}

TEST(Session, ServersHaveLimits) {
  Harness harness({.max_sessions = 1, .max_connections = 2});
  auto first = harness.connect();
  EXPECT_FALSE(harness.try_connect());
  EXPECT_EQ(call_add(*first->root(), 1, 2), 3);
}

TEST(Session, Bootstrap) {
  std::array<int, 2> ends{};
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()), 0);
  Harness harness({.max_threads = 3, .allow_fds = true});
  ASSERT_TRUE(harness.server.add_bootstrap(UniqueFd(ends[0])));
  auto socket = std::make_shared<UniqueFd>(ends[1]);
  auto session = Session::connect(connector_over(socket), {.incoming_connections = 1, .fd_passing = FdPassing::kUnix});
  ASSERT_TRUE(session) << session.error().message;
  auto root = *(*session)->root();
  EXPECT_EQ(call_add(root, 1, 2), 3);
  EXPECT_EQ(call_read_fd(root, "text"), "text");
  // Its sessions outlive it.
  socket->reset();
  EXPECT_EQ(call_add(root, 1, 2), 3);
}

TEST(Session, OneConnectedSocket) {
  std::array<int, 2> ends{};
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()), 0);
  Harness harness;
  ASSERT_TRUE(harness.server.add_connection(UniqueFd(ends[0])));
  auto session = Session::connect(connector_of(UniqueFd(ends[1])));
  ASSERT_TRUE(session);
  EXPECT_EQ(call_add(*(*session)->root(), 1, 2), 3);
}

TEST(Session, Tcp) {
  for (const std::string host : {"127.0.0.1", "::1"}) {
    auto listening = listen_on(TcpAddress{host, 0});
    if (!listening) continue;  // no such protocol here
    auto endpoint = local_endpoint(listening->get());
    ASSERT_TRUE(endpoint);
    Harness harness;
    ASSERT_TRUE(harness.server.serve(std::move(*listening)));
    auto session = Session::connect(*endpoint, {.incoming_connections = 1});
    ASSERT_TRUE(session) << session.error().message;
    EXPECT_EQ(call_add(*(*session)->root(), 1, 2), 3);
    EXPECT_EQ(call_read_fd(*(*session)->root(), ""), to_string(TransportError::kFdsNotAllowed));
  }
}

TEST(Session, Vsock) {
  auto listening = listen_on(VsockAddress{UINT32_MAX, UINT32_MAX});
  if (!listening) GTEST_SKIP() << listening.error().message;
  auto endpoint = local_endpoint(listening->get());
  ASSERT_TRUE(endpoint);
  Harness harness;
  uint32_t cid = UINT32_MAX;
  harness.server.set_root_factory([&](const Caller& caller) {
    cid = caller.vsock_cid;
    return harness.root;
  });
  ASSERT_TRUE(harness.server.serve(std::move(*listening)));
  constexpr uint32_t kLoopback = 1;  // VMADDR_CID_LOCAL: needs the vsock_loopback module
  auto session = Session::connect(VsockAddress{kLoopback, std::get<VsockAddress>(*endpoint).port});
  if (!session) GTEST_SKIP() << session.error().message;
  EXPECT_EQ(call_add(*(*session)->root(), 1, 2), 3);
  EXPECT_NE(cid, UINT32_MAX);
}

TEST(Session, NobodyListens) {
  auto session = Session::connect(UnixAddress{"@adyton-rpc-nobody"});
  ASSERT_FALSE(session);
  EXPECT_EQ(session.error().code, ErrorCode::kUnavailable);
  EXPECT_EQ(Session::connect(UnixAddress{""}).error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(Session::connect(UnixAddress{std::string(200, 'x')}).error().code, ErrorCode::kInvalidArgument);
}

TEST(Endpoints, ASocketIsReplacedOnlyIfNobodyListens) {
  const auto directory = std::filesystem::temp_directory_path() / ("adyton-rpc-" + std::to_string(::getpid()));
  std::filesystem::create_directory(directory);
  const UnixAddress address{directory / "socket"};
  {
    auto listening = listen_on(address);
    ASSERT_TRUE(listening) << listening.error().message;
    EXPECT_EQ(std::get<UnixAddress>(*local_endpoint(listening->get())).path, address.path);
    EXPECT_EQ(std::filesystem::status(address.path).permissions(), std::filesystem::perms(0600));
    auto second = listen_on(address);
    ASSERT_FALSE(second);
    EXPECT_EQ(second.error().code, ErrorCode::kUnavailable);
  }
  EXPECT_TRUE(listen_on(address));
  std::filesystem::remove(address.path);
  std::filesystem::create_directory(address.path);
  EXPECT_FALSE(listen_on(address));
  std::filesystem::remove_all(directory);
}

// --- Death ---

TEST(Death, OfAServer) {
  for (const uint32_t incoming : {0U, 1U}) {
    auto harness = std::make_unique<Harness>();
    auto session = harness->connect({.incoming_connections = incoming});
    auto root = *session->root();
    std::promise<void> died;
    std::atomic<bool> unlinked_ran = false;
    auto unlinked = root->link_to_death([&] { unlinked_ran = true; });
    auto linked = root->link_to_death([&] { died.set_value(); });
    ASSERT_TRUE(linked);
    ASSERT_TRUE(unlinked);
    EXPECT_TRUE(root->unlink_to_death(*unlinked));
    EXPECT_FALSE(root->unlink_to_death(*unlinked));
    harness.reset();
    died.get_future().get();
    EXPECT_FALSE(root->is_alive());
    EXPECT_FALSE(unlinked_ran);
    EXPECT_FALSE(root->unlink_to_death(*linked));
    auto late = root->link_to_death([] {});
    ASSERT_FALSE(late);
    EXPECT_EQ(late.error().transport_error(), TransportError::kDeadObject);
    session->shutdown_and_wait();
  }
}

TEST(Death, OfAClient) {
  Harness harness;
  auto session = harness.connect({.incoming_connections = 1});
  EXPECT_TRUE(call_keep(*session->root(), std::make_shared<TestService>()).is_ok());
  std::promise<void> died;
  auto kept = harness.root->kept();
  ASSERT_TRUE(kept->link_to_death([&] { died.set_value(); }));
  session->shutdown_and_wait();
  died.get_future().get();
  EXPECT_FALSE(kept->is_alive());
  harness.root->forget_all();
}

TEST(Death, ARecipientMayUseTheRuntime) {
  auto harness = std::make_unique<Harness>();
  auto session = harness->connect();
  auto root = *session->root();
  std::promise<TransportError> result;
  // It drops what holds it, and the last user of the session.
  ASSERT_TRUE(root->link_to_death([&result, held = root] {
    Parcel reply;
    result.set_value(held->transact(1, Parcel(), &reply).transport_error());
  }));
  root.reset();
  session.reset();
  harness.reset();
  EXPECT_EQ(result.get_future().get(), TransportError::kDeadObject);
}

TEST(Death, CallsThatWaitAreTold) {
  Harness harness({.max_threads = 2});
  auto session = harness.connect();
  auto root = *session->root();
  std::vector<std::thread> threads;
  std::atomic<int> dead = 0;
  // Two are served, two wait for a connection.
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] { dead += call_block(root).transport_error() == TransportError::kDeadObject; });
  }
  harness.root->wait_until_blocked();
  session->shutdown_and_wait();
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(dead, 4);
  harness.root->unblock();
}

TEST(Death, NothingIsLeftBehind) {
  std::thread([] {}).join();  // ThreadSanitizer has a thread of its own from the first one on
  const size_t fds = count_fds();
  const size_t threads = count_threads();
  for (int i = 0; i < 20; ++i) {
    Harness harness({.max_threads = 3, .allow_fds = true});
    auto session = harness.connect({.incoming_connections = 2, .fd_passing = FdPassing::kUnix});
    auto root = *session->root();
    auto mine = std::make_shared<TestService>();
    EXPECT_EQ(call_recurse(root, mine, 4), 4);
    ASSERT_TRUE(root->link_to_death([] {}));
    if (i % 2 == 0) session->shutdown_and_wait();
    if (i % 3 == 0) harness.server.shutdown();
  }
  wait_until([&] { return count_fds() <= fds && count_threads() <= threads; });
  EXPECT_EQ(TestService::alive(), 0);
}

}  // namespace
}  // namespace adyton::rpc
