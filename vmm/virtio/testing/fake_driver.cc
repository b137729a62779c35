#include "vmm/virtio/testing/fake_driver.h"

#include <cstdlib>
#include <random>
#include <stdexcept>

namespace adyton::vmm::virtio::testing {
namespace {
constexpr uint32_t kTableEntries = 64;
}

template <typename T>
T* FakeQueue::at(GuestPhysAddr address) const {
  return reinterpret_cast<T*>(memory_.slice(address, sizeof(T)).data());
}

FakeQueue::FakeQueue(const GuestMemory& memory, uint16_t queue_size, GuestPhysAddr descriptors_at, GuestPhysAddr avail_at,
                     GuestPhysAddr used_at, GuestPhysAddr tables)
    : size(queue_size),
      descriptors(descriptors_at),
      avail(avail_at),
      used(used_at),
      memory_(memory),
      tables_(tables),
      chains_(queue_size) {
  for (uint16_t i = queue_size; i > 0; --i) free_.push_back(static_cast<uint16_t>(i - 1));
}

void FakeQueue::store_descriptor(GuestPhysAddr place, uint64_t address, uint32_t length, uint16_t flags, uint16_t next) {
  *at<uint64_t>(place) = address;
  *at<uint32_t>(place + 8) = length;
  *at<uint16_t>(place + 12) = flags;
  *at<uint16_t>(place + 14) = next;
}

void FakeQueue::write_descriptor(uint16_t index, uint64_t address, uint32_t length, uint16_t flags, uint16_t next) {
  store_descriptor(descriptors + uint64_t{16} * index, address, length, flags, next);
}

void FakeQueue::offer(uint16_t head) {
  *at<uint16_t>(avail + 4 + uint64_t{2} * (next_avail_ % size)) = head;
  ++next_avail_;
  set_available_index(next_avail_);
}

void FakeQueue::set_available_index(uint16_t value) {
  next_avail_ = value;
  __atomic_store_n(at<uint16_t>(avail + 2), value, __ATOMIC_SEQ_CST);
}

uint16_t FakeQueue::used_index() const { return __atomic_load_n(at<uint16_t>(used + 2), __ATOMIC_ACQUIRE); }
uint16_t FakeQueue::used_flags() const { return __atomic_load_n(at<uint16_t>(used), __ATOMIC_SEQ_CST); }
uint16_t FakeQueue::avail_event() const { return __atomic_load_n(at<uint16_t>(used + 4 + uint64_t{8} * size), __ATOMIC_SEQ_CST); }

std::optional<uint16_t> FakeQueue::add(std::span<const Buffer> buffers, bool indirect) {
  const size_t needed = indirect ? 1 : buffers.size();
  if (buffers.empty() || free_.size() < needed || (indirect && buffers.size() > kTableEntries)) return std::nullopt;
  std::vector<uint16_t> chain;
  for (size_t i = 0; i < needed; ++i) {
    chain.push_back(free_.back());
    free_.pop_back();
  }
  const uint16_t head = chain.front();
  const GuestPhysAddr table = tables_ + uint64_t{16} * kTableEntries * head;
  for (size_t i = 0; i < buffers.size(); ++i) {
    const bool last = i + 1 == buffers.size();
    const uint16_t flags = static_cast<uint16_t>((buffers[i].writable ? kDescWrite : 0) | (last ? 0 : kDescNext));
    const uint16_t next = last ? uint16_t{0} : indirect ? static_cast<uint16_t>(i + 1) : chain[i + 1];
    store_descriptor(indirect ? table + 16 * i : descriptors + uint64_t{16} * chain[i], buffers[i].address, buffers[i].length,
                     flags, next);
  }
  if (indirect) write_descriptor(head, table, static_cast<uint32_t>(16 * buffers.size()), kDescIndirect, 0);
  chains_[head] = std::move(chain);
  offer(head);
  return head;
}

std::optional<FakeQueue::Used> FakeQueue::take_used() {
  if (used_index() == next_used_) return std::nullopt;
  const GuestPhysAddr entry = used + 4 + uint64_t{8} * (next_used_ % size);
  const Used result{static_cast<uint16_t>(__atomic_load_n(at<uint32_t>(entry), __ATOMIC_RELAXED)),
                    __atomic_load_n(at<uint32_t>(entry + 4), __ATOMIC_RELAXED)};
  ++next_used_;
  if (result.head >= size || chains_[result.head].empty())
    throw std::logic_error("the device returned a chain that it does not have");
  free_.insert(free_.end(), chains_[result.head].rbegin(), chains_[result.head].rend());
  chains_[result.head].clear();
  return result;
}

bool FakeQueue::doorbell_wanted(bool event_idx) {
  const uint16_t before = std::exchange(kicked_, next_avail_);
  if (before == next_avail_) return false;
  if (!event_idx) return !(used_flags() & kUsedNoNotify);
  return static_cast<uint16_t>(next_avail_ - avail_event() - 1) < static_cast<uint16_t>(next_avail_ - before);
}

void FakeQueue::want_interrupt() { __atomic_store_n(at<uint16_t>(avail + 4 + uint64_t{2} * size), next_used_, __ATOMIC_SEQ_CST); }
void FakeQueue::set_no_interrupt(bool value) {
  __atomic_store_n(at<uint16_t>(avail), value ? kAvailNoInterrupt : uint16_t{0}, __ATOMIC_SEQ_CST);
}

uint32_t FakeDriver::read32(uint64_t offset) {
  uint32_t value = 0;
  transport_.read(offset, std::span(reinterpret_cast<uint8_t*>(&value), sizeof(value)));
  return value;
}

void FakeDriver::write32(uint64_t offset, uint32_t value) {
  transport_.write(offset, std::span(reinterpret_cast<const uint8_t*>(&value), sizeof(value)));
}

uint64_t FakeDriver::device_features() {
  write32(reg::kDeviceFeaturesSel, 1);
  const uint64_t high = read32(reg::kDeviceFeatures);
  write32(reg::kDeviceFeaturesSel, 0);
  return high << 32 | read32(reg::kDeviceFeatures);
}

void FakeDriver::write_features(uint64_t features) {
  features_ = features;
  write32(reg::kDriverFeaturesSel, 1);
  write32(reg::kDriverFeatures, static_cast<uint32_t>(features >> 32));
  write32(reg::kDriverFeaturesSel, 0);
  write32(reg::kDriverFeatures, static_cast<uint32_t>(features));
}

void FakeDriver::reset() {
  write32(reg::kStatus, 0);
  queues_.clear();
}

bool FakeDriver::initialize(uint64_t wanted) {
  if (read32(reg::kMagicValue) != kMagic || read32(reg::kVersion) != 2 || read32(reg::kDeviceId) == 0) return false;
  reset();
  write32(reg::kStatus, kStatusAcknowledge);
  write32(reg::kStatus, kStatusAcknowledge | kStatusDriver);
  write_features(device_features() & wanted);
  const uint32_t status = kStatusAcknowledge | kStatusDriver | kStatusFeaturesOk;
  write32(reg::kStatus, status);
  if (!(read32(reg::kStatus) & kStatusFeaturesOk)) return false;
  for (uint16_t i = 0; i < transport_.queue_count(); ++i) set_up_queue(i);
  write32(reg::kStatus, status | kStatusDriverOk);
  settle();
  return read32(reg::kStatus) == (status | kStatusDriverOk);
}

void FakeDriver::set_up_queue(uint16_t index) {
  write32(reg::kQueueSel, index);
  const auto size = static_cast<uint16_t>(read32(reg::kQueueNumMax));
  write32(reg::kQueueNum, size);
  // In braces, the order of evaluation is the order of writing.
  queues_.push_back(std::unique_ptr<FakeQueue>(
      new FakeQueue{memory_, size, allocate(uint64_t{16} * size, 4096), allocate(6 + uint64_t{2} * size, 4096),
                    allocate(6 + uint64_t{8} * size, 4096), allocate(uint64_t{16} * kTableEntries * size)}));
  const FakeQueue& added = *queues_.back();
  for (const GuestPhysAddr ring : {added.descriptors, added.avail, added.used}) {
    const auto zero = memory_.slice(ring, 4096);
    std::fill(zero.begin(), zero.end(), uint8_t{0});
  }
  write32(reg::kQueueDescLow, static_cast<uint32_t>(added.descriptors));
  write32(reg::kQueueDescHigh, static_cast<uint32_t>(added.descriptors >> 32));
  write32(reg::kQueueDriverLow, static_cast<uint32_t>(added.avail));
  write32(reg::kQueueDriverHigh, static_cast<uint32_t>(added.avail >> 32));
  write32(reg::kQueueDeviceLow, static_cast<uint32_t>(added.used));
  write32(reg::kQueueDeviceHigh, static_cast<uint32_t>(added.used >> 32));
  write32(reg::kQueueReady, 1);
}

void FakeDriver::kick(uint16_t index) {
  if (queue(index).doorbell_wanted(features_ & kFeatureEventIdx)) kick_always(index);
}

uint32_t FakeDriver::acknowledge() {
  const uint32_t bits = read32(reg::kInterruptStatus);
  write32(reg::kInterruptAck, bits);
  return bits;
}

void FakeDriver::settle() {
  for (int quiet = 0; quiet < 2;) quiet = transport_.loop().run_once(0) ? 0 : quiet + 1;
}

GuestPhysAddr FakeDriver::allocate(uint64_t bytes, uint64_t alignment) {
  next_ = (next_ + alignment - 1) / alignment * alignment;
  const GuestPhysAddr address = next_;
  next_ += bytes;
  if (memory_.slice(address, bytes).size() != bytes) throw std::logic_error("the test's guest memory is too small");
  return address;
}

GuestPhysAddr FakeDriver::place(std::span<const uint8_t> bytes) {
  const GuestPhysAddr address = allocate(bytes.size());
  if (!bytes.empty()) memory_.write(address, bytes).value();
  return address;
}

std::vector<uint8_t> FakeDriver::bytes(GuestPhysAddr address, size_t count) const {
  std::vector<uint8_t> result(count);
  if (count > 0) memory_.read(address, result).value();
  return result;
}

uint64_t test_seed() {
  if (const char* text = std::getenv("ADYTON_TEST_SEED")) return std::strtoull(text, nullptr, 0);
  return std::random_device()();
}

}  // namespace adyton::vmm::virtio::testing
