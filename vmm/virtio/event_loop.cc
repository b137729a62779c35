#include "vmm/virtio/event_loop.h"

#include <sched.h>
#include <sys/eventfd.h>

#include <algorithm>
#include <array>

#include "base/thread.h"

namespace adyton::vmm::virtio {
namespace {
constexpr uint64_t kWakeId = 0;

}  // namespace

Result<std::unique_ptr<EventLoop>> EventLoop::create(Now now) {
  UniqueFd epoll(::epoll_create1(EPOLL_CLOEXEC));
  if (!epoll.valid()) return fail_errno("create an epoll descriptor");
  UniqueFd wake(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!wake.valid()) return fail_errno("create an eventfd");
  epoll_event event{.events = EPOLLIN, .data = {.u64 = kWakeId}};
  if (::epoll_ctl(epoll.get(), EPOLL_CTL_ADD, wake.get(), &event) != 0) return fail_errno("watch an eventfd");
  return std::unique_ptr<EventLoop>(new EventLoop(std::move(epoll), std::move(wake), std::move(now)));
}

EventLoop::~EventLoop() { stop(); }

Result<void> EventLoop::start(const std::string& name) {
  {
    const std::lock_guard lock(mutex_);
    if (has_thread_) return fail(ErrorCode::kInvalidArgument, "the event loop runs already");
    has_thread_ = true;
    stopping_ = false;
  }
  auto thread = start_thread(name, [this] { run(); });
  if (!thread) {
    const std::lock_guard lock(mutex_);
    has_thread_ = false;
    return std::unexpected(std::move(thread).error());
  }
  thread_ = std::move(*thread);
  return {};
}

void EventLoop::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake();
  if (thread_.joinable()) thread_.join();
}

void EventLoop::run() {
  for (;;) {
    run_once(-1);
    const std::lock_guard lock(mutex_);
    if (stopping_ && tasks_.empty()) {
      has_thread_ = false;
      return;
    }
  }
}

void EventLoop::wake() {
  const uint64_t one = 1;
  // Fails only when the counter is full, and then the thread is awake anyway.
  [[maybe_unused]] const ssize_t written = ::write(wake_.get(), &one, sizeof(one));
}

void EventLoop::post(Task task) {
  {
    const std::lock_guard lock(mutex_);
    tasks_.push_back(std::move(task));
    if (has_thread_ && on_thread()) return;  // run_once() looks before it waits
  }
  wake();
}

void EventLoop::run_sync(const Task& task) {
  std::unique_lock lock(mutex_);
  if (!has_thread_ || on_thread()) {
    lock.unlock();
    task();
    return;
  }
  bool done = false;
  tasks_.push_back([this, &task, &done] {
    task();
    const std::lock_guard done_lock(mutex_);
    done = true;
    sync_done_.notify_all();
  });
  wake();
  sync_done_.wait(lock, [&done] { return done; });
}

EventLoop::Watch* EventLoop::find(WatchId id) {
  const uint64_t slot = (id & 0xffffffff) - 1;
  if (slot >= watches_.size()) return nullptr;
  Watch& watch = watches_[slot];
  return watch.fd >= 0 && watch.generation == id >> 32 ? &watch : nullptr;
}

Result<EventLoop::WatchId> EventLoop::watch(int fd, uint32_t events, FdHandler handler) {
  if (free_slots_.empty()) {
    watches_.emplace_back();
    free_slots_.push_back(static_cast<uint32_t>(watches_.size() - 1));
  }
  const uint32_t slot = free_slots_.back();
  Watch& watch = watches_[slot];
  const WatchId id = uint64_t{watch.generation} << 32 | (slot + 1);
  epoll_event event{.events = events, .data = {.u64 = id}};
  if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) != 0) return fail_errno("watch a file descriptor");
  free_slots_.pop_back();
  watch.fd = fd;
  watch.handler = std::move(handler);
  return id;
}

Result<void> EventLoop::rearm(WatchId id, uint32_t events) {
  Watch* watch = find(id);
  if (!watch) return fail(ErrorCode::kNotFound, "no such watch");
  epoll_event event{.events = events, .data = {.u64 = id}};
  if (::epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, watch->fd, &event) != 0) return fail_errno("watch a file descriptor");
  return {};
}

void EventLoop::unwatch(WatchId id) {
  Watch* watch = find(id);
  if (!watch) return;
  ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, watch->fd, nullptr);
  watch->fd = -1;
  ++watch->generation;
  removed_.push_back(std::move(watch->handler));
  watch->handler = nullptr;
  free_slots_.push_back(static_cast<uint32_t>(id & 0xffffffff) - 1);
}

EventLoop::TimerId EventLoop::schedule(Clock::duration delay, Task task) {
  const TimerId id{now() + delay, ++next_timer_};
  timers_.emplace(id, std::move(task));
  return id;
}

int EventLoop::wait_timeout(int timeout_ms) {
  {
    const std::lock_guard lock(mutex_);
    if (!tasks_.empty()) return 0;
  }
  if (timers_.empty()) return timeout_ms;
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(timers_.begin()->first.first - now()).count();
  const int timer_ms = static_cast<int>(std::clamp<int64_t>(left, 0, 60'000));
  return timeout_ms < 0 ? timer_ms : std::min(timeout_ms, timer_ms);
}

bool EventLoop::run_timers() {
  bool any = false;
  const auto deadline = now();
  while (!timers_.empty() && timers_.begin()->first.first <= deadline) {
    auto timer = timers_.extract(timers_.begin());
    timer.mapped()();
    any = true;
  }
  return any;
}

bool EventLoop::run_tasks() {
  std::vector<Task> tasks;
  {
    const std::lock_guard lock(mutex_);
    tasks.swap(tasks_);
  }
  for (Task& task : tasks) task();
  return !tasks.empty();
}

int EventLoop::poll(std::span<epoll_event> events) {
  const auto end = Clock::now() + std::chrono::nanoseconds(poll_.window());
  do {
    const int count = ::epoll_wait(epoll_.get(), events.data(), static_cast<int>(events.size()), 0);
    if (count != 0) return count;
    ::sched_yield();  // whoever is to cause the event may need this processor
  } while (Clock::now() < end);
  return 0;
}

int EventLoop::wait(std::span<epoll_event> events, int timeout_ms) {
  if (timeout_ms == 0 || !may_poll_)
    return ::epoll_wait(epoll_.get(), events.data(), static_cast<int>(events.size()), timeout_ms);
  const auto start = Clock::now();
  int count = poll_.window() > 0 ? poll(events) : 0;
  if (count == 0) count = ::epoll_wait(epoll_.get(), events.data(), static_cast<int>(events.size()), timeout_ms);
  poll_.waited(static_cast<uint64_t>(std::chrono::nanoseconds(Clock::now() - start).count()));
  return count;
}

bool EventLoop::run_once(int timeout_ms) {
  std::array<epoll_event, 64> events;
  const int count = wait(events, wait_timeout(timeout_ms));
  bool any = false;
  for (int i = 0; i < count; ++i) {
    const epoll_event event = events[static_cast<size_t>(i)];
    if (event.data.u64 == kWakeId) {
      uint64_t value;
      [[maybe_unused]] const ssize_t got = ::read(wake_.get(), &value, sizeof(value));
      continue;
    }
    if (Watch* watch = find(event.data.u64)) {
      watch->handler(event.events);
      any = true;
    }
  }
  any |= run_timers();
  any |= run_tasks();
  removed_.clear();
  return any;
}

}  // namespace adyton::vmm::virtio
