#include "service/payload_connection.h"

#include <sys/epoll.h>
#include <sys/socket.h>

#include <cerrno>

namespace adyton::service {

Result<std::unique_ptr<PayloadConnection>> PayloadConnection::make(EventLoop& loop, UniqueFd stream, Handlers handlers) {
  std::unique_ptr<PayloadConnection> connection(new PayloadConnection(std::move(stream), std::move(handlers)));
  PayloadConnection* self = connection.get();
  connection->watch_ =
      Watch(loop, TRY(loop.watch(self->stream_.get(), EPOLLIN, [self](uint32_t events) { self->on_ready(events); })));
  return connection;
}

Result<void> PayloadConnection::send(const guest::Message& message) {
  const auto bytes = TRY(guest::encode(message));
  if (outgoing_.size() - sent_ + bytes.size() > kMaxOutgoing)
    return fail(ErrorCode::kExhausted, "the guest's init takes no more messages");
  outgoing_.insert(outgoing_.end(), bytes.begin(), bytes.end());
  flush();
  return {};
}

void PayloadConnection::flush() {
  while (sent_ < outgoing_.size()) {
    const ssize_t put = ::send(stream_.get(), outgoing_.data() + sent_, outgoing_.size() - sent_, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (put < 0) break;  // full: the loop says when there is room; gone: reading says so
    sent_ += static_cast<size_t>(put);
  }
  if (sent_ == outgoing_.size() || sent_ > 65536) {
    outgoing_.erase(outgoing_.begin(), outgoing_.begin() + static_cast<ptrdiff_t>(sent_));
    sent_ = 0;
  }
  watch_.change(outgoing_.empty() ? EPOLLIN : EPOLLIN | EPOLLOUT);
}

void PayloadConnection::on_ready(uint32_t events) {
  if ((events & EPOLLOUT) != 0) flush();
  if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) == 0) return;
  // One read for each round: a guest that never stops talking must not keep the other VMs waiting.
  uint8_t buffer[16384];
  const ssize_t got = ::recv(stream_.get(), buffer, sizeof(buffer), MSG_DONTWAIT);
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (got > 0) reader_.append({buffer, static_cast<size_t>(got)});

  // A handler may destroy us, and with us the handlers.
  const auto alive = alive_;
  const Handlers handlers = handlers_;
  for (;;) {
    auto message = reader_.next();
    if (!message) {
      watch_.reset();
      return handlers.ended(std::unexpected(std::move(message).error()));
    }
    if (!*message) break;
    handlers.message(std::move(**message));
    if (!*alive) return;
  }
  if (got > 0) return;
  watch_.reset();
  handlers.ended({});
}

}  // namespace adyton::service
