// The guest's side of virtio for tests: a driver that sets a device up through its registers as Linux does, and queues that it
// fills in guest memory. What a well-behaved driver does is a method; a hostile test writes to the rings itself.
#pragma once
#include <atomic>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/guest_memory.h"
#include "vmm/irq_line.h"
#include "vmm/virtio/mmio_transport.h"

namespace adyton::vmm::virtio::testing {

class FakeIrq final : public IrqLine {
 public:
  void set(bool level) override {
    if (level && !level_.exchange(true)) ++raised_;
    if (!level) level_ = false;
  }
  [[nodiscard]] bool level() const { return level_; }
  [[nodiscard]] int raised() const { return raised_; }

 private:
  std::atomic<bool> level_ = false;
  std::atomic<int> raised_ = 0;
};

struct Buffer {
  GuestPhysAddr address = 0;
  uint32_t length = 0;
  bool writable = false;
};

class FakeQueue {
 public:
  struct Used {
    uint16_t head;
    uint32_t written;
  };

  FakeQueue(const GuestMemory& memory, uint16_t size, GuestPhysAddr descriptors, GuestPhysAddr avail, GuestPhysAddr used,
            GuestPhysAddr tables);

  // Makes a chain available; nullopt when there are not enough descriptors. `indirect` puts it into a table of its own.
  std::optional<uint16_t> add(std::span<const Buffer> buffers, bool indirect = false);
  // The next chain that the device returned.
  std::optional<Used> take_used();
  // Whether the device wants to hear of what was added since the last call.
  bool doorbell_wanted(bool event_idx);
  // Asks for an interrupt at the next used chain.
  void want_interrupt();
  void set_no_interrupt(bool value);

  [[nodiscard]] size_t free_descriptors() const { return free_.size(); }

  // For hostile tests.
  void write_descriptor(uint16_t index, uint64_t address, uint32_t length, uint16_t flags, uint16_t next);
  void offer(uint16_t head);  // appends to the available ring
  void set_available_index(uint16_t value);
  [[nodiscard]] uint16_t used_index() const;
  [[nodiscard]] uint16_t used_flags() const;
  [[nodiscard]] uint16_t avail_event() const;

  const uint16_t size;
  const GuestPhysAddr descriptors;
  const GuestPhysAddr avail;
  const GuestPhysAddr used;

 private:
  void store_descriptor(GuestPhysAddr at, uint64_t address, uint32_t length, uint16_t flags, uint16_t next);
  template <typename T>
  [[nodiscard]] T* at(GuestPhysAddr address) const;

  const GuestMemory& memory_;
  const GuestPhysAddr tables_;  // one indirect table of 64 entries per descriptor
  std::vector<uint16_t> free_;
  std::vector<std::vector<uint16_t>> chains_;  // by head
  uint16_t next_avail_ = 0;
  uint16_t next_used_ = 0;
  uint16_t kicked_ = 0;
};

class FakeDriver {
 public:
  // Takes memory for rings and buffers from `arena` upwards.
  FakeDriver(const GuestMemory& memory, MmioTransport& transport, GuestPhysAddr arena)
      : memory_(memory), transport_(transport), next_(arena) {}

  uint32_t read32(uint64_t offset);
  void write32(uint64_t offset, uint32_t value);
  template <typename T>
  T config(uint64_t offset) {
    T value{};
    transport_.read(reg::kConfig + offset, std::span(reinterpret_cast<uint8_t*>(&value), sizeof(value)));
    return value;
  }

  [[nodiscard]] uint64_t device_features();
  void write_features(uint64_t features);
  // Section 3.1.1, all steps, with those of `wanted` that the device offers. False when the device refuses.
  bool initialize(uint64_t wanted = ~0ull);
  void set_up_queue(uint16_t index);
  void reset();
  [[nodiscard]] bool needs_reset() { return read32(reg::kStatus) & kStatusNeedsReset; }

  [[nodiscard]] FakeQueue& queue(size_t index) { return *queues_[index]; }
  [[nodiscard]] size_t queue_count() const { return queues_.size(); }
  [[nodiscard]] uint64_t features() const { return features_; }

  // Writes QueueNotify when the device asked for it.
  void kick(uint16_t index);
  void kick_always(uint16_t index) { write32(reg::kQueueNotify, index); }
  // Reads and acknowledges InterruptStatus.
  uint32_t acknowledge();
  // Turns the event loop of a transport without thread until nothing is left to do.
  void settle();

  GuestPhysAddr allocate(uint64_t bytes, uint64_t alignment = 16);
  GuestPhysAddr place(std::span<const uint8_t> bytes);
  [[nodiscard]] std::vector<uint8_t> bytes(GuestPhysAddr address, size_t count) const;

 private:
  const GuestMemory& memory_;
  MmioTransport& transport_;
  GuestPhysAddr next_;
  uint64_t features_ = 0;
  std::vector<std::unique_ptr<FakeQueue>> queues_;
};

// A device in a transport, with memory, interrupt line and driver; no thread.
template <typename D>
struct Bench {
  template <typename... Args>
  explicit Bench(Args&&... args) {
    memory.add_ram(kRam, kRamSize).value();
    auto owned = std::make_unique<D>(std::forward<Args>(args)...);
    device = owned.get();
    transport = MmioTransport::create(memory, irq, std::move(owned), {.now = [this] { return time; }}).value();
    driver = std::make_unique<FakeDriver>(memory, *transport, kRam + 0x10000);
  }
  // Moves the clock of the device's timers.
  void advance(std::chrono::milliseconds by) {
    time += by;
    driver->settle();
  }

  static constexpr GuestPhysAddr kRam = 0x40000000;
  static constexpr uint64_t kRamSize = 64 << 20;
  GuestMemory memory;
  FakeIrq irq;
  EventLoop::Clock::time_point time{};
  D* device = nullptr;
  std::unique_ptr<MmioTransport> transport;
  std::unique_ptr<FakeDriver> driver;
};

// The seed of a random test: ADYTON_TEST_SEED or a fresh one; printed when the test fails.
uint64_t test_seed();

}  // namespace adyton::vmm::virtio::testing
