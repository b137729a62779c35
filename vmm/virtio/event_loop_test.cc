#include "vmm/virtio/event_loop.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cstdlib>

namespace adyton::vmm::virtio {
namespace {

using namespace std::chrono_literals;

UniqueFd event_fd(unsigned value = 0) { return UniqueFd(::eventfd(value, EFD_CLOEXEC | EFD_NONBLOCK)); }

TEST(EventLoop, CallsTheHandlerOfAReadyDescriptor) {
  auto loop = EventLoop::create().value();
  const UniqueFd fd = event_fd(1);
  int calls = 0;
  const auto id = loop->watch(fd.get(), EPOLLIN, [&](uint32_t events) { calls += (events & EPOLLIN) != 0; }).value();
  EXPECT_TRUE(loop->run_once(0));
  EXPECT_EQ(calls, 1);
  loop->unwatch(id);
  EXPECT_FALSE(loop->run_once(0));
  EXPECT_EQ(calls, 1);
}

TEST(EventLoop, AHandlerMayRemoveItselfAndOthers) {
  auto loop = EventLoop::create().value();
  const UniqueFd first = event_fd(1);
  const UniqueFd second = event_fd(1);
  EventLoop::WatchId ids[2];
  int calls = 0;
  const auto remove_both = [&](uint32_t) {
    ++calls;
    loop->unwatch(ids[0]);
    loop->unwatch(ids[1]);
  };
  ids[0] = loop->watch(first.get(), EPOLLIN, remove_both).value();
  ids[1] = loop->watch(second.get(), EPOLLIN, remove_both).value();
  loop->run_once(0);
  EXPECT_EQ(calls, 1);  // the second event, already fetched, is for a watch that is gone
}

TEST(EventLoop, AReusedSlotIsAnotherWatch) {
  auto loop = EventLoop::create().value();
  const UniqueFd fd = event_fd(1);
  const auto old_id = loop->watch(fd.get(), EPOLLIN, [](uint32_t) {}).value();
  loop->unwatch(old_id);
  int calls = 0;
  const auto new_id = loop->watch(fd.get(), EPOLLIN, [&](uint32_t) { ++calls; }).value();
  EXPECT_NE(old_id, new_id);
  loop->unwatch(old_id);
  loop->run_once(0);
  EXPECT_EQ(calls, 1);
  EXPECT_FALSE(loop->rearm(old_id, EPOLLIN));
}

TEST(EventLoop, ARegularFileCannotBeWatched) {
  auto loop = EventLoop::create().value();
  const UniqueFd file(::open("/proc/self/exe", O_RDONLY | O_CLOEXEC));
  const auto watch = loop->watch(file.get(), EPOLLIN, [](uint32_t) {});
  ASSERT_FALSE(watch);
  EXPECT_EQ(watch.error().code, ErrorCode::kPermission);
}

TEST(EventLoop, TimersRunInTheOrderOfTheirDeadlines) {
  EventLoop::Clock::time_point time{};
  auto loop = EventLoop::create([&] { return time; }).value();
  std::string order;
  loop->schedule(20ms, [&] { order += "b"; });
  loop->schedule(10ms, [&] { order += "a"; });
  const auto cancelled = loop->schedule(15ms, [&] { order += "x"; });
  loop->cancel(cancelled);
  EXPECT_FALSE(loop->run_once(0));
  time += 10ms;
  EXPECT_TRUE(loop->run_once(0));
  EXPECT_EQ(order, "a");
  time += 10ms;
  loop->run_once(0);
  EXPECT_EQ(order, "ab");
}

TEST(EventLoop, WithoutAThreadRunSyncRunsAtOnceAndPostWaitsForTheTurn) {
  auto loop = EventLoop::create().value();
  int calls = 0;
  loop->run_sync([&] { ++calls; });
  EXPECT_EQ(calls, 1);
  loop->post([&] { ++calls; });
  EXPECT_EQ(calls, 1);
  loop->run_once(-1);
  EXPECT_EQ(calls, 2);
}

TEST(EventLoop, TheThreadRunsTasksOfOtherThreadsAndFinishesThemBeforeItStops) {
  auto loop = EventLoop::create().value();
  ASSERT_TRUE(loop->start("event-loop-test"));
  EXPECT_FALSE(loop->start("again"));
  std::thread::id thread;
  loop->run_sync([&] {
    thread = std::this_thread::get_id();
    loop->run_sync([] {});  // from inside: at once
  });
  EXPECT_NE(thread, std::this_thread::get_id());
  std::vector<int> order;
  for (int i = 0; i < 100; ++i) loop->post([&order, i] { order.push_back(i); });
  loop->post([&] { loop->post([&order] { order.push_back(100); }); });
  loop->stop();
  ASSERT_EQ(order.size(), 101u);
  for (int i = 0; i <= 100; ++i) EXPECT_EQ(order[static_cast<size_t>(i)], i);
  loop->run_sync([&] { order.clear(); });  // the thread is gone
  EXPECT_TRUE(order.empty());
}

TEST(EventLoop, ManyThreadsMayWaitForTasksWhileTheLoopStops) {
  auto loop = EventLoop::create().value();
  ASSERT_TRUE(loop->start("event-loop-test"));
  std::atomic<int> count = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (int n = 0; n < 200; ++n) loop->run_sync([&] { ++count; });
    });
  }
  for (auto& thread : threads) thread.join();
  loop->stop();
  EXPECT_EQ(count, 800);
}

}  // namespace
}  // namespace adyton::vmm::virtio
