// The host's end of one connection: a Unix socket, and a bounded buffer for what the guest sent and the host has not taken yet.
//
// The buffer is touched only when the socket is full, or a message comes in pieces; otherwise bytes go straight between guest
// memory and the socket. Threading: on the event loop's thread.
#pragma once
#include <sys/uio.h>

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"
#include "vmm/virtio/event_loop.h"
#include "vmm/vsock/packet.h"

namespace adyton::vmm::vsock {

class Backend {
 public:
  // `socket` is SOCK_STREAM or SOCK_SEQPACKET, as `type` says. `capacity`: the most bytes that are ever buffered.
  Backend(UniqueFd socket, uint32_t capacity, PacketType type = PacketType::kStream)
      : socket_(std::move(socket)), seqpacket_(type == PacketType::kSeqpacket), capacity_(capacity) {}
  ~Backend() { close(); }
  Backend(const Backend&) = delete;
  Backend& operator=(const Backend&) = delete;

  // Calls `handler` when the socket becomes readable, hangs up, or has room again for what is buffered: once per change, not per
  // state. A second call replaces the handler.
  Result<void> watch(virtio::EventLoop& loop, virtio::EventLoop::FdHandler handler);
  // The host sees the end of the stream after what it was already given; what is buffered is lost.
  void close();
  [[nodiscard]] bool open() const { return socket_.valid(); }

  // `taken`: bytes that the host took, buffered ones included. `broken`: it does not take any more; the buffer was dropped.
  struct Sent {
    uint32_t taken = 0;
    bool broken = false;
  };
  // Sends `payload`, buffering what does not fit. The caller never lets more than the capacity be outstanding. Of a seqpacket
  // connection the host gets whole messages: the pieces before the last are buffered. Empty messages do not arrive: to the
  // reader of a Unix socket they would be the end.
  Sent send(std::span<const iovec> payload, bool end_of_message = false);
  Sent flush();
  // Forgets the pieces of a message that never got its last one.
  Sent drop_unfinished();
  [[nodiscard]] uint32_t buffered() const { return size_; }
  // What is buffered and the host can be given as soon as it takes it.
  [[nodiscard]] bool has_deliverable() const { return seqpacket_ ? messages_ > 0 : size_ > 0; }

  struct Received {
    enum class Kind : uint8_t { kData, kNothing, kEndOfStream, kBroken } kind = Kind::kNothing;
    size_t bytes = 0;
    bool end_of_message = false;  // of a seqpacket connection: nothing of this message is left
  };
  // `overflow` is for seqpacket: as much of a message as does not fit into `into` goes there and is copied for later calls. A
  // message that does not fit at all is kBroken, and so is one that is longer than `longest`.
  Received receive(std::span<const iovec> into, std::span<uint8_t> overflow = {}, size_t longest = SIZE_MAX);
  // The rest of a message is waiting for receive(), whatever the socket's state.
  [[nodiscard]] bool has_rest() const { return rest_at_ < rest_.size(); }

  // The host's reader sees the end of the stream; its writer fails with EPIPE.
  void shutdown_writing();
  void shutdown_reading();
  // The host closed its end altogether.
  [[nodiscard]] bool hung_up() const;

 private:
  void store(std::span<const iovec> payload, size_t skip);
  void mark_end();
  [[nodiscard]] uint32_t first_message() const;
  void consume(uint32_t bytes);
  void want_room(bool wanted);
  Sent drop();
  Received receive_message(std::span<const iovec> into, std::span<uint8_t> overflow, size_t longest);
  Received take_rest(std::span<const iovec> into);

  UniqueFd socket_;
  const bool seqpacket_;
  virtio::EventLoop* loop_ = nullptr;
  virtio::EventLoop::WatchId watch_ = 0;
  bool wants_room_ = false;

  // A ring, allocated when first needed. Of a seqpacket connection a second one, of bits, marks the last byte of each message, so
  // that a guest's smallest messages cost no more memory than its bytes.
  const uint32_t capacity_;
  std::unique_ptr<uint8_t[]> buffer_;
  std::vector<bool> ends_;
  uint32_t start_ = 0;
  uint32_t size_ = 0;
  uint32_t messages_ = 0;  // complete ones

  // The rest of a message from the host for which the guest had no room.
  std::vector<uint8_t> rest_;
  size_t rest_at_ = 0;
};

}  // namespace adyton::vmm::vsock
