// What a virtio device is to its transport, and the transport to its device.
#pragma once
#include <cstdint>
#include <span>
#include <string_view>

#include "base/guest_memory.h"
#include "observe/trace_source.h"
#include "vmm/virtio/event_loop.h"
#include "vmm/virtio/spec.h"
#include "vmm/virtio/virtqueue.h"

namespace adyton::vmm::virtio {

// The transport's services. loop() and memory() from the start; the others may be called from any thread.
class DeviceHost {
 public:
  virtual ~DeviceHost() = default;
  virtual EventLoop& loop() = 0;
  virtual const GuestMemory& memory() = 0;
  // Raises the "used buffer" interrupt. Devices call signal() instead.
  virtual void raise_used() = 0;
  // The configuration space has changed: bumps ConfigGeneration and interrupts.
  virtual void raise_config_changed() = 0;
  // The driver did something that the device cannot go on from: sets DEVICE_NEEDS_RESET (section 2.1.2).
  virtual void fail_device(std::string_view reason) = 0;
  // The device thread's.
  virtual observe::TraceSource& trace() = 0;
  // Chains were pushed to the queue since this was called last, if traces want to know.
  virtual void trace_done(const Virtqueue& queue) = 0;

  // Interrupts if the driver wants to hear of what was pushed to `queue`. Once at the end of a batch; on the device's thread.
  void signal(Virtqueue& queue) {
    if (trace().wants(observe::TraceCategory::kVirtio)) [[unlikely]]
      trace_done(queue);
    if (queue.should_interrupt()) raise_used();
  }
};

class Device {
 public:
  virtual ~Device() = default;

  [[nodiscard]] virtual DeviceId id() const = 0;
  // For messages and the thread: "virtio-blk".
  [[nodiscard]] virtual std::string_view name() const = 0;
  // Device-specific feature bits (0 to 23); the transport adds the others. Constant.
  [[nodiscard]] virtual uint64_t features() const { return 0; }
  // The largest size of each queue; powers of two. Constant.
  [[nodiscard]] virtual std::span<const uint16_t> queue_sizes() const = 0;

  // The device-specific configuration space: on vCPU threads, one at a time. Bytes beyond the structure read as zero; `out` is
  // zeroed beforehand. Writes to what the driver may not write are ignored.
  virtual void read_config(uint64_t offset, std::span<uint8_t> out) const {
    static_cast<void>(offset);
    static_cast<void>(out);
  }
  virtual void write_config(uint64_t offset, std::span<const uint8_t> data) {
    static_cast<void>(offset);
    static_cast<void>(data);
  }

  // Called once, before anything else that involves the host. `host` outlives the device's last call.
  void attach(DeviceHost& host) {
    host_ = &host;
    attached();
  }

  // The rest on the device's thread. activate(): the driver set DRIVER_OK; `queues` has one entry per queue (those that the
  // driver did not set up are disabled) and stays valid until reset(). Every enabled queue is notified once afterwards.
  virtual void activate(uint64_t driver_features, std::span<Virtqueue> queues) = 0;
  // The driver may have made buffers available in queue `index`.
  virtual void queue_notified(uint16_t index) = 0;
  // Forget the queues and every request; back to the state before activate(). Also called on a device that is not active.
  virtual void reset() = 0;

 protected:
  [[nodiscard]] DeviceHost& host() const { return *host_; }
  // host() is there now.
  virtual void attached() {}

 private:
  DeviceHost* host_ = nullptr;
};

// Serves a read of a configuration space that is the bytes of `config`.
template <typename T>
void read_config_object(const T& config, uint64_t offset, std::span<uint8_t> out) {
  if (offset >= sizeof(T)) return;
  const size_t count = out.size() < sizeof(T) - offset ? out.size() : sizeof(T) - offset;
  std::memcpy(out.data(), reinterpret_cast<const uint8_t*>(&config) + offset, count);
}

}  // namespace adyton::vmm::virtio
