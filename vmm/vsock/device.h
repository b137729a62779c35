// The virtio-vsock device (virtio 1.2 section 5.10): moves packets between the three virtqueues and the muxer.
#pragma once
#include <array>
#include <string_view>
#include <vector>

#include "base/log/rate_limit.h"
#include "vmm/virtio/device.h"
#include "vmm/vsock/capture.h"
#include "vmm/vsock/muxer.h"

namespace adyton::vmm::vsock {

class VsockDevice final : public virtio::Device {
 public:
  static constexpr uint16_t kRxQueue = 0;
  static constexpr uint16_t kTxQueue = 1;
  static constexpr uint16_t kEventQueue = 2;

  // `guest_cid`: 3 to 0xfffffffe.
  explicit VsockDevice(uint64_t guest_cid, const Muxer::Limits& limits = Muxer::Limits())
      : muxer_(guest_cid, limits), slots_(kBatch), chains_(kBatch) {}

  // For listen() and connect(), once the device is in a transport.
  [[nodiscard]] Muxer& muxer() { return muxer_; }
  // For add(), likewise.
  [[nodiscard]] Captures& captures() { return captures_; }

  // Closes every connection on both sides; listeners stay. After a restore (section 5.10.6.7,
  // VIRTIO_VSOCK_EVENT_TRANSPORT_RESET). From any thread.
  void reset_transport();

  [[nodiscard]] virtio::DeviceId id() const override { return virtio::DeviceId::kVsock; }
  [[nodiscard]] std::string_view name() const override { return "virtio-vsock"; }
  [[nodiscard]] uint64_t features() const override { return kFeatureStream | kFeatureSeqpacket; }
  [[nodiscard]] std::span<const uint16_t> queue_sizes() const override { return kQueueSizes; }
  void read_config(uint64_t offset, std::span<uint8_t> out) const override;
  void activate(uint64_t driver_features, std::span<virtio::Virtqueue> queues) override;
  void queue_notified(uint16_t index) override;
  void reset() override;

 private:
  static constexpr uint64_t kFeatureStream = 1;
  static constexpr uint64_t kFeatureSeqpacket = 2;
  static constexpr std::array<uint16_t, 3> kQueueSizes = {256, 256, 16};
  static constexpr size_t kBatch = 64;
  static constexpr size_t kMinBatch = 4;

  void attached() override;
  void schedule_pump();
  void pump();
  bool take_packets();
  bool give_packets();
  void send_event();

  Muxer muxer_;
  Captures captures_{muxer_};
  std::span<virtio::Virtqueue> queues_;
  bool pump_scheduled_ = false;
  bool event_pending_ = false;
  size_t rx_batch_ = kMinBatch;  // buffers to take from the guest at once

  log::RateLimit malformed_limit_;

  // Reused from packet to packet.
  virtio::Chain chain_;
  std::vector<iovec> payload_;
  std::vector<RxSlot> slots_;
  std::vector<virtio::Chain> chains_;
};

}  // namespace adyton::vmm::vsock
