// A guest's vsock driver for tests: keeps the receive queue filled, sends packets as told, and collects what arrives.
#pragma once
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "vmm/virtio/testing/fake_driver.h"
#include "vmm/vsock/device.h"

namespace adyton::vmm::vsock::testing {

inline constexpr uint64_t kGuestCid = 7;

struct Packet {
  PacketHeader header;
  std::vector<uint8_t> payload;
  [[nodiscard]] std::string text() const { return {payload.begin(), payload.end()}; }
};

class FakeGuest {
 public:
  static constexpr uint32_t kBufAlloc = 256 * 1024;

  FakeGuest(const GuestMemory& memory, virtio::testing::FakeDriver& driver, uint32_t rx_buffer_bytes = 4096)
      : memory_(&memory), driver_(&driver), rx_bytes_(rx_buffer_bytes) {}

  // After the driver's initialize(): fills the receive queue with up to `buffers` buffers.
  void post_receive_buffers(size_t buffers = 128);
  void post_event_buffer();

  // Of the type that `type` says.
  [[nodiscard]] PacketHeader header(Op op, uint32_t guest_port, uint32_t host_port, uint32_t len = 0) const;
  // Puts a packet into the transmit queue. False when the queue is full.
  bool send(const PacketHeader& header, std::span<const uint8_t> payload = {});
  bool send(Op op, uint32_t guest_port, uint32_t host_port, std::string_view payload = {}) {
    return send(header(op, guest_port, host_port, static_cast<uint32_t>(payload.size())),
                std::span(reinterpret_cast<const uint8_t*>(payload.data()), payload.size()));
  }
  // Takes finished chains back from both queues, gives new receive buffers, and rings where wanted.
  void poll();
  // The next packet of the host, in order; turns the loop for it when the transport has no thread.
  std::optional<Packet> receive();

  PacketType type = PacketType::kStream;
  // Counted into every header that header() makes.
  uint32_t fwd_cnt = 0;
  uint32_t buf_alloc = kBufAlloc;
  bool refill = true;  // give receive buffers back when they return
  bool has_thread = false;

 private:
  void post(GuestPhysAddr buffer);

  const GuestMemory* memory_;
  virtio::testing::FakeDriver* driver_;
  uint32_t rx_bytes_;
  std::map<uint16_t, GuestPhysAddr> rx_buffers_;  // by head
  std::map<uint16_t, GuestPhysAddr> tx_buffers_;
  std::vector<GuestPhysAddr> tx_free_;
  std::deque<Packet> received_;
};

}  // namespace adyton::vmm::vsock::testing
