#include "vmm/vsock/capture.h"

#include <fmt/format.h>
#include <time.h>

#include <algorithm>
#include <cstring>
#include <optional>
#include <utility>

#include "observe/vsock_record.h"

namespace adyton::vmm::vsock {
namespace {

uint64_t wall_clock() {
  timespec now{};
  ::clock_gettime(CLOCK_REALTIME, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(now.tv_nsec);
}

size_t bytes_in(std::span<const iovec> parts) {
  size_t size = 0;
  for (const iovec& part : parts) size += part.iov_len;
  return size;
}

}  // namespace

Result<UniqueFd> Captures::add(int ring_memory, CaptureFilter filter) {
  if (loop_ == nullptr) return fail(ErrorCode::kUnavailable, "the vsock device is not attached yet");
  auto ring = TRY(observe::RecordRing::map(ring_memory));
  auto wake = TRY(observe::make_wake_pair());
  Result<void> inserted;
  loop_->run_sync([&] { inserted = insert(std::move(ring), std::move(wake.writer), std::move(filter)); });
  if (!inserted) return std::unexpected(inserted.error());
  return std::move(wake.reader);
}

Result<void> Captures::insert(observe::RecordRing ring, UniqueFd wake, CaptureFilter filter) {
  if (running_.size() >= observe::kMaxCaptures)
    return fail(ErrorCode::kExhausted,
                fmt::format("{} captures of the virtual machine run already, which is the limit", observe::kMaxCaptures));
  running_.emplace_back(std::move(ring), std::move(wake), std::move(filter));
  const Handle capture = std::prev(running_.end());
  auto watch = loop_->watch(capture->wake.get(), EPOLLRDHUP, [this, capture](uint32_t) { remove(capture); });
  if (!watch) {
    running_.erase(capture);
    return std::unexpected(watch.error());
  }
  capture->watch = *watch;
  if (running_.size() == 1)
    muxer_.set_tap([this](const PacketHeader& header, std::span<const iovec> payload) { on_packet(header, payload); });
  return {};
}

void Captures::remove(Handle capture) {
  loop_->unwatch(capture->watch);
  running_.erase(capture);
  if (running_.empty()) muxer_.set_tap({});
}

void Captures::on_packet(const PacketHeader& header, std::span<const iovec> payload) {
  const uint64_t now = wall_clock();
  // On the way to the guest the payload's room is larger than the payload.
  const size_t size = std::min<size_t>(header.len, bytes_in(payload));
  for (Capture& capture : running_) {
    const auto& ports = capture.filter.ports;
    if (ports.empty() || std::ranges::any_of(ports, [&](uint32_t p) { return p == header.src_port || p == header.dst_port; }))
      record(capture, now, header, payload, size);
  }
}

void Captures::record(Capture& capture, uint64_t now, const PacketHeader& header, std::span<const iovec> payload, size_t size) {
  observe::VsockPacketRecord start{.payload_size = static_cast<uint32_t>(size)};
  std::memcpy(start.header, &header, sizeof(header));
  size_t left = std::min<size_t>(size, capture.filter.max_payload);
  uint8_t* place = capture.writer.begin(observe::kVsockPacketRecord, now, sizeof(start) + left);
  if (place == nullptr) return;
  std::memcpy(place, &start, sizeof(start));
  place += sizeof(start);
  for (const iovec& part : payload) {
    const size_t bytes = std::min(left, part.iov_len);
    if (bytes == 0) continue;
    std::memcpy(place, part.iov_base, bytes);
    place += bytes;
    left -= bytes;
  }
  capture.writer.commit();
}

}  // namespace adyton::vmm::vsock
