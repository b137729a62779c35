#include "cli/exec_connection.h"

#include <sys/socket.h>

#include <cerrno>

namespace adyton::cli {

Result<void> ExecConnection::send(const guest::Message& message) {
  const auto bytes = TRY(guest::encode(message));
  outgoing_.insert(outgoing_.end(), bytes.begin(), bytes.end());
  flush();
  return {};
}

void ExecConnection::watch(std::vector<pollfd>& polls) const {
  if (ended_) return;
  const short events = sent_ < outgoing_.size() ? POLLIN | POLLOUT : POLLIN;
  polls.push_back({.fd = stream_.get(), .events = events, .revents = 0});
}

Result<std::vector<guest::Message>> ExecConnection::step(std::span<const pollfd> polls) {
  std::vector<guest::Message> messages;
  for (const pollfd& p : polls) {
    if (p.fd != stream_.get() || p.revents == 0) continue;
    flush();
    receive();
  }
  while (auto message = TRY(reader_.next())) messages.push_back(std::move(*message));
  return messages;
}

void ExecConnection::receive() {
  // One read for each poll(): a guest that never stops talking must not keep the user's keys waiting.
  uint8_t buffer[16384];
  const ssize_t got = ::recv(stream_.get(), buffer, sizeof(buffer), MSG_DONTWAIT);
  if (got > 0) {
    reader_.append({buffer, static_cast<size_t>(got)});
  } else if (got == 0 || (errno != EAGAIN && errno != EINTR)) {
    ended_ = true;
  }
}

void ExecConnection::flush() {
  while (sent_ < outgoing_.size()) {
    const ssize_t put = ::send(stream_.get(), outgoing_.data() + sent_, outgoing_.size() - sent_, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (put < 0) return;  // full: poll() will say when; gone: receive() will see it
    sent_ += static_cast<size_t>(put);
  }
  outgoing_.clear();
  sent_ = 0;
}

}  // namespace adyton::cli
