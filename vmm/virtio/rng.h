// The virtio entropy device (virtio 1.2 section 5.4): the host kernel's random bytes, at a bounded rate, so that a guest cannot
// keep a host CPU busy with them.
#pragma once
#include <array>
#include <optional>
#include <string_view>

#include "vmm/virtio/device.h"

namespace adyton::vmm::virtio {

class RngDevice final : public Device {
 public:
  struct Options {
    uint64_t bytes_per_second = 1 << 20;
    uint32_t burst_bytes = 64 * 1024;  // what is there after a pause; also the most that one request gets
  };

  RngDevice() : RngDevice(Options()) {}
  explicit RngDevice(const Options& options) : options_(options), tokens_(options.burst_bytes) {}

  [[nodiscard]] DeviceId id() const override { return DeviceId::kEntropy; }
  [[nodiscard]] std::string_view name() const override { return "virtio-rng"; }
  [[nodiscard]] std::span<const uint16_t> queue_sizes() const override { return kQueueSizes; }
  void activate(uint64_t driver_features, std::span<Virtqueue> queues) override;
  void queue_notified(uint16_t index) override;
  void reset() override;

 private:
  static constexpr std::array<uint16_t, 1> kQueueSizes = {64};

  void serve();
  // Waits until `bytes` tokens will be there.
  void wait_for(uint64_t bytes);
  void refill();

  const Options options_;
  Virtqueue* queue_ = nullptr;
  Chain chain_;

  // A token bucket: one token, one byte.
  uint64_t tokens_;
  EventLoop::Clock::time_point refilled_{};
  std::optional<EventLoop::TimerId> timer_;
};

}  // namespace adyton::vmm::virtio
