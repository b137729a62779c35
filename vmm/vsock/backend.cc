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
constexpr int kEmptyMessages = 16;   // that are skipped before it is taken for the end

// sendmsg, not writev: it does not raise SIGPIPE. Returns bytes or -errno.
ssize_t send_some(int fd, std::span<const iovec> from) {
  msghdr message{};
  message.msg_iov = const_cast<iovec*>(from.data());
  message.msg_iovlen = std::min(from.size(), kMaxIovecs);
  ssize_t count;
  do { count = ::sendmsg(fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL); } while (count < 0 && errno == EINTR);
  return count < 0 ? -errno : count;
}

// Returns bytes or -errno.
ssize_t receive_some(int fd, msghdr& message, std::span<const iovec> into) {
  message.msg_iov = const_cast<iovec*>(into.data());
  message.msg_iovlen = std::min(into.size(), kMaxIovecs);
  ssize_t count;
  do { count = ::recvmsg(fd, &message, MSG_DONTWAIT); } while (count < 0 && errno == EINTR);
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
  ends_.clear();
  rest_.clear();
  rest_at_ = 0;
  start_ = size_ = messages_ = 0;
}

Backend::Sent Backend::drop() {
  const Sent sent{.taken = size_, .broken = true};
  start_ = size_ = messages_ = 0;
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

Backend::Sent Backend::send(std::span<const iovec> payload, bool end_of_message) {
  size_t total = 0;
  for (const iovec& part : payload) total += part.iov_len;
  if (!open()) return {.taken = static_cast<uint32_t>(total), .broken = true};
  size_t sent = 0;
  if (size_ == 0 && total > 0 && (end_of_message || !seqpacket_)) {
    const ssize_t count = send_some(socket_.get(), payload);
    if (count < 0 && !is_full(count)) return {.taken = static_cast<uint32_t>(total), .broken = true};
    sent = count > 0 ? static_cast<size_t>(count) : 0;
    if (sent == total) return {.taken = static_cast<uint32_t>(sent)};
    if (seqpacket_ && sent > 0) return {.taken = static_cast<uint32_t>(total), .broken = true};  // no Unix socket does that
  }
  const bool had_deliverable = has_deliverable();
  store(payload, sent);
  if (end_of_message) mark_end();
  if (!has_deliverable()) return {.taken = static_cast<uint32_t>(sent)};
  // A message that has just become whole may find room.
  if (seqpacket_ && !had_deliverable) return flush();
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

void Backend::mark_end() {
  if (size_ == 0) return;
  if (ends_.empty()) ends_.resize(capacity_);
  const auto last = static_cast<size_t>((uint64_t{start_} + size_ - 1) % capacity_);
  if (ends_[last]) return;
  ends_[last] = true;
  ++messages_;
}

// The length of the oldest message, which is complete.
uint32_t Backend::first_message() const {
  const auto begin = ends_.begin();
  const auto end = std::find(begin + start_, ends_.end(), true);
  if (end != ends_.end()) return static_cast<uint32_t>(end - begin) - start_ + 1;
  return capacity_ - start_ + static_cast<uint32_t>(std::find(begin, begin + start_, true) - begin) + 1;
}

void Backend::consume(uint32_t bytes) {
  start_ = static_cast<uint32_t>((uint64_t{start_} + bytes) % capacity_);
  size_ -= bytes;
}

Backend::Sent Backend::flush() {
  Sent sent;
  while (has_deliverable()) {
    const uint32_t wanted = seqpacket_ ? first_message() : size_;
    const uint32_t first = std::min(wanted, capacity_ - start_);
    const iovec parts[2] = {{buffer_.get() + start_, first}, {buffer_.get(), wanted - first}};
    const ssize_t count = send_some(socket_.get(), std::span(parts, wanted > first ? 2 : 1));
    if (count < 0) {
      if (is_full(count)) break;
      const Sent dropped = drop();
      return {.taken = sent.taken + dropped.taken, .broken = true};
    }
    if (seqpacket_) {
      ends_[(uint64_t{start_} + wanted - 1) % capacity_] = false;
      --messages_;
    }
    consume(seqpacket_ ? wanted : static_cast<uint32_t>(count));
    sent.taken += seqpacket_ ? wanted : static_cast<uint32_t>(count);
  }
  want_room(has_deliverable());
  return sent;
}

Backend::Sent Backend::drop_unfinished() {
  if (!seqpacket_) return {};
  uint32_t kept = 0;
  for (uint32_t at = size_; messages_ > 0 && at > 0 && kept == 0; --at) {
    if (ends_[(uint64_t{start_} + at - 1) % capacity_]) kept = at;
  }
  const Sent dropped{.taken = size_ - kept};
  size_ = kept;
  return dropped;
}

Backend::Received Backend::receive(std::span<const iovec> into, std::span<uint8_t> overflow, size_t longest) {
  if (!open()) return {.kind = Received::Kind::kEndOfStream};
  if (seqpacket_) return has_rest() ? take_rest(into) : receive_message(into, overflow, longest);
  msghdr message{};
  const ssize_t count = receive_some(socket_.get(), message, into);
  if (count > 0) return {.kind = Received::Kind::kData, .bytes = static_cast<size_t>(count)};
  if (count == 0) return {.kind = Received::Kind::kEndOfStream};
  return {.kind = count == -EAGAIN ? Received::Kind::kNothing : Received::Kind::kBroken};
}

Backend::Received Backend::receive_message(std::span<const iovec> into, std::span<uint8_t> overflow, size_t longest) {
  std::vector<iovec> parts(into.begin(), into.end());
  if (parts.size() >= kMaxIovecs) parts.resize(kMaxIovecs - 1);
  size_t room = 0;
  for (const iovec& part : parts) room += part.iov_len;
  parts.push_back({overflow.data(), overflow.size()});
  msghdr message{};
  ssize_t count = 0;
  // Nothing received is an empty message or the end: after the end there is never anything else.
  for (int i = 0; count == 0 && i < kEmptyMessages; ++i) count = receive_some(socket_.get(), message, parts);
  if (count == 0) {
    pollfd entry{.fd = socket_.get(), .events = POLLRDHUP, .revents = 0};
    if (::poll(&entry, 1, 0) == 1) return {.kind = Received::Kind::kEndOfStream};
    if (watch_) static_cast<void>(loop_->rearm(watch_, wants_room_ ? kEvents | EPOLLOUT : kEvents));  // there may be more
    return {.kind = Received::Kind::kNothing};
  }
  if (count < 0) return {.kind = count == -EAGAIN ? Received::Kind::kNothing : Received::Kind::kBroken};
  const auto bytes = static_cast<size_t>(count);
  if ((message.msg_flags & MSG_TRUNC) || bytes > longest) return {.kind = Received::Kind::kBroken};
  if (bytes > room) rest_.assign(overflow.begin(), overflow.begin() + static_cast<ptrdiff_t>(bytes - room));
  rest_at_ = 0;
  return {.kind = Received::Kind::kData, .bytes = std::min(bytes, room), .end_of_message = bytes <= room};
}

Backend::Received Backend::take_rest(std::span<const iovec> into) {
  Received received{.kind = Received::Kind::kData};
  for (const iovec& part : into) {
    const size_t bytes = std::min(part.iov_len, rest_.size() - rest_at_);
    std::memcpy(part.iov_base, rest_.data() + rest_at_, bytes);
    rest_at_ += bytes;
    received.bytes += bytes;
  }
  received.end_of_message = !has_rest();
  if (received.end_of_message) rest_ = {};
  if (received.end_of_message) rest_at_ = 0;
  return received;
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
