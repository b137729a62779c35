// The service's one event loop: descriptors, timers, and work from other threads, all on one thread of its own. The VMs live
// there.
//
// Handlers must not block. A handler may watch and unwatch anything, itself included.
#pragma once
#include <chrono>
#include <cstdint>
#include <functional>
#include <future>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"

namespace adyton::service {

class EventLoop {
 public:
  using Clock = std::chrono::steady_clock;
  using Task = std::function<void()>;
  using Handler = std::function<void(uint32_t events)>;  // EPOLLIN, ...

  // Its thread runs from here on, with every signal blocked.
  static Result<std::unique_ptr<EventLoop>> start();
  // Runs the tasks that were posted before, then ends the thread. What is watched is forgotten.
  ~EventLoop();
  EventLoop(const EventLoop&) = delete;
  EventLoop& operator=(const EventLoop&) = delete;

  // --- From any thread.

  // Tasks run in their order.
  void post(Task task);

  // Runs `function` on the loop and waits for its result; at once when called on the loop.
  template <typename Function>
  auto call(Function&& function) -> decltype(function()) {
    if (on_loop()) return function();
    std::promise<decltype(function())> promise;
    post([&] {
      if constexpr (std::is_void_v<decltype(function())>) {
        function();
        promise.set_value();
      } else {
        promise.set_value(function());
      }
    });
    return promise.get_future().get();
  }

  // Runs `function(done)` on the loop and waits until done(T) is called there, now or later. Not from the loop. `done` must be
  // called exactly once.
  template <typename T, typename Function>
  T await(Function&& function) {
    auto promise = std::make_shared<std::promise<T>>();
    auto future = promise->get_future();
    post([&function, promise] { function([promise](T outcome) { promise->set_value(std::move(outcome)); }); });
    return future.get();
  }

  [[nodiscard]] bool on_loop() const { return std::this_thread::get_id() == thread_.get_id(); }

  // --- On the loop's thread only.

  // Level-triggered. The descriptor stays the caller's, who unwatches it before it is closed. kUnsupported: it is of a kind that
  // is always ready, such as a regular file.
  Result<uint64_t> watch(int fd, uint32_t events, Handler handler);
  void change(uint64_t watch, uint32_t events);
  void unwatch(uint64_t watch);  // 0 and numbers that are gone are fine

  uint64_t after(Clock::duration delay, Task task);
  void cancel(uint64_t timer);  // 0 and numbers that are gone are fine

 private:
  struct Watched {
    int fd;
    Handler handler;
  };

  EventLoop() = default;
  void run();
  void run_tasks();
  void run_timers();
  [[nodiscard]] int milliseconds_to_next_timer() const;

  UniqueFd epoll_;
  UniqueFd wake_;
  std::mutex mutex_;
  std::vector<Task> tasks_;  // guarded by mutex_
  bool ending_ = false;      // guarded by mutex_
  std::map<uint64_t, std::shared_ptr<Watched>> watched_;
  std::map<std::pair<Clock::time_point, uint64_t>, Task> timers_;
  std::map<uint64_t, Clock::time_point> timer_times_;
  uint64_t next_ = 1;  // 0 is the wake-up
  std::thread thread_;
};

// A watch or a timer that ends with its owner. On the loop's thread.
class Watch {
 public:
  Watch() = default;
  Watch(EventLoop& loop, uint64_t watch) : loop_(&loop), watch_(watch) {}
  Watch(Watch&& other) noexcept : loop_(other.loop_), watch_(std::exchange(other.watch_, 0)) {}
  Watch& operator=(Watch&& other) noexcept {
    reset();
    loop_ = other.loop_;
    watch_ = std::exchange(other.watch_, 0);
    return *this;
  }
  ~Watch() { reset(); }
  void change(uint32_t events) {
    if (watch_ != 0) loop_->change(watch_, events);
  }
  void reset() {
    if (watch_ != 0) loop_->unwatch(std::exchange(watch_, 0));
  }
  [[nodiscard]] bool active() const { return watch_ != 0; }

 private:
  EventLoop* loop_ = nullptr;
  uint64_t watch_ = 0;
};

class Timer {
 public:
  Timer() = default;
  Timer(EventLoop& loop, EventLoop::Clock::duration delay, EventLoop::Task task)
      : loop_(&loop), timer_(loop.after(delay, std::move(task))) {}
  Timer(Timer&& other) noexcept : loop_(other.loop_), timer_(std::exchange(other.timer_, 0)) {}
  Timer& operator=(Timer&& other) noexcept {
    reset();
    loop_ = other.loop_;
    timer_ = std::exchange(other.timer_, 0);
    return *this;
  }
  ~Timer() { reset(); }
  void reset() {
    if (timer_ != 0) loop_->cancel(std::exchange(timer_, 0));
  }

 private:
  EventLoop* loop_ = nullptr;
  uint64_t timer_ = 0;
};

}  // namespace adyton::service
