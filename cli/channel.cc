#include "cli/channel.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>

namespace adyton::cli {
namespace {

constexpr size_t kBufferSize = size_t{256} << 10;

// What a blocking pipe or terminal takes without blocking once poll() has said POLLOUT.
constexpr size_t kPromisedBytes = 4096;

bool would_block(int error) { return error == EAGAIN || error == EWOULDBLOCK || error == EINTR; }

short events_of(std::span<const pollfd> polls, int fd, short asked) {
  for (const pollfd& p : polls) {
    if (p.fd == fd && (p.events & asked) != 0) return p.revents;
  }
  return 0;
}

}  // namespace

Result<UniqueFd> open_endpoint(int fd, bool for_reading) {
  struct stat status{};
  if (::fstat(fd, &status) != 0) return fail_errno("cannot use a standard stream");
  if (S_ISFIFO(status.st_mode) || ::isatty(fd) == 1) {
    const int mode = for_reading ? O_RDONLY : O_WRONLY;
    UniqueFd again(::open(fmt::format("/proc/self/fd/{}", fd).c_str(), mode | O_NONBLOCK | O_CLOEXEC | O_NOCTTY));
    if (again.valid()) return again;
  }
  UniqueFd copy(::fcntl(fd, F_DUPFD_CLOEXEC, 3));
  if (!copy.valid()) return fail_errno("cannot use a standard stream");
  return copy;
}

Channel::End Channel::inspect(UniqueFd fd) {
  struct stat status{};
  (void)::fstat(fd.get(), &status);
  const bool socket = S_ISSOCK(status.st_mode);
  const bool never_blocks = socket || S_ISREG(status.st_mode) || (::fcntl(fd.get(), F_GETFL) & O_NONBLOCK) != 0;
  return End{.fd = std::move(fd), .socket = socket, .blocking = !never_blocks};
}

Channel::Channel(std::string name, UniqueFd source, UniqueFd sink)
    : name_(std::move(name)), source_(inspect(std::move(source))), sink_(inspect(std::move(sink))), buffer_(kBufferSize) {}

void Channel::watch(std::vector<pollfd>& polls) const {
  if (finished_) return;
  // A descriptor without a wish is left out: poll() would report its hang-up again and again.
  if (!source_ended_ && end_ < buffer_.size()) polls.push_back({.fd = source_.fd.get(), .events = POLLIN, .revents = 0});
  if (begin_ < end_) polls.push_back({.fd = sink_.fd.get(), .events = POLLOUT, .revents = 0});
}

void Channel::step(std::span<const pollfd> polls) {
  if (finished_) return;
  if (begin_ < end_ && events_of(polls, sink_.fd.get(), POLLOUT) != 0) drain(/*promised=*/true);
  if (finished_) return;
  if (!source_ended_ && end_ < buffer_.size() && events_of(polls, source_.fd.get(), POLLIN) != 0) fill();
  if (finished_) return;
  if (begin_ < end_) drain(/*promised=*/false);
  if (!finished_ && source_ended_ && begin_ == end_) finish();
}

void Channel::fill() {
  uint8_t* at = buffer_.data() + end_;
  const size_t space = buffer_.size() - end_;
  const ssize_t got = source_.socket ? ::recv(source_.fd.get(), at, space, MSG_DONTWAIT) : ::read(source_.fd.get(), at, space);
  if (got > 0) {
    const auto arrived = static_cast<size_t>(got);
    end_ += filter_ ? filter_({at, arrived}) : arrived;
    return;
  }
  if (got < 0 && would_block(errno)) return;
  source_ended_ = true;
  // A peer that is gone and a terminal that hung up (EIO) are ends of the stream.
  if (got < 0 && errno != ECONNRESET && errno != EIO) {
    error_ = fail_errno("cannot read " + name_).error();
    finish();
  }
}

void Channel::drain(bool promised) {
  while (begin_ < end_) {
    size_t size = end_ - begin_;
    if (sink_.blocking) {
      if (!promised) return;
      size = std::min(size, kPromisedBytes);
    }
    const uint8_t* at = buffer_.data() + begin_;
    const ssize_t put =
        sink_.socket ? ::send(sink_.fd.get(), at, size, MSG_DONTWAIT | MSG_NOSIGNAL) : ::write(sink_.fd.get(), at, size);
    if (put < 0) {
      if (would_block(errno)) return;
      if (errno != EPIPE && errno != ECONNRESET) error_ = fail_errno("cannot write " + name_).error();
      return finish();
    }
    begin_ += static_cast<size_t>(put);
    promised = false;
  }
  begin_ = end_ = 0;
}

void Channel::finish() {
  finished_ = true;
  if (sink_.socket) ::shutdown(sink_.fd.get(), SHUT_WR);
  if (source_.socket) ::shutdown(source_.fd.get(), SHUT_RD);
  source_.fd.reset();
  sink_.fd.reset();
  buffer_ = {};
  begin_ = end_ = 0;
}

void Channel::close() {
  if (!finished_) finish();
}

}  // namespace adyton::cli
