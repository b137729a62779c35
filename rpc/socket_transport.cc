#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include "rpc/socket_wait.h"
#include "rpc/transport.h"

namespace adyton::rpc {

namespace {

constexpr size_t kControlSize = CMSG_SPACE(kMaxFdsPerMessage * sizeof(int));

std::unexpected<Error> closed() { return fail(ErrorCode::kUnavailable, "the peer has closed the connection"); }

std::unexpected<Error> broken(const char* what, int errnum) {
  return fail(ErrorCode::kUnavailable, std::string(what) + ": " + std::strerror(errnum));
}

// Takes `count` sent bytes off the front of `parts`.
std::span<iovec> take_front(std::span<iovec> parts, size_t count) {
  while (!parts.empty() && count >= parts.front().iov_len) {
    count -= parts.front().iov_len;
    parts = parts.subspan(1);
  }
  if (count > 0) {
    parts.front().iov_base = static_cast<uint8_t*>(parts.front().iov_base) + count;
    parts.front().iov_len -= count;
  }
  return parts;
}

class SocketTransport final : public Transport {
 public:
  explicit SocketTransport(UniqueFd socket) : socket_(std::move(socket)) {
    const int flags = ::fcntl(socket_.get(), F_GETFL);
    if (flags >= 0 && (flags & O_NONBLOCK) != 0) ::fcntl(socket_.get(), F_SETFL, flags & ~O_NONBLOCK);
  }

  Result<> send(std::span<iovec> parts, std::span<const UniqueFd> fds, Drain* drain,
                std::chrono::milliseconds patience) override {
    if (fds.size() > kMaxFdsPerMessage) return fail(ErrorCode::kInvalidArgument, "too many file descriptors for one message");
    alignas(cmsghdr) std::array<uint8_t, kControlSize> control;
    parts = take_front(parts, 0);
    while (!parts.empty()) {
      msghdr message{};
      message.msg_iov = parts.data();
      message.msg_iovlen = parts.size();
      if (!fds.empty()) put_fds(message, control, fds);
      const ssize_t sent = ::sendmsg(socket_.get(), &message, MSG_NOSIGNAL | MSG_DONTWAIT);
      if (sent >= 0) {
        fds = {};
        parts = take_front(parts, static_cast<size_t>(sent));
      } else if (errno == EAGAIN) {
        if (auto ready = wait_for_room(socket_.get(), drain, patience); !ready) return ready;
      } else if (errno != EINTR) {
        return broken("cannot send", errno);
      }
    }
    return {};
  }

  Result<bool> try_send(std::span<const uint8_t> bytes, Drain* drain, std::chrono::milliseconds patience) override {
    ssize_t sent;
    do {
      sent = ::send(socket_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    } while (sent < 0 && errno == EINTR);
    if (sent < 0 && errno == EAGAIN) return false;
    if (sent < 0) return broken("cannot send", errno);
    iovec rest{const_cast<uint8_t*>(bytes.data()) + sent, bytes.size() - static_cast<size_t>(sent)};
    if (auto done = send(std::span(&rest, 1), {}, drain, patience); !done) return std::unexpected(std::move(done).error());
    return true;
  }

  Result<size_t> receive(std::span<uint8_t> into, std::vector<UniqueFd>* fds, std::chrono::milliseconds timeout) override {
    alignas(cmsghdr) std::array<uint8_t, kControlSize> control;
    const int flags = timeout.count() < 0 ? 0 : MSG_DONTWAIT;
    for (;;) {
      ssize_t received;
      if (fds) {
        iovec part{into.data(), into.size()};
        msghdr message{};
        message.msg_iov = &part;
        message.msg_iovlen = 1;
        message.msg_control = control.data();
        message.msg_controllen = control.size();
        received = ::recvmsg(socket_.get(), &message, flags | MSG_CMSG_CLOEXEC);
        if (received >= 0) {
          take_fds(message, *fds);
          if ((message.msg_flags & MSG_CTRUNC) != 0) return fail(ErrorCode::kExhausted, "file descriptors got lost on the way");
        }
      } else {
        received = ::recv(socket_.get(), into.data(), into.size(), flags);
      }
      if (received > 0) return static_cast<size_t>(received);
      if (received == 0) return closed();
      if (errno == EINTR) continue;
      if (errno != EAGAIN) return broken("cannot receive", errno);
      if (timeout.count() == 0 || TRY(wait_for(socket_.get(), POLLIN, timeout)) == 0) return size_t{0};
    }
  }

  void shutdown() override { ::shutdown(socket_.get(), SHUT_RDWR); }
  [[nodiscard]] int fd() const override { return socket_.get(); }

 private:
  static void put_fds(msghdr& message, std::array<uint8_t, kControlSize>& control, std::span<const UniqueFd> fds) {
    control.fill(0);
    message.msg_control = control.data();
    message.msg_controllen = CMSG_SPACE(fds.size() * sizeof(int));
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(fds.size() * sizeof(int));
    uint8_t* at = CMSG_DATA(header);
    for (const UniqueFd& fd : fds) {
      const int number = fd.get();
      std::memcpy(at, &number, sizeof(number));
      at += sizeof(number);
    }
  }

  static void take_fds(msghdr& message, std::vector<UniqueFd>& fds) {
    for (cmsghdr* header = CMSG_FIRSTHDR(&message); header; header = CMSG_NXTHDR(&message, header)) {
      if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) continue;
      const size_t count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
      for (size_t i = 0; i < count; ++i) {
        int number;
        std::memcpy(&number, CMSG_DATA(header) + i * sizeof(int), sizeof(number));
        fds.emplace_back(number);
      }
    }
  }

  const UniqueFd socket_;
};

}  // namespace

std::unique_ptr<Transport> make_socket_transport(UniqueFd socket) { return std::make_unique<SocketTransport>(std::move(socket)); }

}  // namespace adyton::rpc
