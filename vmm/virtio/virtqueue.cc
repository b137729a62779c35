#include "vmm/virtio/virtqueue.h"

#include <fmt/format.h>

#include <bit>
#include <utility>

#include "vmm/virtio/spec.h"

namespace adyton::vmm::virtio {
namespace {

// Offsets in the available and used rings (sections 2.7.6, 2.7.8): le16 flags, le16 idx, then the ring, then the event field.
constexpr size_t kRingFlags = 0;
constexpr size_t kRingIndex = 2;
constexpr size_t kRingEntries = 4;
constexpr uint32_t kMaxQueueSize = 32768;

template <typename T>
T* field(uint8_t* ring, size_t offset) {
  return reinterpret_cast<T*>(ring + offset);
}

// A stable copy: the barrier keeps the compiler from reading shared memory again where `value` is used.
template <typename T>
T read_once(const uint8_t* from) {
  T value;
  std::memcpy(&value, from, sizeof(value));
  asm volatile("" ::: "memory");
  return value;
}

}  // namespace

Result<void> Virtqueue::enable(const GuestMemory& memory, const VirtqueueLayout& layout, FaultHandler on_fault) {
  disable();
  if (!std::has_single_bit(layout.size) || layout.size > kMaxQueueSize) {
    return fail(ErrorCode::kInvalidArgument, fmt::format("a queue of {} descriptors is not a power of two", layout.size));
  }
  if (layout.descriptors % 16 || layout.avail % 2 || layout.used % 4) {
    return fail(ErrorCode::kInvalidArgument, "the rings of a queue are not aligned");
  }
  const size_t size = layout.size;
  const auto descriptors = memory.slice(layout.descriptors, 16 * size);
  const auto avail = memory.slice(layout.avail, 6 + 2 * size);
  const auto used = memory.slice(layout.used, 6 + 8 * size);
  if (descriptors.empty() || avail.empty() || used.empty()) {
    return fail(ErrorCode::kInvalidArgument, "the rings of a queue are not in guest memory");
  }
  memory_ = &memory;
  layout_ = layout;
  on_fault_ = std::move(on_fault);
  descriptors_ = descriptors.data();
  avail_ = avail.data();
  used_ = used.data();
  next_avail_ = known_avail_ = next_used_ = signalled_used_ = 0;
  return {};
}

void Virtqueue::disable() {
  memory_ = nullptr;
  on_fault_ = nullptr;
}

bool Virtqueue::fault(std::string_view reason) {
  auto on_fault = std::move(on_fault_);
  disable();
  if (on_fault) on_fault(reason);
  return false;
}

bool Virtqueue::has_available() {
  if (!enabled()) return false;
  if (known_avail_ == next_avail_) {
    // Acquire: the ring entries and descriptors up to the index are read after it.
    known_avail_ = __atomic_load_n(field<uint16_t>(avail_, kRingIndex), __ATOMIC_ACQUIRE);
  }
  return known_avail_ != next_avail_;
}

bool Virtqueue::pop(Chain& chain) {
  if (!has_available()) return false;
  if (const uint16_t pending = static_cast<uint16_t>(known_avail_ - next_avail_); pending > layout_.size) {
    return fault(fmt::format("the available index is {} ahead in a queue of {}", pending, layout_.size));
  }
  const size_t slot = next_avail_ & (layout_.size - 1u);
  const uint16_t head = __atomic_load_n(field<uint16_t>(avail_, kRingEntries + 2 * slot), __ATOMIC_RELAXED);
  if (!walk(head, chain)) return false;
  ++next_avail_;
  return true;
}

bool Virtqueue::walk(uint16_t head, Chain& chain) {
  chain.reset(head);
  uint16_t index = head;
  for (uint32_t count = 0; count < layout_.size; ++count) {
    if (index >= layout_.size) return fault(fmt::format("descriptor {} is beyond the queue's {}", index, layout_.size));
    const auto descriptor = read_once<Descriptor>(descriptors_ + size_t{16} * index);
    if (descriptor.flags & kDescIndirect) return walk_indirect(descriptor, chain);
    if (!append(descriptor, chain)) return false;
    if (!(descriptor.flags & kDescNext)) return true;
    index = descriptor.next;
  }
  return fault("a descriptor chain is longer than its queue");
}

bool Virtqueue::walk_indirect(const Descriptor& table, Chain& chain) {
  if (!layout_.indirect) return fault("an indirect descriptor without VIRTIO_F_INDIRECT_DESC");
  if (table.flags & kDescNext) return fault("an indirect descriptor that has a successor");
  const uint32_t entries = table.length / 16;
  if (table.length % 16 || entries == 0 || entries > kMaxIndirectEntries) {
    return fault(fmt::format("an indirect table of {} bytes", table.length));
  }
  const auto bytes = memory_->slice(table.address, table.length);
  if (bytes.empty()) return fault(fmt::format("an indirect table at {:#x} is not in guest memory", table.address));
  uint16_t index = 0;
  for (uint32_t count = 0; count < entries; ++count) {
    if (index >= entries) return fault(fmt::format("indirect descriptor {} is beyond the table's {}", index, entries));
    const auto descriptor = read_once<Descriptor>(bytes.data() + size_t{16} * index);
    if (descriptor.flags & kDescIndirect) return fault("an indirect descriptor inside an indirect table");
    if (!append(descriptor, chain)) return false;
    if (!(descriptor.flags & kDescNext)) return true;
    index = descriptor.next;
  }
  return fault("a chain of indirect descriptors is longer than its table");
}

bool Virtqueue::append(const Descriptor& descriptor, Chain& chain) {
  if (descriptor.length == 0) return true;
  const auto bytes = memory_->slice(descriptor.address, descriptor.length);
  if (bytes.empty()) {
    return fault(fmt::format("a buffer of {} bytes at {:#x} is not in guest memory", descriptor.length, descriptor.address));
  }
  const bool writable = descriptor.flags & kDescWrite;
  // Section 2.7.4.2: device-writable elements come last.
  if (!writable && !chain.writable_.empty()) return fault("a device-readable buffer after a device-writable one");
  if (chain.readable_.size() + chain.writable_.size() == Chain::kMaxSegments) return fault("a chain of too many buffers");
  // Section 2.7.5: a chain is at most 2^32 bytes long; counting in 32 bits needs one less.
  uint32_t& total = writable ? chain.writable_bytes_ : chain.readable_bytes_;
  if (__builtin_add_overflow(total, descriptor.length, &total)) return fault("a chain of more than 4 GiB");
  (writable ? chain.writable_ : chain.readable_).push_back({bytes.data(), bytes.size()});
  return true;
}

void Virtqueue::push(const Chain& chain, uint32_t written) {
  if (!enabled()) return;
  const size_t entry = kRingEntries + 8 * size_t{next_used_ & (layout_.size - 1u)};
  __atomic_store_n(field<uint32_t>(used_, entry), chain.head(), __ATOMIC_RELAXED);
  __atomic_store_n(field<uint32_t>(used_, entry + 4), written, __ATOMIC_RELAXED);
  ++next_used_;
  chains_.add();
  bytes_from_guest_.add(chain.readable_bytes());
  bytes_to_guest_.add(written);
  // Release: the data and the entry are visible before the index that offers them (section 2.7.8.2).
  __atomic_store_n(field<uint16_t>(used_, kRingIndex), next_used_, __ATOMIC_RELEASE);
}

bool Virtqueue::should_interrupt() {
  if (!enabled() || next_used_ == signalled_used_) return false;
  const uint16_t before = std::exchange(signalled_used_, next_used_);
  // The driver writes its event field, then looks at the index once more; the device writes the index, then looks at the event
  // field. One of the two must see the other's store, which takes a full barrier between store and load: both sequentially
  // consistent.
  __atomic_store_n(field<uint16_t>(used_, kRingIndex), next_used_, __ATOMIC_SEQ_CST);
  if (layout_.event_idx) {
    const uint16_t event = __atomic_load_n(field<uint16_t>(avail_, kRingEntries + 2 * size_t{layout_.size}), __ATOMIC_SEQ_CST);
    // Section 2.7.7.2: interrupt when the index moved past the event.
    return static_cast<uint16_t>(next_used_ - event - 1) < static_cast<uint16_t>(next_used_ - before);
  }
  return !(__atomic_load_n(field<uint16_t>(avail_, kRingFlags), __ATOMIC_SEQ_CST) & kAvailNoInterrupt);
}

void Virtqueue::disable_doorbells() {
  // With EVENT_IDX the driver rings only when it passes avail_event: leaving that behind is enough.
  if (enabled() && !layout_.event_idx) __atomic_store_n(field<uint16_t>(used_, kRingFlags), kUsedNoNotify, __ATOMIC_RELAXED);
}

bool Virtqueue::enable_doorbells() {
  if (!enabled()) return false;
  // Store, full barrier, load: see should_interrupt().
  if (layout_.event_idx) {
    __atomic_store_n(field<uint16_t>(used_, kRingEntries + 8 * size_t{layout_.size}), next_avail_, __ATOMIC_SEQ_CST);
  } else {
    __atomic_store_n(field<uint16_t>(used_, kRingFlags), uint16_t{0}, __ATOMIC_SEQ_CST);
  }
  known_avail_ = __atomic_load_n(field<uint16_t>(avail_, kRingIndex), __ATOMIC_SEQ_CST);
  return known_avail_ != next_avail_;
}

}  // namespace adyton::vmm::virtio
