#include "vmm/vsock/backend.h"

#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace adyton::vmm::vsock {
namespace {

constexpr uint32_t kEvents = EPOLLIN | EPOLLET;
constexpr size_t kMaxIovecs = 1024;  // IOV_MAX

// sendmsg, not writev: it does not raise SIGPIPE. Returns bytes or -errno.
ssize_t send_some(int fd, std::span<const iovec> from) {
  msghdr message{};
  message.msg_iov = const_cast<iovec*>(from.data());
  message.msg_iovlen = std::min(from.size(), kMaxIovecs);
  ssize_t count;
  do { count = ::sendmsg(fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL); } while (count < 0 && errno == EINTR);
  return count < 0 ? -errno : count;
}

bool is_full(ssize_t result) { return result == -EAGAIN || result == -EWOULDBLOCK || result == -ENOBUFS || result == -ENOMEM; }

}  // namespace

Result<void> Backend::watch(virtio::EventLoop& loop, virtio::EventLoop::FdHandler handler) {
  if (watch_) loop_->unwatch(std::exchange(watch_, 0));
  watch_ = TRY(loop.watch(socket_.get(), wants_room_ ? kEvents | EPOLLOUT : kEvents, std::move(handler)));
  loop_ = &loop;
  return {};
}

void Backend::close() {
  if (watch_) loop_->unwatch(std::exchange(watch_, 0));
  socket_.reset();
  buffer_.reset();
  start_ = size_ = 0;
}

Backend::Sent Backend::drop() {
  const Sent sent{.taken = size_, .broken = true};
  start_ = size_ = 0;
  want_room(false);
  return sent;
}

void Backend::want_room(bool wanted) {
  if (wanted == wants_room_) return;
  wants_room_ = wanted;
  if (!watch_) return;
  // Also reports again whatever is ready now, so that no edge is lost. It cannot fail for a descriptor that is being watched.
  static_cast<void>(loop_->rearm(watch_, wanted ? kEvents | EPOLLOUT : kEvents));
}

Backend::Sent Backend::send(std::span<const iovec> payload) {
  size_t total = 0;
  for (const iovec& part : payload) total += part.iov_len;
  if (!open()) return {.taken = static_cast<uint32_t>(total), .broken = true};
  size_t sent = 0;
  if (size_ == 0) {
    const ssize_t count = send_some(socket_.get(), payload);
    if (count < 0 && !is_full(count)) return {.taken = static_cast<uint32_t>(total), .broken = true};
    sent = count > 0 ? static_cast<size_t>(count) : 0;
    if (sent == total) return {.taken = static_cast<uint32_t>(sent)};
  }
  store(payload, sent);
  want_room(true);
  return {.taken = static_cast<uint32_t>(sent)};
}

void Backend::store(std::span<const iovec> payload, size_t skip) {
  if (!buffer_) buffer_ = std::make_unique_for_overwrite<uint8_t[]>(capacity_);
  for (const iovec& part : payload) {
    const size_t skipped = std::min(skip, part.iov_len);
    skip -= skipped;
    const auto* bytes = static_cast<const uint8_t*>(part.iov_base) + skipped;
    size_t left = std::min<size_t>(part.iov_len - skipped, capacity_ - size_);
    while (left > 0) {
      const uint32_t end = static_cast<uint32_t>((uint64_t{start_} + size_) % capacity_);
      const auto run = static_cast<uint32_t>(std::min<size_t>(left, capacity_ - end));
      std::memcpy(buffer_.get() + end, bytes, run);
      bytes += run;
      left -= run;
      size_ += run;
    }
  }
}

Backend::Sent Backend::flush() {
  Sent sent;
  while (size_ > 0) {
    const uint32_t first = std::min(size_, capacity_ - start_);
    const iovec parts[2] = {{buffer_.get() + start_, first}, {buffer_.get(), size_ - first}};
    const ssize_t count = send_some(socket_.get(), std::span(parts, size_ > first ? 2 : 1));
    if (count < 0) {
      if (is_full(count)) break;
      const Sent dropped = drop();
      return {.taken = sent.taken + dropped.taken, .broken = true};
    }
    const auto bytes = static_cast<uint32_t>(count);
    start_ = static_cast<uint32_t>((uint64_t{start_} + bytes) % capacity_);
    size_ -= bytes;
    sent.taken += bytes;
  }
  if (size_ == 0) want_room(false);
  return sent;
}

Backend::Received Backend::receive(std::span<const iovec> into) {
  if (!open()) return {.kind = Received::Kind::kEndOfStream};
  msghdr message{};
  message.msg_iov = const_cast<iovec*>(into.data());
  message.msg_iovlen = std::min(into.size(), kMaxIovecs);
  ssize_t count;
  do { count = ::recvmsg(socket_.get(), &message, MSG_DONTWAIT); } while (count < 0 && errno == EINTR);
  if (count > 0) return {.kind = Received::Kind::kData, .bytes = static_cast<size_t>(count)};
  if (count == 0) return {.kind = Received::Kind::kEndOfStream};
  if (errno == EAGAIN || errno == EWOULDBLOCK) return {.kind = Received::Kind::kNothing};
  return {.kind = Received::Kind::kBroken};
}

void Backend::shutdown_writing() {
  if (open()) ::shutdown(socket_.get(), SHUT_WR);
}

void Backend::shutdown_reading() {
  if (open()) ::shutdown(socket_.get(), SHUT_RD);
}

bool Backend::hung_up() const {
  if (!open()) return true;
  pollfd entry{.fd = socket_.get(), .events = 0, .revents = 0};
  return ::poll(&entry, 1, 0) == 1 && (entry.revents & (POLLHUP | POLLERR));
}

}  // namespace adyton::vmm::vsock
