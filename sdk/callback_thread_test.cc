#include "sdk/callback_thread.h"

#include <gtest/gtest.h>

#include <future>
#include <memory>
#include <vector>

namespace adyton::sdk {
namespace {

TEST(CallbackThread, RunsTasksInOrder) {
  CallbackThread thread;
  std::vector<int> order;
  std::promise<void> done;
  for (int i = 0; i < 1000; ++i) thread.post([&order, i] { order.push_back(i); });
  thread.post([&] { done.set_value(); });
  done.get_future().wait();
  ASSERT_EQ(order.size(), 1000u);
  for (int i = 0; i < 1000; ++i) EXPECT_EQ(order[static_cast<size_t>(i)], i);
  EXPECT_FALSE(thread.is_current());
}

TEST(CallbackThread, MayEndOnItself) {
  auto thread = std::make_shared<CallbackThread>();
  std::promise<void> go;
  std::promise<bool> ended;
  auto* raw = thread.get();
  raw->post([&ended, ours = thread, wait = go.get_future().share()]() mutable {
    wait.wait();
    const bool current = ours->is_current();
    ours.reset();
    ended.set_value(current);
  });
  thread.reset();
  go.set_value();
  EXPECT_TRUE(ended.get_future().get());
}

TEST(CallbackThread, DropsWhatIsLeftAtItsEnd) {
  auto alive = std::make_shared<int>();
  std::promise<void> go;
  {
    CallbackThread thread;
    std::promise<void> begun;
    thread.post([&begun, wait = go.get_future().share()] {
      begun.set_value();
      wait.wait();
    });
    begun.get_future().wait();
    thread.post([alive] {});
    EXPECT_EQ(alive.use_count(), 2);
    go.set_value();
  }
  // It may just have run; either way nobody holds it any more.
  EXPECT_EQ(alive.use_count(), 1);
}

}  // namespace
}  // namespace adyton::sdk
