#include "vmm/hybrid/hybrid_socket.h"

#include <fmt/format.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace adyton::vmm::hybrid {
namespace {

constexpr int kBacklog = 128;
constexpr int kEventsAtOnce = 32;
// Of a seqpacket connection, so that the guest's longest message (256 KiB, vmm/vsock/muxer.h) can be sent: unix(7) needs a little
// more, and the kernel doubles what it is given.
constexpr int kSeqpacketSendBuffer = 128 * 1024 + 16;

sockaddr_un address_of(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path.data(), std::min(path.size(), sizeof(address.sun_path) - 1));
  return address;
}

bool same_user(int fd) {
  ucred peer{};
  socklen_t size = sizeof(peer);
  return ::getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 && peer.uid == ::geteuid();
}

Result<UniqueFd> connected_to(const std::string& path, int type) {
  UniqueFd fd(::socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd.valid()) return fail_errno("cannot make a socket");
  const sockaddr_un address = address_of(path);
  if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0) return fd;
  const auto code = errno == ENOENT || errno == ECONNREFUSED ? ErrorCode::kNotFound : ErrorCode::kUnavailable;
  return fail(code, fmt::format("cannot connect to '{}': {}", path, std::strerror(errno)));
}

// What a service that was killed has left behind.
void remove_stale(const std::string& path) {
  struct stat status {};
  if (::lstat(path.c_str(), &status) != 0 || !S_ISSOCK(status.st_mode)) return;
  const auto other = connected_to(path, SOCK_STREAM);
  if (!other && other.error().code == ErrorCode::kNotFound) ::unlink(path.c_str());
}

}  // namespace

Result<std::unique_ptr<HybridSocket>> HybridSocket::listen(const std::string& path, Connect connect) {
  if (path.empty() || path.size() > kMaxPath || path.find('\0') != std::string::npos)
    return fail(ErrorCode::kInvalidArgument,
                fmt::format("the path of a vsock socket has 1 to {} bytes, not {}: '{}'", kMaxPath, path.size(), path));
  std::unique_ptr<HybridSocket> made(new HybridSocket(path, std::move(connect)));
  TRY(made->open());
  return made;
}

Result<void> HybridSocket::open() {
  epoll_.reset(::epoll_create1(EPOLL_CLOEXEC));
  timer_.reset(::timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK));
  listener_.reset(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!epoll_.valid() || !timer_.valid() || !listener_.valid()) return fail_errno("cannot make a vsock socket");
  remove_stale(path_);
  // The file gets this mode less the umask when it is made: nobody else connects in between.
  if (::fchmod(listener_.get(), 0600) != 0) return fail_errno("cannot make a vsock socket");
  const sockaddr_un address = address_of(path_);
  if (::bind(listener_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) {
    if (errno == EADDRINUSE)
      return fail(ErrorCode::kUnavailable, fmt::format("cannot make the vsock socket '{}': something is there already", path_));
    return fail_errno(fmt::format("cannot make the vsock socket '{}'", path_));
  }
  struct stat status {};
  if (::lstat(path_.c_str(), &status) == 0) {
    device_ = status.st_dev;
    inode_ = status.st_ino;
  }
  if (::listen(listener_.get(), kBacklog) != 0) return fail_errno(fmt::format("cannot listen on '{}'", path_));
  epoll_event event{.events = EPOLLIN, .data = {.ptr = &timer_}};
  if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, timer_.get(), &event) != 0) return fail_errno("cannot watch a vsock socket");
  listen_for_clients(true);
  return {};
}

HybridSocket::~HybridSocket() {
  struct stat status {};
  if (inode_ != 0 && ::lstat(path_.c_str(), &status) == 0 && status.st_dev == device_ && status.st_ino == inode_)
    ::unlink(path_.c_str());
}

void HybridSocket::listen_for_clients(bool wanted) {
  if (wanted == listening_) return;
  epoll_event event{.events = EPOLLIN, .data = {.ptr = &listener_}};
  if (::epoll_ctl(epoll_.get(), wanted ? EPOLL_CTL_ADD : EPOLL_CTL_DEL, listener_.get(), &event) == 0) listening_ = wanted;
}

void HybridSocket::step() {
  epoll_event events[kEventsAtOnce];
  const int count = ::epoll_wait(epoll_.get(), events, kEventsAtOnce, 0);
  bool timer = false;
  bool listener = false;
  for (int i = 0; i < count; ++i) {
    void* const what = events[i].data.ptr;
    timer |= what == &timer_;
    listener |= what == &listener_;
    if (what == &timer_ || what == &listener_) continue;
    // It is on the list: whoever leaves it leaves the epoll too, and each has one event.
    const auto client = std::find_if(clients_.begin(), clients_.end(), [&](const Client& c) { return &c == what; });
    if (client != clients_.end()) read(client);
  }
  if (timer) drop_slow();
  if (listener) accept_clients();
  listen_for_clients(clients_.size() < kMaxClients && !starved_);
}

void HybridSocket::accept_clients() {
  while (clients_.size() < kMaxClients) {
    UniqueFd socket(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (!socket.valid()) {
      // Without descriptors the client would be reported for ever: it is looked for again with the next of our timeouts.
      if (errno == EMFILE || errno == ENFILE) {
        starved_ = true;
        arm_timer();
      }
      return;
    }
    if (!same_user(socket.get())) continue;
    clients_.push_back({.socket = std::move(socket), .line = {}, .deadline = Clock::now() + kLineTimeout});
    const auto client = std::prev(clients_.end());
    epoll_event event{.events = EPOLLIN, .data = {.ptr = &*client}};
    if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, client->socket.get(), &event) != 0) {
      clients_.pop_back();
      return;
    }
    if (clients_.size() == 1) arm_timer();
    read(client);  // most have said it already
  }
}

void HybridSocket::read(Clients::iterator client) {
  while (client->line.state() == ConnectLine::State::kIncomplete) {
    char bytes[ConnectLine::kMaxLine];
    // Looked at first, so that what follows the line stays in the socket, for the guest.
    const ssize_t there = ::recv(client->socket.get(), bytes, sizeof(bytes), MSG_PEEK | MSG_DONTWAIT);
    if (there < 0 && errno == EINTR) continue;
    if (there < 0 && errno == EAGAIN) return;
    if (there <= 0) return drop(client);
    const size_t taken = client->line.take({bytes, static_cast<size_t>(there)});
    if (::recv(client->socket.get(), bytes, taken, MSG_DONTWAIT) != static_cast<ssize_t>(taken)) return drop(client);
  }
  if (client->line.state() == ConnectLine::State::kInvalid) return drop(client);
  ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, client->socket.get(), nullptr);
  UniqueFd socket = std::move(client->socket);
  const uint32_t port = client->line.port();
  drop(client);
  connect_(port, std::move(socket));
}

void HybridSocket::drop(Clients::iterator client) {
  clients_.erase(client);
  if (clients_.empty()) arm_timer();
}

void HybridSocket::drop_slow() {
  uint64_t count = 0;
  (void)!::read(timer_.get(), &count, sizeof(count));
  starved_ = false;
  const auto now = Clock::now();
  while (!clients_.empty() && clients_.front().deadline <= now) clients_.pop_front();
  arm_timer();
}

// To the first deadline.
void HybridSocket::arm_timer() {
  itimerspec time{};
  if (!clients_.empty() || starved_) {
    const auto left = clients_.empty() ? kLineTimeout : clients_.front().deadline - Clock::now();
    const auto nanoseconds = std::max<int64_t>(std::chrono::nanoseconds(left).count(), 1);
    time.it_value.tv_sec = nanoseconds / 1'000'000'000;
    time.it_value.tv_nsec = nanoseconds % 1'000'000'000;
  }
  ::timerfd_settime(timer_.get(), 0, &time, nullptr);
}

Result<UniqueFd> HybridSocket::dial(uint32_t port, bool seqpacket) const {
  auto socket = TRY(connected_to(fmt::format("{}_{}", path_, port), seqpacket ? SOCK_SEQPACKET : SOCK_STREAM));
  if (!same_user(socket.get()))
    return fail(ErrorCode::kPermission, fmt::format("the socket '{}_{}' is another user's", path_, port));
  if (seqpacket) ::setsockopt(socket.get(), SOL_SOCKET, SO_SNDBUF, &kSeqpacketSendBuffer, sizeof(kSeqpacketSendBuffer));
  return socket;
}

}  // namespace adyton::vmm::hybrid
