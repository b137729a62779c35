#include "service/event_loop.h"

#include <gtest/gtest.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include <string>

namespace adyton::service {
namespace {

using namespace std::chrono_literals;

struct Pair {
  UniqueFd a, b;
};
Pair make_pair() {
  int fds[2];
  EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds), 0);
  return {UniqueFd(fds[0]), UniqueFd(fds[1])};
}

TEST(EventLoop, RunsWorkOfOtherThreadsInOrder) {
  auto loop = *EventLoop::start();
  std::string order;
  loop->post([&] { order += "a"; });
  loop->post([&] { order += "b"; });
  EXPECT_EQ(loop->call([&] { return order + "c"; }), "abc");
  EXPECT_FALSE(loop->on_loop());
  EXPECT_TRUE(loop->call([&] { return loop->on_loop(); }));
  EXPECT_EQ(loop->call([&] { return loop->call([] { return 7; }); }), 7);
}

TEST(EventLoop, RunsWhatWasPostedBeforeItEnds) {
  int count = 0;
  {
    auto loop = *EventLoop::start();
    for (int i = 0; i < 100; ++i) loop->post([&] { ++count; });
    loop->post([&, self = loop.get()] { self->post([&] { ++count; }); });
  }
  EXPECT_EQ(count, 101);
}

TEST(EventLoop, TellsOfReadyDescriptors) {
  auto loop = *EventLoop::start();
  auto pair = make_pair();
  std::promise<uint32_t> seen;
  Watch watch;
  loop->call([&] {
    watch = Watch(*loop, *loop->watch(pair.a.get(), EPOLLIN, [&](uint32_t events) {
      watch.reset();
      seen.set_value(events);
    }));
  });
  ASSERT_EQ(::write(pair.b.get(), "x", 1), 1);
  EXPECT_TRUE(seen.get_future().get() & EPOLLIN);
  EXPECT_FALSE(loop->call([&] { return watch.active(); }));
}

TEST(EventLoop, AHandlerMayUnwatchAnotherThatIsReadyToo) {
  auto loop = *EventLoop::start();
  auto one = make_pair();
  auto two = make_pair();
  int calls = 0;
  uint64_t watches[2] = {};
  loop->call([&] {
    const auto handler = [&](uint32_t) {
      ++calls;
      for (const uint64_t watch : watches) loop->unwatch(watch);
    };
    watches[0] = *loop->watch(one.a.get(), EPOLLIN, handler);
    watches[1] = *loop->watch(two.a.get(), EPOLLIN, handler);
    EXPECT_EQ(::write(one.b.get(), "x", 1), 1);
    EXPECT_EQ(::write(two.b.get(), "x", 1), 1);
  });
  std::promise<void> done;
  loop->call([&] { loop->after(2ms, [&] { done.set_value(); }); });
  done.get_future().get();
  EXPECT_EQ(calls, 1);
}

TEST(EventLoop, RefusesWhatIsAlwaysReady) {
  auto loop = *EventLoop::start();
  UniqueFd file(::memfd_create("file", MFD_CLOEXEC));
  auto watched = loop->call([&] { return loop->watch(file.get(), EPOLLIN, [](uint32_t) {}); });
  ASSERT_FALSE(watched);
  EXPECT_EQ(watched.error().code, ErrorCode::kUnsupported);
}

TEST(EventLoop, TimersComeInTheOrderOfTheirTimes) {
  auto loop = *EventLoop::start();
  std::string order;
  std::promise<void> done;
  loop->call([&] {
    loop->after(3ms, [&] {
      order += "c";
      done.set_value();
    });
    loop->after(1ms, [&] { order += "a"; });
    loop->after(2ms, [&] { order += "b"; });
    const uint64_t never = loop->after(0ms, [&] { order += "!"; });
    loop->cancel(never);
    Timer gone(*loop, 0ms, [&] { order += "?"; });
  });
  done.get_future().get();
  EXPECT_EQ(order, "abc");
}

TEST(EventLoop, WaitsForAnAnswerThatComesLater) {
  auto loop = *EventLoop::start();
  const auto outcome = loop->await<Result<int>>([&](auto done) { loop->after(1ms, [done] { done(42); }); });
  EXPECT_EQ(outcome.value(), 42);
  const auto failed = loop->await<Result<void>>([&](auto done) { done(fail(ErrorCode::kNotFound, "no")); });
  EXPECT_EQ(failed.error().code, ErrorCode::kNotFound);
}

}  // namespace
}  // namespace adyton::service
