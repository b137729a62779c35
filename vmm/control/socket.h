// A SOCK_SEQPACKET socket that carries control messages and their file descriptors.
#pragma once
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"

namespace adyton::vmm::control {

struct Packet {
  std::string text;
  std::vector<UniqueFd> fds;
  // This process had no room for all descriptors of the packet; those that came are in `fds`, and which they were is not known.
  bool lost_fds = false;
};

// Threading: send() and receive() may run at the same time on different threads; each by one thread at a time.
class Socket {
 public:
  Socket() = default;
  explicit Socket(UniqueFd fd) : fd_(std::move(fd)) {}

  // Two connected sockets, both close-on-exec.
  static Result<std::pair<Socket, Socket>> pair();

  [[nodiscard]] int fd() const { return fd_.get(); }
  [[nodiscard]] bool valid() const { return fd_.valid(); }
  [[nodiscard]] UniqueFd take() { return std::move(fd_); }

  // Blocks until the packet is queued. kUnavailable when the peer is gone. The descriptors stay the caller's.
  Result<void> send(const std::string& text, std::span<const int> fds = {});

  // Blocks until a packet arrives. kUnavailable when the peer is gone, kCorrupt when a packet is larger than the protocol allows.
  // A packet whose descriptors find no room here is no error: whoever asked for it can be told.
  Result<Packet> receive();

 private:
  UniqueFd fd_;
};

}  // namespace adyton::vmm::control
