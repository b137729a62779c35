#include "hypervisor/soft/irqfd_poller.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "base/thread.h"

namespace adyton::hypervisor::soft {
namespace {
constexpr uint64_t kStop = 0;
}

Result<std::unique_ptr<IrqfdPoller>> IrqfdPoller::create(std::function<void(uint32_t)> pulse) {
  UniqueFd epoll(::epoll_create1(EPOLL_CLOEXEC));
  UniqueFd stop(::eventfd(0, EFD_CLOEXEC));
  if (!epoll.valid() || !stop.valid()) return fail_errno("cannot wait for interrupt eventfds");
  epoll_event event{.events = EPOLLIN, .data = {.u64 = kStop}};
  if (::epoll_ctl(epoll.get(), EPOLL_CTL_ADD, stop.get(), &event)) return fail_errno("cannot wait for interrupt eventfds");
  std::unique_ptr<IrqfdPoller> poller(new IrqfdPoller(std::move(pulse), std::move(epoll), std::move(stop)));
  poller->thread_ = TRY(start_thread("irqfd", [poller = poller.get()] { poller->run(); }));
  return poller;
}

IrqfdPoller::IrqfdPoller(std::function<void(uint32_t)> pulse, UniqueFd epoll, UniqueFd stop)
    : pulse_(std::move(pulse)), epoll_(std::move(epoll)), stop_(std::move(stop)) {}

IrqfdPoller::~IrqfdPoller() {
  const uint64_t one = 1;
  [[maybe_unused]] ssize_t written = ::write(stop_.get(), &one, sizeof one);
}

Result<void> IrqfdPoller::add(int eventfd, uint32_t intid) {
  UniqueFd fd(::fcntl(eventfd, F_DUPFD_CLOEXEC, 0));
  if (!fd.valid()) return fail_errno("cannot keep an interrupt's eventfd");
  std::lock_guard lock(mutex_);
  for (const auto& [id, wire] : wires_) {
    if (wire.number == eventfd && wire.intid == intid) {
      return fail(ErrorCode::kInvalidArgument, fmt::format("the eventfd is wired to interrupt {} already", intid));
    }
  }
  epoll_event event{.events = EPOLLIN, .data = {.u64 = next_id_}};
  if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd.get(), &event)) return fail_errno("cannot wait for an interrupt's eventfd");
  wires_.emplace(next_id_++, Wire{eventfd, std::move(fd), intid});
  return {};
}

Result<void> IrqfdPoller::remove(int eventfd, uint32_t intid) {
  std::lock_guard lock(mutex_);
  auto wire = std::ranges::find_if(
      wires_, [&](const auto& entry) { return entry.second.number == eventfd && entry.second.intid == intid; });
  if (wire == wires_.end()) return fail(ErrorCode::kNotFound, fmt::format("no such eventfd is wired to interrupt {}", intid));
  // Explicitly: closing our duplicate leaves the open file in the epoll set.
  ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, wire->second.eventfd.get(), nullptr);
  wires_.erase(wire);
  return {};
}

void IrqfdPoller::run() {
  std::array<epoll_event, 16> events;
  while (true) {
    int count = ::epoll_wait(epoll_.get(), events.data(), static_cast<int>(events.size()), -1);
    if (count < 0 && errno != EINTR) return;
    for (int i = 0; i < count; ++i) {
      uint64_t id = events[static_cast<unsigned>(i)].data.u64;
      if (id == kStop) return;
      // Under the lock, so that remove() is a border.
      std::lock_guard lock(mutex_);
      auto wire = wires_.find(id);
      if (wire == wires_.end()) continue;
      pollfd readable{wire->second.eventfd.get(), POLLIN, 0};
      uint64_t value = 0;
      if (::poll(&readable, 1, 0) == 1 && ::read(readable.fd, &value, sizeof value) == sizeof value) pulse_(wire->second.intid);
    }
  }
}

}  // namespace adyton::hypervisor::soft
