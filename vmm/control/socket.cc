#include "vmm/control/socket.h"

#include <sys/socket.h>

#include <cerrno>
#include <utility>
#include <cstring>

#include "vmm/control/protocol.h"

namespace adyton::vmm::control {
namespace {

// Takes ownership of every descriptor in the ancillary data, so that nothing leaks whatever the verdict on the packet is.
std::vector<UniqueFd> take_fds(msghdr& message) {
  std::vector<UniqueFd> fds;
  for (cmsghdr* header = CMSG_FIRSTHDR(&message); header != nullptr; header = CMSG_NXTHDR(&message, header)) {
    if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) continue;
    const size_t count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (size_t i = 0; i < count; ++i) {
      int fd = -1;
      std::memcpy(&fd, CMSG_DATA(header) + i * sizeof(int), sizeof(int));
      fds.emplace_back(fd);
    }
  }
  return fds;
}

}  // namespace

Result<std::pair<Socket, Socket>> Socket::pair() {
  int fds[2];
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) != 0) return fail_errno("cannot make a control socket");
  return std::pair(Socket(UniqueFd(fds[0])), Socket(UniqueFd(fds[1])));
}

Result<void> Socket::send(const std::string& text, std::span<const int> fds) {
  if (text.size() > kMaxMessageSize || fds.size() > kMaxFds)
    return fail(ErrorCode::kInvalidArgument, "control message is too big");
  iovec part{.iov_base = const_cast<char*>(text.data()), .iov_len = text.size()};
  alignas(cmsghdr) char ancillary[CMSG_SPACE(kMaxFds * sizeof(int))] = {};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  if (!fds.empty()) {
    message.msg_control = ancillary;
    message.msg_controllen = CMSG_SPACE(fds.size_bytes());
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(fds.size_bytes());
    std::memcpy(CMSG_DATA(header), fds.data(), fds.size_bytes());
  }
  while (::sendmsg(fd_.get(), &message, MSG_NOSIGNAL) < 0) {
    if (errno == EINTR) continue;
    if (errno == EPIPE || errno == ECONNRESET) return fail(ErrorCode::kUnavailable, "the control socket's peer is gone");
    return fail_errno("cannot send a control message");
  }
  return {};
}

Result<Packet> Socket::receive() {
  Packet packet;
  packet.text.resize(kMaxMessageSize);
  iovec part{.iov_base = packet.text.data(), .iov_len = packet.text.size()};
  // One more than is allowed, so that a packet with too many differs from one that found no room.
  alignas(cmsghdr) char ancillary[CMSG_SPACE((kMaxFds + 1) * sizeof(int))] = {};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = ancillary;
  message.msg_controllen = CMSG_LEN((kMaxFds + 1) * sizeof(int));
  ssize_t got = -1;
  bool told = false;
  while ((got = ::recvmsg(fd_.get(), &message, MSG_CMSG_CLOEXEC)) < 0) {
    if (errno == EINTR) continue;
    // A peer that goes without having read all that we sent is an error first, once; then comes what it had sent before.
    if (errno == ECONNRESET && !std::exchange(told, true)) continue;
    if (errno == ECONNRESET) return fail(ErrorCode::kUnavailable, "the control socket's peer is gone");
    return fail_errno("cannot receive a control message");
  }
  packet.fds = take_fds(message);
  if ((message.msg_flags & MSG_TRUNC) != 0 || packet.fds.size() > kMaxFds)
    return fail(ErrorCode::kCorrupt, "a control message is larger than the protocol allows");
  if (got == 0) return fail(ErrorCode::kUnavailable, "the control socket's peer is gone");
  packet.lost_fds = (message.msg_flags & MSG_CTRUNC) != 0;
  packet.text.resize(static_cast<size_t>(got));
  return packet;
}

}  // namespace adyton::vmm::control
