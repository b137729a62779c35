#include "guest/init/relay.h"

#include <sys/socket.h>
#include <termios.h>
#include <unistd.h>

#include <cerrno>

namespace adyton::guest {
namespace {

constexpr size_t kBufferSize = size_t{256} << 10;
constexpr int kRoundsPerTurn = 8;

bool would_block(int error) { return error == EAGAIN || error == EWOULDBLOCK || error == EINTR; }

}  // namespace

Relay::Relay(Stream from, Stream to) : from_(std::move(from)), to_(std::move(to)), buffer_(kBufferSize) {}

void Relay::add_poll_entries(std::vector<pollfd>& entries) const {
  if (done_) return;
  if (begin_ < end_) {
    entries.push_back({to_.fd->get(), POLLOUT, 0});
    return;
  }
  entries.push_back({from_.fd->get(), POLLIN, 0});
  // With no events asked for, poll still reports a pipe whose reader has gone (POLLERR) and a socket that is closed (POLLHUP).
  if (to_.kind == StreamKind::kPipe) entries.push_back({to_.fd->get(), 0, 0});
  if (to_.kind == StreamKind::kSocket) entries.push_back({to_.fd->get(), static_cast<short>(peer_half_closed_ ? 0 : POLLRDHUP), 0});
}

void Relay::pump() {
  for (int round = 0; !done_ && round < kRoundsPerTurn; ++round) {
    if (begin_ == end_ && !fill()) break;
    if (!drain()) break;
  }
  if (done_) return;
  if (begin_ == end_ && source_ended_) {
    finish();
  } else if (begin_ == end_ && destination_gone()) {
    abandon();
  }
}

bool Relay::fill() {
  if (source_ended_) return false;
  const ssize_t size = ::read(from_.fd->get(), buffer_.data(), buffer_.size());
  if (size > 0) {
    begin_ = 0;
    end_ = static_cast<size_t>(size);
    return true;
  }
  // Any other error ends the stream as well: a connection that was reset, or a terminal that nobody has open (EIO).
  if (size == 0 || !would_block(errno)) source_ended_ = true;
  return false;
}

bool Relay::drain() {
  while (begin_ < end_) {
    const uint8_t* data = buffer_.data() + begin_;
    const ssize_t size = to_.kind == StreamKind::kSocket ? ::send(to_.fd->get(), data, end_ - begin_, MSG_NOSIGNAL)
                                                         : ::write(to_.fd->get(), data, end_ - begin_);
    if (size < 0) {
      if (!would_block(errno)) abandon();
      return false;
    }
    begin_ += static_cast<size_t>(size);
  }
  return true;
}

bool Relay::destination_gone() {
  pollfd entry{to_.fd->get(), static_cast<short>(to_.kind == StreamKind::kSocket ? POLLRDHUP : 0), 0};
  if (to_.kind == StreamKind::kTerminal || ::poll(&entry, 1, 0) <= 0) return false;
  if ((entry.revents & (POLLERR | POLLHUP | POLLNVAL)) != 0) return true;
  if ((entry.revents & POLLRDHUP) == 0 || peer_half_closed_) return false;
  // The peer has ended its sending side, which it need not use here; does it still receive? An empty send tells.
  peer_half_closed_ = true;
  return ::send(to_.fd->get(), "", 0, MSG_NOSIGNAL) < 0 && !would_block(errno);
}

void Relay::finish() {
  done_ = true;
  switch (to_.kind) {
    case StreamKind::kPipe: to_.fd->reset(); break;
    case StreamKind::kSocket: ::shutdown(to_.fd->get(), SHUT_WR); break;
    case StreamKind::kTerminal: {
      termios settings{};
      if (::tcgetattr(to_.fd->get(), &settings) == 0 && (settings.c_lflag & ICANON) != 0) {
        [[maybe_unused]] const ssize_t written = ::write(to_.fd->get(), &settings.c_cc[VEOF], 1);
      }
      break;
    }
  }
}

void Relay::abandon() {
  done_ = true;
  begin_ = end_ = 0;
  switch (from_.kind) {
    case StreamKind::kPipe: from_.fd->reset(); break;
    case StreamKind::kSocket: ::shutdown(from_.fd->get(), SHUT_RD); break;
    case StreamKind::kTerminal: break;  // the other direction may still use it
  }
  if (to_.kind == StreamKind::kPipe) to_.fd->reset();
}

}  // namespace adyton::guest
