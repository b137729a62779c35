#include "vmm/vsock/device.h"

#include <algorithm>
#include <utility>

#include "base/log/logger.h"

namespace adyton::vmm::vsock {
namespace {

const log::Logger kLog("vsock");

constexpr uint32_t kEventTransportReset = 0;
// Rounds before the guest hears of it and other events of the loop get their turn: enough for one interrupt to serve many
// packets, few enough for the guest to work on the first ones while the rest are copied.
constexpr int kRoundsPerPump = 4;

}  // namespace

void VsockDevice::read_config(uint64_t offset, std::span<uint8_t> out) const {
  virtio::read_config_object(muxer_.guest_cid(), offset, out);
}

void VsockDevice::attached() {
  muxer_.bind(host().loop(), host().trace(), [this] { schedule_pump(); });
  captures_.bind(host().loop());
}

void VsockDevice::activate(uint64_t driver_features, std::span<virtio::Virtqueue> queues) {
  queues_ = queues;
  // Streams are always there: Linux does not ask for them (virtio 1.2, 5.10.3).
  muxer_.set_active(true, driver_features & kFeatureSeqpacket);
}

void VsockDevice::reset() {
  queues_ = {};
  event_pending_ = false;
  muxer_.set_active(false);
}

void VsockDevice::reset_transport() {
  host().loop().run_sync([this] {
    muxer_.reset();
    event_pending_ = !queues_.empty();
    send_event();
  });
}

void VsockDevice::send_event() {
  if (!event_pending_ || queues_.empty()) return;
  virtio::Virtqueue& queue = queues_[kEventQueue];
  if (!queue.pop(chain_)) return;
  event_pending_ = false;
  virtio::ChainWriter writer(chain_);
  const bool written = writer.write_object(kEventTransportReset);
  queue.push(chain_, written ? sizeof(kEventTransportReset) : 0);
  host().signal(queue);
}

void VsockDevice::queue_notified(uint16_t index) {
  if (index == kEventQueue) {
    send_event();
  } else {
    schedule_pump();
  }
}

// Once per turn of the loop, whatever number of doorbells and sockets made it necessary.
void VsockDevice::schedule_pump() {
  if (std::exchange(pump_scheduled_, true)) return;
  host().loop().post([this] {
    pump_scheduled_ = false;
    pump();
  });
}

void VsockDevice::pump() {
  if (queues_.empty()) return;
  virtio::Virtqueue& rx = queues_[kRxQueue];
  virtio::Virtqueue& tx = queues_[kTxQueue];
  rx.disable_doorbells();
  tx.disable_doorbells();
  bool again = true;
  for (int round = 0; again && round < kRoundsPerPump; ++round) {
    const bool took = take_packets();
    const bool gave = give_packets();
    again = took || gave;
  }
  host().signal(rx);
  host().signal(tx);
  if (!again) {
    // A doorbell matters only for the queue that holds things up: buffers to fill when there is output, packets when they can be
    // taken.
    if (muxer_.has_output() && rx.enable_doorbells()) again = true;
    if (muxer_.can_take() && tx.enable_doorbells()) again = true;
  }
  if (again) schedule_pump();
}

// Guest to host. Returns whether it did anything.
bool VsockDevice::take_packets() {
  virtio::Virtqueue& tx = queues_[kTxQueue];
  size_t count = 0;
  while (count < kBatch && muxer_.can_take() && tx.pop(chain_)) {
    ++count;
    virtio::ChainReader reader(chain_);
    PacketHeader header;
    payload_.clear();
    // A packet that is shorter than it says is no packet.
    if (reader.read_object(header) && reader.take(header.len, payload_) == header.len) {
      muxer_.on_guest_packet(header, payload_);
    } else {
      kLog.warning(malformed_limit_, {{"bytes", chain_.readable_bytes()}},
                   "the guest sent a packet that is shorter than it says");
    }
    tx.push(chain_, 0);
  }
  return count > 0;
}

// Host to guest. Returns whether it did anything.
bool VsockDevice::give_packets() {
  if (!muxer_.has_output()) return false;
  virtio::Virtqueue& rx = queues_[kRxQueue];
  uint16_t popped = 0;
  while (popped < rx_batch_ && rx.pop(chains_[popped])) {
    RxSlot& slot = slots_[popped];
    virtio::ChainWriter writer(chains_[popped]);
    slot.payload.clear();
    writer.skip(sizeof(PacketHeader));
    slot.capacity = static_cast<uint32_t>(writer.take(kMaxPayload, slot.payload));
    if (slot.capacity == 0) {
      host().fail_device("a receive buffer has no room for a packet");
      rx.disable();
      return false;
    }
    ++popped;
  }
  if (popped == 0) return false;
  const size_t used = muxer_.produce(std::span(slots_).first(popped));
  rx.rewind(static_cast<uint16_t>(popped - used));
  // A lone answer needs few buffers, a stream many: what is popped in vain costs time.
  rx_batch_ = used == popped ? std::min(2 * rx_batch_, kBatch) : std::max(used, kMinBatch);
  for (size_t i = 0; i < used; ++i) {
    virtio::ChainWriter writer(chains_[i]);
    writer.write_object(slots_[i].header);
    rx.push(chains_[i], static_cast<uint32_t>(sizeof(PacketHeader) + slots_[i].header.len));
  }
  return used > 0;
}

}  // namespace adyton::vmm::vsock
