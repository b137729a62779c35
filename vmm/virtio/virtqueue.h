// The device's side of a split virtqueue (virtio 1.2 section 2.7).
//
// The driver is hostile: ring indices, descriptors and addresses may have any value and may change while they are read. Each
// field is read once; addresses go through GuestMemory; the length of every chain is bounded, so a loop ends. What the
// specification forbids is a fault: it is reported once through the handler that enable() was given, and from then on the queue
// looks empty until it is enabled again (section 2.1.2: the device sets DEVICE_NEEDS_RESET).
//
// Threading: all methods on the device's thread.
#pragma once
#include <cstdint>
#include <functional>
#include <string_view>

#include "base/guest_memory.h"
#include "base/result.h"
#include "base/tally.h"
#include "vmm/virtio/chain.h"

namespace adyton::vmm::virtio {

struct VirtqueueLayout {
  uint16_t size = 0;              // descriptors: a power of two up to 32768
  GuestPhysAddr descriptors = 0;  // 16-byte aligned
  GuestPhysAddr avail = 0;        // 2-byte aligned ("driver area")
  GuestPhysAddr used = 0;         // 4-byte aligned ("device area")
  bool event_idx = false;         // VIRTIO_F_EVENT_IDX was negotiated
  bool indirect = false;          // VIRTIO_F_INDIRECT_DESC was negotiated
};

class Virtqueue {
 public:
  using FaultHandler = std::function<void(std::string_view reason)>;

  // An indirect table may have more entries than the queue: Linux makes such tables when a device's own limits allow them,
  // although section 2.7.5.3.1 forbids it.
  static constexpr uint32_t kMaxIndirectEntries = Chain::kMaxSegments;

  // Starts at index 0 with rings at `layout`. Fails (queue disabled) when they are misaligned or not in memory.
  Result<void> enable(const GuestMemory& memory, const VirtqueueLayout& layout, FaultHandler on_fault);
  void disable();
  [[nodiscard]] bool enabled() const { return memory_ != nullptr; }
  [[nodiscard]] uint16_t size() const { return layout_.size; }

  // Takes the next available chain. False when there is none, or the queue is disabled or faulty.
  bool pop(Chain& chain);
  // True when pop() would find a chain (or a fault).
  bool has_available();
  // Gives back the last `count` chains that were popped and not pushed: pop() will return them again, in order.
  void rewind(uint16_t count) { next_avail_ = static_cast<uint16_t>(next_avail_ - count); }
  // Returns a chain to the driver with `written` bytes filled in; does not interrupt.
  void push(const Chain& chain, uint32_t written);
  // Whether the driver wants an interrupt for what was pushed since the last call. Call once at the end of a batch.
  bool should_interrupt();

  // Doorbell suppression (sections 2.7.7, 2.7.10). A new queue has doorbells enabled. enable_doorbells() returns true when chains
  // are available already: the driver may not ring for those.
  void disable_doorbells();
  [[nodiscard]] bool enable_doorbells();

  // What was given back to the driver since the queue was made, whatever resets there were: chains, and their bytes in each
  // direction. Any thread.
  [[nodiscard]] uint64_t chains() const { return chains_.value(); }
  [[nodiscard]] uint64_t bytes_from_guest() const { return bytes_from_guest_.value(); }
  [[nodiscard]] uint64_t bytes_to_guest() const { return bytes_to_guest_.value(); }

 private:
  struct Descriptor {
    uint64_t address;
    uint32_t length;
    uint16_t flags;
    uint16_t next;
  };
  static_assert(sizeof(Descriptor) == 16);

  bool walk(uint16_t head, Chain& chain);
  bool walk_indirect(const Descriptor& table, Chain& chain);
  bool append(const Descriptor& descriptor, Chain& chain);
  bool fault(std::string_view reason);  // always false

  const GuestMemory* memory_ = nullptr;
  VirtqueueLayout layout_;
  FaultHandler on_fault_;
  const uint8_t* descriptors_ = nullptr;
  uint8_t* avail_ = nullptr;
  uint8_t* used_ = nullptr;
  uint16_t next_avail_ = 0;   // index of the next chain to take
  uint16_t known_avail_ = 0;  // the driver's index as last read
  uint16_t next_used_ = 0;
  uint16_t signalled_used_ = 0;  // next_used_ at the last should_interrupt()
  Tally chains_, bytes_from_guest_, bytes_to_guest_;
};

}  // namespace adyton::vmm::virtio
