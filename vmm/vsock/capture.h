// Captures of one guest's vsock packets: copies of what the muxer's tap sees, into the rings of those who asked for it.
//
// A capture never holds up the guest: what its reader is too slow for is dropped and counted (observe/record_ring.h). It ends
// when its reader closes the wake socket. While there is none, the muxer has no tap, and packets cost what they always do.
//
// Threading: bind() before anything else; add() from any thread; the rest happens on the event loop's thread. To be destroyed
// when that runs no more.
#pragma once
#include <cstdint>
#include <list>
#include <span>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"
#include "observe/record_ring.h"
#include "vmm/virtio/event_loop.h"
#include "vmm/vsock/muxer.h"

namespace adyton::vmm::vsock {

struct CaptureFilter {
  std::vector<uint32_t> ports;        // packets from or to one of these; none: all packets
  uint32_t max_payload = UINT32_MAX;  // bytes of each packet's payload to keep
};

class Captures {
 public:
  explicit Captures(Muxer& muxer) : muxer_(muxer) {}
  Captures(const Captures&) = delete;
  Captures& operator=(const Captures&) = delete;

  void bind(virtio::EventLoop& loop) { loop_ = &loop; }

  // Starts a capture into a ring, and returns the reader's end of its wake socket. Packets from then on are in it. kCorrupt for a
  // memory that is no ring, kExhausted when there are observe::kMaxCaptures captures.
  Result<UniqueFd> add(int ring_memory, CaptureFilter filter);

  [[nodiscard]] size_t size() const { return running_.size(); }

 private:
  struct Capture {
    Capture(observe::RecordRing memory, UniqueFd socket, CaptureFilter what)
        : ring(std::move(memory)), wake(std::move(socket)), filter(std::move(what)), writer(ring, wake.get()) {}
    observe::RecordRing ring;
    UniqueFd wake;
    CaptureFilter filter;
    observe::RecordWriter writer;
    virtio::EventLoop::WatchId watch = 0;
  };
  using Handle = std::list<Capture>::iterator;

  Result<void> insert(observe::RecordRing ring, UniqueFd wake, CaptureFilter filter);
  void remove(Handle capture);
  void on_packet(const PacketHeader& header, std::span<const iovec> payload);
  static void record(Capture& capture, uint64_t now, const PacketHeader& header, std::span<const iovec> payload, size_t size);

  Muxer& muxer_;
  virtio::EventLoop* loop_ = nullptr;
  std::list<Capture> running_;
};

}  // namespace adyton::vmm::vsock
