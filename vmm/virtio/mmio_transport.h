// The virtio-mmio register block, version 2 (virtio 1.2 section 4.2), in front of one device.
//
// Threads: the register block is used by vCPU threads under a lock; the device and its queues belong to the thread of the
// transport's event loop. Status writes that activate or reset the device wait for that thread, so that the guest finds the
// device idle when its reset returns (section 2.4.1). Doorbells are eventfds that the loop waits for: a write to QueueNotify
// signals one, and a hypervisor with ioeventfd may signal it without coming here (doorbell_fd).
#pragma once
#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "base/guest_memory.h"
#include "base/log/rate_limit.h"
#include "base/result.h"
#include "base/tally.h"
#include "base/unique_fd.h"
#include "vmm/irq_line.h"
#include "vmm/mmio_device.h"
#include "vmm/virtio/device.h"

namespace adyton::vmm::virtio {

class MmioTransport final : public MmioDevice, private DeviceHost {
 public:
  static constexpr uint64_t kSize = 0x200;  // bytes of address space
  static constexpr uint64_t kQueueNotifyOffset = reg::kQueueNotify;

  struct Options {
    // Offers VIRTIO_F_ACCESS_PLATFORM and insists on it: an isolated guest must reach the device through shared memory only.
    bool access_platform = false;
    EventLoop::Now now = EventLoop::Clock::now;
  };

  // `memory` and `irq` outlive the transport. No thread runs before start().
  static Result<std::unique_ptr<MmioTransport>> create(const GuestMemory& memory, IrqLine& irq, std::unique_ptr<Device> device,
                                                       Options options);
  static Result<std::unique_ptr<MmioTransport>> create(const GuestMemory& memory, IrqLine& irq, std::unique_ptr<Device> device) {
    return create(memory, irq, std::move(device), Options());
  }
  ~MmioTransport() override;

  // Starts the device's thread.
  Result<void> start() { return loop_->start(std::string(device_->name())); }

  void read(uint64_t offset, std::span<uint8_t> data) override;
  void write(uint64_t offset, std::span<const uint8_t> data) override;
  [[nodiscard]] std::string_view name() const override { return device_->name(); }

  // For ioeventfd at kQueueNotifyOffset, 4 bytes wide, datamatch = queue. Valid as long as the transport.
  [[nodiscard]] size_t queue_count() const { return doorbells_.size(); }
  [[nodiscard]] int doorbell_fd(size_t queue) const { return doorbells_[queue].get(); }

  // The thread that the device lives on. Without start(), the caller turns it with run_once().
  [[nodiscard]] EventLoop& loop() override { return *loop_; }
  [[nodiscard]] Device& device() { return *device_; }
  struct Statistics {
    struct Queue {
      uint64_t kicks = 0, chains = 0, bytes_from_guest = 0, bytes_to_guest = 0;
    };
    uint64_t interrupts = 0;
    std::vector<Queue> queues;
  };
  // Since it was made. Any thread.
  [[nodiscard]] Statistics statistics() const;
  // Kicks, what was done, interrupts, and what the device adds. Written by the device's thread.
  [[nodiscard]] observe::TraceSource& trace() override { return trace_; }
  // Why the device needs a reset; empty when it does not.
  [[nodiscard]] std::string fault_reason() const;

 private:
  struct QueueRegisters {
    uint32_t size = 0;
    uint64_t descriptors = 0;
    uint64_t avail = 0;
    uint64_t used = 0;
    bool ready = false;
  };

  MmioTransport(const GuestMemory& memory, IrqLine& irq, std::unique_ptr<Device> device, Options options,
                std::unique_ptr<EventLoop> loop, std::vector<UniqueFd> doorbells);

  // DeviceHost
  const GuestMemory& memory() override { return memory_; }
  void raise_used() override;
  void raise_config_changed() override;
  void fail_device(std::string_view reason) override;
  void trace_done(const Virtqueue& queue) override;

  void raise(uint32_t bits);
  void acknowledge(uint32_t bits);
  [[nodiscard]] uint32_t read_register(uint64_t offset) const;
  void write_register(uint64_t offset, uint32_t value);
  void write_queue_register(uint64_t offset, uint32_t value);
  void write_status(uint32_t value);
  void ring(size_t queue);
  void activate();  // on the loop's thread
  void reset();     // on the loop's thread
  [[nodiscard]] bool features_acceptable() const;

  log::RateLimit fault_limit_;  // a guest can break and reset its device as fast as it likes
  const GuestMemory& memory_;
  IrqLine& irq_;
  const Options options_;
  observe::TraceSource trace_;
  const std::unique_ptr<EventLoop> loop_;
  const std::unique_ptr<Device> device_;
  const std::vector<UniqueFd> doorbells_;
  const uint64_t offered_features_;

  // The registers, under mutex_. activate() and reset() also read and write them, while a vCPU waits for them with the lock held.
  mutable std::mutex mutex_;
  uint32_t device_features_select_ = 0;
  uint32_t driver_features_select_ = 0;
  uint64_t driver_features_ = 0;
  uint32_t queue_select_ = 0;
  std::vector<QueueRegisters> registers_;

  std::atomic<uint32_t> status_ = 0;
  std::atomic<uint32_t> config_generation_ = 0;

  // Interrupt state and line change together.
  mutable std::mutex irq_mutex_;
  uint32_t interrupt_status_ = 0;
  Tally interrupts_;  // added to under irq_mutex_

  mutable std::mutex fault_mutex_;
  std::string fault_reason_;

  // On the loop's thread.
  std::vector<Virtqueue> queues_;  // their number never changes
  std::vector<Tally> kicks_;       // by queue
  std::vector<uint64_t> traced_;   // by queue: chains that a trace has heard of
  std::vector<EventLoop::WatchId> watches_;
};

}  // namespace adyton::vmm::virtio
