#include "rpc/socket_wait.h"

#include <poll.h>

#include <cerrno>

namespace adyton::rpc {

Result<short> wait_for(int fd, short events, std::chrono::milliseconds timeout) {
  pollfd poller{fd, events, 0};
  for (;;) {
    // A signal makes the wait longer, by as much as one timeout; nobody needs it to be exact.
    const int ready = ::poll(&poller, 1, timeout.count() < 0 ? -1 : static_cast<int>(timeout.count()));
    if (ready >= 0) return ready == 0 ? short{0} : poller.revents;
    if (errno != EINTR) return fail_errno("cannot wait for a socket");
  }
}

Result<> wait_for_room(int fd, Transport::Drain* drain, std::chrono::milliseconds patience) {
  const auto timeout = patience.count() > 0 ? patience : kForever;
  const auto start = std::chrono::steady_clock::now();
  for (;;) {
    const bool input = drain && drain->wants_input();
    const short events = TRY(wait_for(fd, static_cast<short>(input ? POLLOUT | POLLIN : POLLOUT), timeout));
    if (input && (events & POLLIN) != 0) {
      if (auto drained = drain->on_input(); !drained) return drained;
    }
    if ((events & ~POLLIN) != 0) return {};
    // Input alone is no sign that the peer takes what we send.
    if (events == 0 || (patience.count() > 0 && std::chrono::steady_clock::now() - start > patience)) {
      return fail(ErrorCode::kUnavailable, "the peer does not read what it is sent");
    }
  }
}

}  // namespace adyton::rpc
