// Sessions between two of our sides over Unix sockets: calls, callbacks, references, order, descriptors, death.
#include "rpc/session.h"

#include <gtest/gtest.h>

#include <atomic>
#include <barrier>
#include <future>
#include <memory>
#include <string>
#include <thread>
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

}  // namespace
}  // namespace adyton::rpc
