// The host's end of one connection: a stream socket, and a bounded buffer for what the guest sent and the host has not taken yet.
//
// The buffer is touched only when the socket is full; otherwise bytes go straight between guest memory and the socket. Threading:
// on the event loop's thread.
#pragma once
#include <sys/uio.h>

#include <cstdint>
#include <memory>
#include <span>

#include "base/result.h"
#include "base/unique_fd.h"
#include "vmm/virtio/event_loop.h"

namespace adyton::vmm::vsock {

class Backend {
 public:
  // `capacity`: the most bytes that are ever buffered.
  Backend(UniqueFd socket, uint32_t capacity) : socket_(std::move(socket)), capacity_(capacity) {}
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
  // Sends `payload`, buffering what does not fit. The caller never lets more than the capacity be outstanding.
  Sent send(std::span<const iovec> payload);
  Sent flush();
  [[nodiscard]] uint32_t buffered() const { return size_; }

  struct Received {
    enum class Kind : uint8_t { kData, kNothing, kEndOfStream, kBroken } kind = Kind::kNothing;
    size_t bytes = 0;
  };
  Received receive(std::span<const iovec> into);

  // The host's reader sees the end of the stream; its writer fails with EPIPE.
  void shutdown_writing();
  void shutdown_reading();
  // The host closed its end altogether.
  [[nodiscard]] bool hung_up() const;

 private:
  void store(std::span<const iovec> payload, size_t skip);
  void want_room(bool wanted);
  Sent drop();

  UniqueFd socket_;
  virtio::EventLoop* loop_ = nullptr;
  virtio::EventLoop::WatchId watch_ = 0;
  bool wants_room_ = false;

  // A ring, allocated when first needed.
  const uint32_t capacity_;
  std::unique_ptr<uint8_t[]> buffer_;
  uint32_t start_ = 0;
  uint32_t size_ = 0;
};

}  // namespace adyton::vmm::vsock
