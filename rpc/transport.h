// A stream of bytes to a peer, as a session sees it: a socket, with file descriptors if it is a Unix one, or TLS over a socket.
#pragma once
#include <sys/uio.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"

namespace adyton::rpc {

inline constexpr size_t kMaxFdsPerMessage = 253;  // SCM_MAX_FD of Linux

// Threading: send() and receive() by one thread at a time (the connection's owner); shutdown() and fd() by any thread at any
// time.
class Transport {
 public:
  // Asked while a send waits for room: the peer may itself be waiting for us to read before it reads.
  class Drain {
   public:
    // Whether to be told of input; asked before each wait.
    virtual bool wants_input() = 0;
    // Reads, without waiting, what is there.
    virtual Result<> on_input() = 0;

   protected:
    ~Drain() = default;
  };

  virtual ~Transport() = default;

  // Sends all of `parts`, which are used up; `fds` go along with the first byte (kUnsupported where they cannot). `drain` may be
  // null. kUnavailable if the peer is gone, or has taken nothing for `patience` (zero: forever).
  virtual Result<> send(std::span<iovec> parts, std::span<const UniqueFd> fds, Drain* drain,
                        std::chrono::milliseconds patience) = 0;

  // Sends all of `bytes`, or nothing if there is no room for them now (false).
  virtual Result<bool> try_send(std::span<const uint8_t> bytes, Drain* drain, std::chrono::milliseconds patience) = 0;

  // Receives at least one byte, and the descriptors that came with them if `fds` is given; descriptors are otherwise dropped.
  // Waits for `timeout` at most, forever if that is negative; 0 bytes: nothing came in time. kUnavailable at the end of the
  // stream.
  virtual Result<size_t> receive(std::span<uint8_t> into, std::vector<UniqueFd>* fds, std::chrono::milliseconds timeout) = 0;

  // Ends both directions and wakes whoever waits in send() or receive(); the descriptor stays open.
  virtual void shutdown() = 0;

  // For poll(POLLRDHUP) only.
  [[nodiscard]] virtual int fd() const = 0;
};

inline constexpr std::chrono::milliseconds kForever{-1};

// Over a connected stream socket, which is made blocking (a description that another process shares with O_NONBLOCK works too).
std::unique_ptr<Transport> make_socket_transport(UniqueFd socket);

}  // namespace adyton::rpc
