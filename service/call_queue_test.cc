#include "service/call_queue.h"

#include <gtest/gtest.h>

#include <future>
#include <string>

namespace adyton::service {
namespace {

TEST(CallQueue, RunsCallsInOrder) {
  std::string order;
  {
    CallQueues queues;
    auto queue = *queues.make("test");
    for (char c = 'a'; c <= 'e'; ++c) queue->post([&order, c] { order += c; });
  }
  EXPECT_EQ(order, "abcde");
}

TEST(CallQueue, ASessionHasOne) {
  CallQueues queues;
  auto one = *queues.of(1);
  EXPECT_EQ(*queues.of(1), one);
  EXPECT_NE(*queues.of(2), one);
}

TEST(CallQueue, HoldsSoManyCallsForASlowClient) {
  std::promise<void> go;
  size_t calls = 0;
  bool always = false;
  {
    CallQueues queues;
    auto queue = *queues.make("test");
    std::promise<void> waiting;
    queue->post([&] {
      waiting.set_value();
      go.get_future().get();
    });
    waiting.get_future().get();
    for (size_t i = 0; i < CallQueue::kMaxPending; ++i) EXPECT_TRUE(queue->post([&] { ++calls; }));
    EXPECT_FALSE(queue->post([&] { ++calls; }));
    queue->post_always([&] { always = true; });
    go.set_value();
  }
  EXPECT_EQ(calls, CallQueue::kMaxPending);
  EXPECT_TRUE(always);
}

TEST(CallQueue, MayEndByItsOwnCall) {
  CallQueues queues;
  auto queue = *queues.make("test");
  std::promise<void> done;
  auto* raw = queue.get();
  raw->post([&done, queue = std::move(queue)]() mutable {
    queue.reset();
    done.set_value();
  });
  done.get_future().get();
}

}  // namespace
}  // namespace adyton::service
