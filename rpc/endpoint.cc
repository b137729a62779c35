#include "rpc/endpoint.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
// After sys/socket.h, which it needs.
#include <linux/vm_sockets.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

#include "rpc/resolve.h"
#include "rpc/socket_wait.h"
#include "rpc/transport.h"

namespace adyton::rpc {

namespace {

constexpr int kBacklog = 50;  // AOSP's
constexpr int kTries = 5;
constexpr std::chrono::milliseconds kBetweenTries{10};
constexpr size_t kBootstrapMessageSize = 4;

Result<SocketAddress> unix_address(const UnixAddress& address) {
  sockaddr_un name{};
  name.sun_family = AF_UNIX;
  if (address.path.empty() || address.path.size() >= sizeof(name.sun_path)) {
    return fail(ErrorCode::kInvalidArgument, "the path of a socket must have 1 to " + std::to_string(sizeof(name.sun_path) - 1) +
                                                 " bytes: '" + address.path + "'");
  }
  std::memcpy(name.sun_path, address.path.data(), address.path.size());
  const bool abstract = address.path.front() == '@';
  if (abstract) name.sun_path[0] = '\0';
  return SocketAddress::of(name, offsetof(sockaddr_un, sun_path) + address.path.size() + (abstract ? 0 : 1));
}

SocketAddress vsock_address(const VsockAddress& address) {
  sockaddr_vm name{};
  name.svm_family = AF_VSOCK;
  name.svm_cid = address.cid;
  name.svm_port = address.port;
  return SocketAddress::of(name);
}

Result<std::vector<SocketAddress>> resolve(const Endpoint& endpoint, bool listening) {
  return std::visit(
      [listening](const auto& address) -> Result<std::vector<SocketAddress>> {
        using T = std::decay_t<decltype(address)>;
        if constexpr (std::is_same_v<T, UnixAddress>) return std::vector{TRY(unix_address(address))};
        if constexpr (std::is_same_v<T, VsockAddress>) return std::vector{vsock_address(address)};
        if constexpr (std::is_same_v<T, TcpAddress>) return resolve_tcp(address, listening);
      },
      endpoint);
}

void do_not_delay(int socket) {
  const int yes = 1;
  ::setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes));
}

// The errno value, 0 if it is connected.
int connect_within(int socket, const SocketAddress& address, std::chrono::milliseconds timeout) {
  if (address.family() == AF_UNIX) {
    // Without O_NONBLOCK it waits for room in the backlog (unix(7)).
    const auto set_limit = [socket](std::chrono::milliseconds limit) {
      const timeval value{limit.count() / 1000, limit.count() % 1000 * 1000};
      ::setsockopt(socket, SOL_SOCKET, SO_SNDTIMEO, &value, sizeof(value));
    };
    set_limit(timeout);
    int result;
    do { result = ::connect(socket, address.get(), address.size); } while (result != 0 && errno == EINTR);
    const int error = result == 0 ? 0 : errno;
    set_limit(std::chrono::milliseconds{0});
    return error == EAGAIN ? ETIMEDOUT : error;
  }
  // Left non-blocking: the transport sees to that.
  ::fcntl(socket, F_SETFL, ::fcntl(socket, F_GETFL) | O_NONBLOCK);
  if (::connect(socket, address.get(), address.size) == 0) return 0;
  if (errno != EINPROGRESS && errno != EINTR) return errno;
  const auto ready = wait_for(socket, POLLOUT, timeout);
  if (!ready || *ready == 0) return ETIMEDOUT;
  int error = 0;
  socklen_t size = sizeof(error);
  return ::getsockopt(socket, SOL_SOCKET, SO_ERROR, &error, &size) == 0 ? error : errno;
}

Result<UniqueFd> connect_once(const SocketAddress& address, const std::string& name, std::chrono::milliseconds timeout) {
  int error = 0;
  for (int attempt = 0; attempt < kTries; ++attempt) {
    if (attempt > 0) std::this_thread::sleep_for(kBetweenTries);
    UniqueFd socket(::socket(address.family(), SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (!socket.valid()) return fail_errno("cannot make a socket for " + name);
    error = connect_within(socket.get(), address, timeout);
    if (error == 0) {
      if (address.family() == AF_INET || address.family() == AF_INET6) do_not_delay(socket.get());
      return socket;
    }
    if (error != ECONNRESET) break;
  }
  if (error == EACCES || error == EPERM) return fail_errno("cannot connect to " + name, error);
  return fail(ErrorCode::kUnavailable, "cannot connect to " + name + ": " + std::strerror(error));
}

// Makes room for a listener: only a socket that nobody listens on is removed.
Result<> remove_stale(const SocketAddress& address, const std::string& path) {
  struct stat status {};
  if (::lstat(path.c_str(), &status) != 0) return {};
  if (!S_ISSOCK(status.st_mode)) return fail(ErrorCode::kInvalidArgument, "'" + path + "' exists and is not a socket");
  const UniqueFd probe(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!probe.valid()) return fail_errno("cannot make a socket");
  if (::connect(probe.get(), address.get(), address.size) == 0 || errno == EAGAIN) {
    return fail(ErrorCode::kUnavailable, "somebody listens at '" + path + "' already");
  }
  if (errno == ECONNREFUSED && ::unlink(path.c_str()) != 0) return fail_errno("cannot remove the old socket '" + path + "'");
  return {};
}

Result<UniqueFd> listen_at(const SocketAddress& address, const std::string& name) {
  UniqueFd socket(::socket(address.family(), SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!socket.valid()) return fail_errno("cannot make a socket for " + name);
  if (address.family() == AF_INET || address.family() == AF_INET6) {
    const int yes = 1;
    ::setsockopt(socket.get(), SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
  }
  if (::bind(socket.get(), address.get(), address.size) != 0) return fail_errno("cannot bind to " + name);
  return socket;
}

}  // namespace

std::string to_string(const Endpoint& endpoint) {
  return std::visit(
      [](const auto& address) -> std::string {
        using T = std::decay_t<decltype(address)>;
        if constexpr (std::is_same_v<T, UnixAddress>) return "unix:" + address.path;
        if constexpr (std::is_same_v<T, VsockAddress>)
          return "vsock:" + std::to_string(address.cid) + ":" + std::to_string(address.port);
        if constexpr (std::is_same_v<T, TcpAddress>) return "tcp:" + address.host + ":" + std::to_string(address.port);
      },
      endpoint);
}

Result<UniqueFd> connect_to(const Endpoint& endpoint, std::chrono::milliseconds timeout) {
  const std::string name = to_string(endpoint);
  const auto addresses = TRY(resolve(endpoint, false));
  Result<UniqueFd> socket = fail(ErrorCode::kNotFound, "nowhere to connect to");
  for (const auto& address : addresses) {
    socket = connect_once(address, name, timeout);
    if (socket) break;
  }
  return socket;
}

Connector connector_to(Endpoint endpoint, std::chrono::milliseconds timeout) {
  return [endpoint = std::move(endpoint), timeout] { return connect_to(endpoint, timeout); };
}

Connector connector_over(std::shared_ptr<UniqueFd> socket) {
  return [socket = std::move(socket)]() -> Result<UniqueFd> {
    std::array<int, 2> ends;
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) != 0)
      return fail_errno("cannot make a pair of sockets");
    UniqueFd ours(ends[0]);
    const UniqueFd theirs(ends[1]);
    std::array<uint8_t, kBootstrapMessageSize> zeros{};
    iovec bytes{zeros.data(), zeros.size()};
    alignas(cmsghdr) std::array<uint8_t, CMSG_SPACE(sizeof(int))> control{};
    msghdr message{};
    message.msg_iov = &bytes;
    message.msg_iovlen = 1;
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int));
    const int number = theirs.get();
    std::memcpy(CMSG_DATA(header), &number, sizeof(number));
    ssize_t sent;
    do { sent = ::sendmsg(socket->get(), &message, MSG_NOSIGNAL); } while (sent < 0 && errno == EINTR);
    if (sent != static_cast<ssize_t>(zeros.size()))
      return fail(ErrorCode::kUnavailable, "cannot hand a connection to the server");
    return ours;
  };
}

Connector connector_of(UniqueFd socket) {
  return [socket = std::make_shared<UniqueFd>(std::move(socket))]() -> Result<UniqueFd> {
    if (!socket->valid()) return fail(ErrorCode::kUnavailable, "there is only one connection to the server");
    return std::move(*socket);
  };
}

Result<UniqueFd> listen_on(const Endpoint& endpoint, unsigned mode) {
  const std::string name = to_string(endpoint);
  const auto addresses = TRY(resolve(endpoint, true));
  const auto* path = std::get_if<UnixAddress>(&endpoint);
  const bool is_file = path && path->path.front() != '@';
  if (is_file) {
    if (auto removed = remove_stale(addresses.front(), path->path); !removed) return std::unexpected(std::move(removed).error());
  }
  auto socket = TRY(listen_at(addresses.front(), name));
  // Nobody can connect before listen().
  if (is_file && ::chmod(path->path.c_str(), mode) != 0) return fail_errno("cannot set the mode of '" + path->path + "'");
  if (::listen(socket.get(), kBacklog) != 0) return fail_errno("cannot listen on " + name);
  return socket;
}

Result<Endpoint> local_endpoint(int socket) {
  SocketAddress address;
  address.size = sizeof(address.storage);
  if (::getsockname(socket, address.get(), &address.size) != 0) return fail_errno("cannot tell a socket's address");
  switch (address.family()) {
    case AF_UNIX: {
      const auto name = address.as<sockaddr_un>();
      const size_t length = address.size - offsetof(sockaddr_un, sun_path);
      if (length > 0 && name.sun_path[0] == '\0') return UnixAddress{"@" + std::string(name.sun_path + 1, length - 1)};
      return UnixAddress{std::string(name.sun_path, ::strnlen(name.sun_path, length))};
    }
    case AF_VSOCK: {
      const auto name = address.as<sockaddr_vm>();
      return VsockAddress{name.svm_cid, name.svm_port};
    }
    case AF_INET:
    case AF_INET6: {
      std::array<char, INET6_ADDRSTRLEN> host;
      const sockaddr_in v4 = address.as<sockaddr_in>();
      const sockaddr_in6 v6 = address.as<sockaddr_in6>();
      const bool is_v4 = address.family() == AF_INET;
      const void* number = is_v4 ? static_cast<const void*>(&v4.sin_addr) : &v6.sin6_addr;
      if (::inet_ntop(address.family(), number, host.data(), host.size()) == nullptr)
        return fail_errno("cannot tell a socket's address");
      const in_port_t port = is_v4 ? v4.sin_port : v6.sin6_port;
      return TcpAddress{host.data(), ntohs(port)};
    }
    default: return fail(ErrorCode::kUnsupported, "a socket of an unknown family");
  }
}

Caller identify_peer(int socket) {
  Caller caller;
  SocketAddress address;
  address.size = sizeof(address.storage);
  if (::getpeername(socket, address.get(), &address.size) != 0) return caller;
  if (address.family() == AF_UNIX) {
    ucred credentials{};
    socklen_t size = sizeof(credentials);
    if (::getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &credentials, &size) == 0) {
      caller.uid = credentials.uid;
      caller.gid = credentials.gid;
      caller.pid = credentials.pid;
    }
  } else if (address.family() == AF_VSOCK) {
    caller.vsock_cid = address.as<sockaddr_vm>().svm_cid;
  } else if (address.family() == AF_INET || address.family() == AF_INET6) {
    do_not_delay(socket);
  }
  return caller;
}

BootstrapReceiver::BootstrapReceiver(UniqueFd socket) : transport_(make_socket_transport(std::move(socket))) {}

int BootstrapReceiver::fd() const { return transport_->fd(); }

Result<UniqueFd> BootstrapReceiver::receive() {
  std::array<uint8_t, kBootstrapMessageSize> bytes;
  received_ += TRY(transport_->receive(std::span(bytes).first(bytes.size() - received_), &fds_, std::chrono::milliseconds{0}));
  if (received_ < bytes.size()) return UniqueFd();
  received_ = 0;
  if (fds_.size() != 1) return fail(ErrorCode::kCorrupt, "a bootstrap message must bring one socket");
  UniqueFd socket = std::move(fds_.front());
  fds_.clear();
  return socket;
}

}  // namespace adyton::rpc
