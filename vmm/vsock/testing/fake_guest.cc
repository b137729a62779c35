#include "vmm/vsock/testing/fake_guest.h"

#include <algorithm>
#include <cstring>

namespace adyton::vmm::vsock::testing {
namespace {
constexpr uint16_t kRx = VsockDevice::kRxQueue;
constexpr uint16_t kTx = VsockDevice::kTxQueue;
}  // namespace

void FakeGuest::post(GuestPhysAddr buffer) {
  // Header and payload apart, as Linux up to 6.2 does.
  const virtio::testing::Buffer parts[] = {{buffer, sizeof(PacketHeader), true},
                                           {buffer + sizeof(PacketHeader), rx_bytes_, true}};
  if (const auto head = driver_->queue(kRx).add(parts)) rx_buffers_[*head] = buffer;
}

void FakeGuest::post_receive_buffers(size_t buffers) {
  for (size_t i = 0; i < buffers && driver_->queue(kRx).free_descriptors() >= 2; ++i)
    post(driver_->allocate(sizeof(PacketHeader) + rx_bytes_));
  driver_->kick(kRx);
}

void FakeGuest::post_event_buffer() {
  const virtio::testing::Buffer part{driver_->allocate(4), 4, true};
  driver_->queue(VsockDevice::kEventQueue).add(std::span(&part, 1));
  driver_->kick(VsockDevice::kEventQueue);
}

PacketHeader FakeGuest::header(Op op, uint32_t guest_port, uint32_t host_port, uint32_t len) const {
  PacketHeader packet;
  packet.src_cid = kGuestCid;
  packet.dst_cid = kHostCid;
  packet.src_port = guest_port;
  packet.dst_port = host_port;
  packet.type = type;
  packet.op = op;
  packet.len = len;
  packet.buf_alloc = buf_alloc;
  packet.fwd_cnt = fwd_cnt;
  return packet;
}

bool FakeGuest::send(const PacketHeader& header, std::span<const uint8_t> payload) {
  poll();
  if (driver_->queue(kTx).free_descriptors() < 2) return false;
  if (tx_free_.empty()) tx_free_.push_back(driver_->allocate(sizeof(PacketHeader) + kMaxPayload));
  const GuestPhysAddr buffer = tx_free_.back();
  tx_free_.pop_back();
  memory_->store(buffer, header).value();
  if (!payload.empty()) memory_->write(buffer + sizeof(header), payload).value();
  const virtio::testing::Buffer parts[] = {{buffer, sizeof(header), false},
                                           {buffer + sizeof(header), static_cast<uint32_t>(payload.size()), false}};
  const auto head = driver_->queue(kTx).add(std::span(parts, payload.empty() ? 1 : 2));
  tx_buffers_[*head] = buffer;
  driver_->kick(kTx);
  return true;
}

void FakeGuest::poll() {
  while (const auto used = driver_->queue(kTx).take_used()) {
    // A hostile test may have put in chains of its own.
    if (const auto buffer = tx_buffers_.extract(used->head)) tx_free_.push_back(buffer.mapped());
  }
  while (const auto used = driver_->queue(kRx).take_used()) {
    const GuestPhysAddr buffer = rx_buffers_[used->head];
    rx_buffers_.erase(used->head);
    Packet packet;
    packet.header = memory_->load<PacketHeader>(buffer).value();
    packet.payload = driver_->bytes(buffer + sizeof(PacketHeader), std::min(packet.header.len, rx_bytes_));
    received_.push_back(std::move(packet));
    if (refill) post(buffer);
  }
  driver_->kick(kRx);
}

std::optional<Packet> FakeGuest::receive() {
  poll();
  if (received_.empty() && !has_thread) {
    driver_->settle();
    poll();
  }
  if (received_.empty()) return std::nullopt;
  Packet packet = std::move(received_.front());
  received_.pop_front();
  return packet;
}

}  // namespace adyton::vmm::vsock::testing
