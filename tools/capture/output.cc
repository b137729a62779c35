#include "tools/capture/output.h"

#include <limits.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

namespace adyton::capture {

Output::Output(UniqueFd fd, int interrupt) : fd_(std::move(fd)), interrupt_(interrupt) {
  struct stat status {};
  if (::fstat(fd_.get(), &status) == 0) waits_ = S_ISFIFO(status.st_mode) || S_ISSOCK(status.st_mode) || ::isatty(fd_.get()) == 1;
  buffer_.reserve(kBuffer);
}

Result<void> Output::write(std::span<const uint8_t> bytes) {
  if (buffer_.size() + bytes.size() > kBuffer) TRY(flush());
  if (bytes.size() >= kBuffer || (!waits_ && bytes.size() >= kLarge)) {
    TRY(flush());
    return write_out(bytes);
  }
  buffer_.insert(buffer_.end(), bytes.begin(), bytes.end());
  return {};
}

Result<void> Output::flush() {
  if (buffer_.empty()) return {};
  auto done = write_out(buffer_);
  buffer_.clear();
  return done;
}

Result<bool> Output::wait_for_room() {
  for (;;) {
    pollfd watched[2] = {{.fd = fd_.get(), .events = POLLOUT, .revents = 0}, {.fd = interrupt_, .events = POLLIN, .revents = 0}};
    if (::poll(watched, 2, -1) < 0) {
      if (errno == EINTR) continue;
      return fail_errno("cannot wait for the capture's reader");
    }
    if (watched[0].revents != 0) return true;  // room, or its end
    if (watched[1].revents != 0) return false;
  }
}

Result<void> Output::write_out(std::span<const uint8_t> bytes) {
  while (!bytes.empty() && !ended_) {
    size_t count = bytes.size();
    if (waits_) {
      if (!TRY(wait_for_room())) {
        ended_ = true;
        return {};
      }
      // What a pipe that has room takes without waiting.
      count = std::min<size_t>(count, PIPE_BUF);
    }
    const ssize_t written = ::write(fd_.get(), bytes.data(), count);
    if (written < 0) {
      if (errno == EINTR || errno == EAGAIN) continue;
      if (errno == EPIPE || errno == ECONNRESET) {
        ended_ = true;
        return {};
      }
      return fail_errno("cannot write the capture");
    }
    bytes = bytes.subspan(static_cast<size_t>(written));
  }
  return {};
}

}  // namespace adyton::capture
