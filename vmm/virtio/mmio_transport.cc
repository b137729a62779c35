#include "vmm/virtio/mmio_transport.h"

#include <fmt/format.h>
#include <sys/eventfd.h>

#include <utility>

#include "base/log/logger.h"

namespace adyton::vmm::virtio {
namespace {

constexpr uint32_t kVendor = 0x59444121;  // "!ADY"
constexpr uint32_t kVersion = 2;

const log::Logger kLog("virtio");

void set_low(uint64_t& reg, uint32_t value) { reg = (reg & ~0xffffffffull) | value; }
void set_high(uint64_t& reg, uint32_t value) { reg = (reg & 0xffffffffull) | uint64_t{value} << 32; }

}  // namespace

Result<std::unique_ptr<MmioTransport>> MmioTransport::create(const GuestMemory& memory, IrqLine& irq,
                                                             std::unique_ptr<Device> device, Options options) {
  auto loop = TRY(EventLoop::create(options.now));
  std::vector<UniqueFd> doorbells;
  for (size_t i = 0; i < device->queue_sizes().size(); ++i) {
    UniqueFd fd(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    if (!fd.valid()) return fail_errno("create a doorbell");
    doorbells.push_back(std::move(fd));
  }
  return std::unique_ptr<MmioTransport>(
      new MmioTransport(memory, irq, std::move(device), std::move(options), std::move(loop), std::move(doorbells)));
}

MmioTransport::MmioTransport(const GuestMemory& memory, IrqLine& irq, std::unique_ptr<Device> device, Options options,
                             std::unique_ptr<EventLoop> loop, std::vector<UniqueFd> doorbells)
    : memory_(memory),
      irq_(irq),
      options_(std::move(options)),
      loop_(std::move(loop)),
      device_(std::move(device)),
      doorbells_(std::move(doorbells)),
      offered_features_(device_->features() | kFeatureVersion1 | kFeatureIndirectDesc | kFeatureEventIdx |
                        (options_.access_platform ? kFeatureAccessPlatform : 0)),
      registers_(doorbells_.size()),
      queues_(doorbells_.size()),
      kicks_(doorbells_.size()),
      traced_(doorbells_.size()) {
  device_->attach(*this);
}

MmioTransport::~MmioTransport() {
  loop_->run_sync([this] { reset(); });
  loop_->stop();
}

void MmioTransport::read(uint64_t offset, std::span<uint8_t> data) {
  set_mmio_value(data, 0);
  if (offset >= reg::kConfig) {
    const std::lock_guard lock(mutex_);
    device_->read_config(offset - reg::kConfig, data);
    return;
  }
  // Section 4.2.2.2: control registers are accessed by aligned words only.
  if (data.size() == 4 && offset % 4 == 0) set_mmio_value(data, read_register(offset));
}

uint32_t MmioTransport::read_register(uint64_t offset) const {
  if (offset == reg::kStatus) return status_.load();
  if (offset == reg::kInterruptStatus) {
    const std::lock_guard lock(irq_mutex_);
    return interrupt_status_;
  }
  const std::lock_guard lock(mutex_);
  const bool queue_exists = queue_select_ < registers_.size();
  switch (offset) {
    case reg::kMagicValue: return kMagic;
    case reg::kVersion: return kVersion;
    case reg::kDeviceId: return static_cast<uint32_t>(device_->id());
    case reg::kVendorId: return kVendor;
    case reg::kDeviceFeatures:
      return device_features_select_ < 2 ? static_cast<uint32_t>(offered_features_ >> (32 * device_features_select_)) : 0;
    case reg::kQueueNumMax: return queue_exists ? device_->queue_sizes()[queue_select_] : 0;
    case reg::kQueueReady: return queue_exists && registers_[queue_select_].ready;
    // Section 4.2.2: a shared memory region that does not exist has a length of -1.
    case reg::kShmLenLow:
    case reg::kShmLenHigh:
    case reg::kShmBaseLow:
    case reg::kShmBaseHigh: return 0xffffffff;
    case reg::kConfigGeneration: return config_generation_.load();
    default: return 0;
  }
}

void MmioTransport::write(uint64_t offset, std::span<const uint8_t> data) {
  if (offset >= reg::kConfig) {
    const std::lock_guard lock(mutex_);
    device_->write_config(offset - reg::kConfig, data);
    return;
  }
  if (data.size() != 4 || offset % 4 != 0) return;
  const auto value = static_cast<uint32_t>(mmio_value(data));
  switch (offset) {
    case reg::kQueueNotify:
      if (value < doorbells_.size()) ring(value);
      return;
    case reg::kInterruptAck: acknowledge(value); return;
    default: write_register(offset, value);
  }
}

void MmioTransport::write_register(uint64_t offset, uint32_t value) {
  const std::lock_guard lock(mutex_);
  switch (offset) {
    case reg::kDeviceFeaturesSel: device_features_select_ = value; return;
    case reg::kDriverFeaturesSel: driver_features_select_ = value; return;
    case reg::kDriverFeatures:
      // Section 3.1.1: features are fixed once FEATURES_OK is set.
      if (status_.load() & kStatusFeaturesOk) return;
      if (driver_features_select_ == 0) set_low(driver_features_, value);
      if (driver_features_select_ == 1) set_high(driver_features_, value);
      return;
    case reg::kQueueSel: queue_select_ = value; return;
    case reg::kStatus: write_status(value); return;
    default: write_queue_register(offset, value);
  }
}

void MmioTransport::write_queue_register(uint64_t offset, uint32_t value) {
  if (queue_select_ >= registers_.size()) return;
  QueueRegisters& queue = registers_[queue_select_];
  const bool live = status_.load() & kStatusDriverOk;
  if (offset == reg::kQueueReady) {
    if (value & 1) {
      // A queue starts with the device: Linux and section 3.1.1 set up all queues before DRIVER_OK.
      if (!live) queue.ready = true;
    } else if (queue.ready) {
      queue.ready = false;
      if (live) loop_->run_sync([this] { queues_[queue_select_].disable(); });
    }
    return;
  }
  if (queue.ready || live) return;
  switch (offset) {
    case reg::kQueueNum: queue.size = value; return;
    case reg::kQueueDescLow: set_low(queue.descriptors, value); return;
    case reg::kQueueDescHigh: set_high(queue.descriptors, value); return;
    case reg::kQueueDriverLow: set_low(queue.avail, value); return;
    case reg::kQueueDriverHigh: set_high(queue.avail, value); return;
    case reg::kQueueDeviceLow: set_low(queue.used, value); return;
    case reg::kQueueDeviceHigh: set_high(queue.used, value); return;
    default: return;
  }
}

bool MmioTransport::features_acceptable() const {
  if (driver_features_ & ~offered_features_) return false;
  if (!(driver_features_ & kFeatureVersion1)) return false;
  return !options_.access_platform || (driver_features_ & kFeatureAccessPlatform);
}

void MmioTransport::write_status(uint32_t value) {
  if (value == 0) {
    loop_->run_sync([this] { reset(); });
    return;
  }
  // Section 2.1.1: the driver only ever adds bits; it cannot touch DEVICE_NEEDS_RESET.
  const uint32_t before = status_.load();
  uint32_t added = value & ~before & (kStatusAcknowledge | kStatusDriver | kStatusFeaturesOk | kStatusDriverOk | kStatusFailed);
  if ((added & kStatusFeaturesOk) && !features_acceptable()) added &= ~kStatusFeaturesOk;
  if ((added & kStatusDriverOk) && !((before | added) & kStatusFeaturesOk)) added &= ~kStatusDriverOk;
  status_.fetch_or(added);
  if (added & kStatusDriverOk) loop_->run_sync([this] { activate(); });
}

void MmioTransport::activate() {
  for (size_t i = 0; i < queues_.size(); ++i) {
    const QueueRegisters& registers = registers_[i];
    if (!registers.ready) continue;
    if (registers.size > device_->queue_sizes()[i]) {
      fail_device(
          fmt::format("queue {} has {} descriptors, more than the device's {}", i, registers.size, device_->queue_sizes()[i]));
      return;
    }
    const VirtqueueLayout layout{.size = static_cast<uint16_t>(registers.size),
                                 .descriptors = registers.descriptors,
                                 .avail = registers.avail,
                                 .used = registers.used,
                                 .event_idx = (driver_features_ & kFeatureEventIdx) != 0,
                                 .indirect = (driver_features_ & kFeatureIndirectDesc) != 0};
    auto enabled = queues_[i].enable(memory_, layout,
                                     [this, i](std::string_view reason) { fail_device(fmt::format("queue {}: {}", i, reason)); });
    if (!enabled) {
      fail_device(fmt::format("queue {}: {}", i, enabled.error().message));
      for (Virtqueue& queue : queues_) queue.disable();
      return;
    }
  }
  device_->activate(driver_features_, queues_);
  watches_.resize(queues_.size());
  for (size_t i = 0; i < queues_.size(); ++i) {
    if (!queues_[i].enabled()) continue;
    auto watch = loop_->watch(doorbells_[i].get(), EPOLLIN, [this, i](uint32_t) {
      uint64_t count;
      if (::read(doorbells_[i].get(), &count, sizeof(count)) != sizeof(count)) return;
      kicks_[i].add();
      if (trace_.wants(observe::TraceCategory::kVirtio)) [[unlikely]]
        trace_.write(observe::TraceType::kQueueKick, observe::TraceQueue{.queue = static_cast<uint32_t>(i)});
      device_->queue_notified(static_cast<uint16_t>(i));
    });
    if (!watch) {
      fail_device(watch.error().message);
      return;
    }
    watches_[i] = *watch;
    ring(i);  // for what the driver made available before the device listened
  }
}

void MmioTransport::reset() {
  for (const EventLoop::WatchId watch : watches_) loop_->unwatch(watch);
  watches_.clear();
  for (Virtqueue& queue : queues_) queue.disable();
  device_->reset();
  for (QueueRegisters& queue : registers_) queue = QueueRegisters();
  driver_features_ = 0;
  device_features_select_ = driver_features_select_ = queue_select_ = 0;
  {
    const std::lock_guard lock(fault_mutex_);
    fault_reason_.clear();
  }
  {
    const std::lock_guard lock(irq_mutex_);
    interrupt_status_ = 0;
    irq_.set(false);
  }
  status_ = 0;
}

void MmioTransport::ring(size_t queue) {
  const uint64_t one = 1;
  [[maybe_unused]] const ssize_t written = ::write(doorbells_[queue].get(), &one, sizeof(one));
}

void MmioTransport::raise_used() {
  // Only the device's own thread gets here.
  if (trace_.wants(observe::TraceCategory::kInterrupt)) [[unlikely]]
    trace_.write(observe::TraceType::kRaised);
  raise(kInterruptUsedBuffer);
}

void MmioTransport::trace_done(const Virtqueue& queue) {
  const auto index = static_cast<size_t>(&queue - queues_.data());
  const uint64_t chains = queue.chains() - std::exchange(traced_[index], queue.chains());
  if (chains == 0) return;
  trace_.write(observe::TraceType::kQueueDone,
               observe::TraceQueue{.queue = static_cast<uint32_t>(index), .chains = static_cast<uint32_t>(chains)});
}

void MmioTransport::raise(uint32_t bits) {
  const std::lock_guard lock(irq_mutex_);
  interrupt_status_ |= bits;
  interrupts_.add();
  irq_.set(true);
}

void MmioTransport::acknowledge(uint32_t bits) {
  const std::lock_guard lock(irq_mutex_);
  interrupt_status_ &= ~bits;
  irq_.set(interrupt_status_ != 0);
}

void MmioTransport::raise_config_changed() {
  ++config_generation_;
  if (status_.load() & kStatusDriverOk) raise(kInterruptConfigChange);
}

void MmioTransport::fail_device(std::string_view reason) {
  kLog.warning(fault_limit_, {{"device", name()}}, "the guest's driver has broken its device, which waits for a reset: {}",
               reason);
  {
    const std::lock_guard lock(fault_mutex_);
    if (fault_reason_.empty()) fault_reason_ = reason;
  }
  // Section 2.1.2: once DRIVER_OK is set, needing a reset is announced as a configuration change.
  const uint32_t before = status_.fetch_or(kStatusNeedsReset);
  if (!(before & kStatusNeedsReset) && (before & kStatusDriverOk)) raise(kInterruptConfigChange);
}

MmioTransport::Statistics MmioTransport::statistics() const {
  Statistics statistics{.interrupts = interrupts_.value(), .queues = {}};
  for (size_t i = 0; i < queues_.size(); ++i) {
    const Virtqueue& queue = queues_[i];
    statistics.queues.push_back({.kicks = kicks_[i].value(),
                                 .chains = queue.chains(),
                                 .bytes_from_guest = queue.bytes_from_guest(),
                                 .bytes_to_guest = queue.bytes_to_guest()});
  }
  return statistics;
}

std::string MmioTransport::fault_reason() const {
  const std::lock_guard lock(fault_mutex_);
  return fault_reason_;
}

}  // namespace adyton::vmm::virtio
