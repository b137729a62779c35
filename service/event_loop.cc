#include "service/event_loop.h"

#include <pthread.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>

namespace adyton::service {

Result<std::unique_ptr<EventLoop>> EventLoop::start() {
  std::unique_ptr<EventLoop> loop(new EventLoop);
  loop->epoll_.reset(::epoll_create1(EPOLL_CLOEXEC));
  if (!loop->epoll_.valid()) return fail_errno("cannot make an epoll instance");
  loop->wake_.reset(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!loop->wake_.valid()) return fail_errno("cannot make an eventfd");
  epoll_event event{.events = EPOLLIN, .data = {.u64 = 0}};
  if (::epoll_ctl(loop->epoll_.get(), EPOLL_CTL_ADD, loop->wake_.get(), &event) != 0)
    return fail_errno("cannot watch an eventfd");
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &before);
  loop->thread_ = std::thread([self = loop.get()] { self->run(); });
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  return loop;
}

EventLoop::~EventLoop() {
  if (!thread_.joinable()) return;
  {
    std::lock_guard lock(mutex_);
    ending_ = true;
  }
  post([] {});
  thread_.join();
  // What the handlers hold may unwatch and cancel when it goes.
  timer_times_.clear();
  const auto timers = std::exchange(timers_, {});
  const auto watched = std::exchange(watched_, {});
}

void EventLoop::post(Task task) {
  {
    std::lock_guard lock(mutex_);
    tasks_.push_back(std::move(task));
  }
  const uint64_t one = 1;
  (void)!::write(wake_.get(), &one, sizeof(one));
}

Result<uint64_t> EventLoop::watch(int fd, uint32_t events, Handler handler) {
  const uint64_t number = next_++;
  epoll_event event{.events = events, .data = {.u64 = number}};
  if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) != 0) {
    if (errno == EPERM) return fail(ErrorCode::kUnsupported, "this kind of descriptor cannot be waited for");
    return fail_errno("cannot watch a descriptor");
  }
  watched_.emplace(number, std::make_shared<Watched>(Watched{.fd = fd, .handler = std::move(handler)}));
  return number;
}

void EventLoop::change(uint64_t watch, uint32_t events) {
  const auto found = watched_.find(watch);
  if (found == watched_.end()) return;
  epoll_event event{.events = events, .data = {.u64 = watch}};
  ::epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, found->second->fd, &event);
}

void EventLoop::unwatch(uint64_t watch) {
  const auto found = watched_.find(watch);
  if (found == watched_.end()) return;
  ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, found->second->fd, nullptr);
  watched_.erase(found);
}

uint64_t EventLoop::after(Clock::duration delay, Task task) {
  const uint64_t number = next_++;
  const auto when = Clock::now() + delay;
  timers_.emplace(std::pair(when, number), std::move(task));
  timer_times_.emplace(number, when);
  return number;
}

void EventLoop::cancel(uint64_t timer) {
  const auto found = timer_times_.find(timer);
  if (found == timer_times_.end()) return;
  timers_.erase({found->second, timer});
  timer_times_.erase(found);
}

int EventLoop::milliseconds_to_next_timer() const {
  if (timers_.empty()) return -1;
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(timers_.begin()->first.first - Clock::now()).count();
  return static_cast<int>(std::clamp<int64_t>(left, 0, 1'000'000'000));
}

void EventLoop::run() {
  ::pthread_setname_np(::pthread_self(), "vms");
  std::array<epoll_event, 64> events;
  for (;;) {
    const int count = ::epoll_wait(epoll_.get(), events.data(), static_cast<int>(events.size()), milliseconds_to_next_timer());
    for (int i = 0; i < count; ++i) {
      const uint64_t number = events[static_cast<size_t>(i)].data.u64;
      if (number == 0) {
        uint64_t ignored = 0;
        (void)!::read(wake_.get(), &ignored, sizeof(ignored));
        continue;
      }
      // An earlier handler of this round may have unwatched it.
      const auto found = watched_.find(number);
      if (found == watched_.end()) continue;
      const auto keep = found->second;
      keep->handler(events[static_cast<size_t>(i)].events);
    }
    run_timers();
    run_tasks();
    std::lock_guard lock(mutex_);
    if (ending_ && tasks_.empty()) return;
  }
}

void EventLoop::run_timers() {
  const auto now = Clock::now();
  while (!timers_.empty() && timers_.begin()->first.first <= now) {
    auto node = timers_.extract(timers_.begin());
    timer_times_.erase(node.key().second);
    node.mapped()();
  }
}

void EventLoop::run_tasks() {
  std::vector<Task> tasks;
  {
    std::lock_guard lock(mutex_);
    tasks.swap(tasks_);
  }
  for (Task& task : tasks) {
    task();
    task = nullptr;  // what it holds goes now, in order
  }
}

}  // namespace adyton::service
