// One thread that waits for file descriptors, timers and posted tasks, and runs their handlers one after the other.
//
// Every virtio device has an event loop and thread of its own (the transport owns both): the device's state belongs to that
// thread and needs no lock, and a disk that stalls does not stop the console. Without start() there is no thread: a test calls
// run_once().
//
// The thread polls for a moment before it sleeps while events follow each other closely (base/adaptive_poll.h): a message's way
// to the guest and back wakes it twice.
//
// Threading: post() and run_sync() from any thread. Everything else on the loop's thread, or anywhere while there is no thread.
// Handlers may add and remove watches and timers, their own included. Every signal is blocked on the thread.
#pragma once
#include <sys/epoll.h>

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "base/adaptive_poll.h"
#include "base/result.h"
#include "base/thread.h"
#include "base/unique_fd.h"

namespace adyton::vmm::virtio {

class EventLoop {
 public:
  using Clock = std::chrono::steady_clock;
  using Now = std::function<Clock::time_point()>;
  using Task = std::function<void()>;
  using FdHandler = std::function<void(uint32_t epoll_events)>;
  using WatchId = uint64_t;  // 0 is never one
  using TimerId = std::pair<Clock::time_point, uint64_t>;

  // `now` lets a test turn the clock by hand.
  static Result<std::unique_ptr<EventLoop>> create(Now now = Clock::now);
  ~EventLoop();
  EventLoop(const EventLoop&) = delete;
  EventLoop& operator=(const EventLoop&) = delete;

  // Starts the thread, named `name` (15 bytes count). stop() runs the tasks that were posted before it and joins.
  Result<void> start(const std::string& name);
  void stop();

  // Runs `task` on the loop's thread later.
  void post(Task task);
  // Runs `task` on the loop's thread and returns when it is done; at once when called there or when there is no thread.
  void run_sync(const Task& task);

  // Calls `handler` when epoll reports one of `events` (EPOLLIN, EPOLLOUT, EPOLLET, ...). Fails with kPermission for an fd that
  // cannot be waited for (a regular file). The fd stays the caller's, and is unwatched before it is closed.
  Result<WatchId> watch(int fd, uint32_t events, FdHandler handler);
  Result<void> rearm(WatchId id, uint32_t events);
  void unwatch(WatchId id);

  TimerId schedule(Clock::duration delay, Task task);
  void cancel(const TimerId& id) { timers_.erase(id); }
  [[nodiscard]] Clock::time_point now() const { return now_(); }

  // Waits up to `timeout_ms` (-1: for ever) for the first event, handles everything that is ready, and returns whether that was
  // anything. For use without a thread.
  bool run_once(int timeout_ms);

 private:
  struct Watch {
    int fd = -1;
    uint32_t generation = 0;  // tells the watches that used one slot apart, also in events fetched before a removal
    FdHandler handler;
  };

  EventLoop(UniqueFd epoll, UniqueFd wake, Now now) : epoll_(std::move(epoll)), wake_(std::move(wake)), now_(std::move(now)) {}
  void run();
  bool run_tasks();
  bool run_timers();
  [[nodiscard]] int wait_timeout(int timeout_ms);
  void wake();
  // What epoll reports within `timeout_ms`: the number of events.
  int wait(std::span<epoll_event> events, int timeout_ms);
  int poll(std::span<epoll_event> events);
  [[nodiscard]] bool on_thread() const { return thread_.get_id() == std::this_thread::get_id(); }
  Watch* find(WatchId id);

  UniqueFd epoll_;
  UniqueFd wake_;
  Now now_;
  std::deque<Watch> watches_;  // stable addresses: a handler may add watches
  std::vector<uint32_t> free_slots_;
  std::vector<FdHandler> removed_;  // handlers that may still be running
  std::map<TimerId, Task> timers_;
  uint64_t next_timer_ = 0;
  std::jthread thread_;
  // On a machine with one processor, whoever polls keeps the others from working. Asked here: later a sandbox may forbid it.
  const bool may_poll_ = available_processors() > 1;
  AdaptivePoll poll_;

  std::mutex mutex_;
  std::condition_variable sync_done_;
  std::vector<Task> tasks_;  // guarded by mutex_
  bool has_thread_ = false;  // guarded by mutex_
  bool stopping_ = false;    // guarded by mutex_
};

}  // namespace adyton::vmm::virtio
