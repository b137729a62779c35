// Packets for tests of captures: a ring with a VM's side.
#pragma once
#include <algorithm>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "observe/record_ring.h"
#include "observe/vsock_record.h"
#include "tools/capture/packet.h"
#include "tools/capture/recorder.h"

namespace adyton::capture::testing {

struct Sent {
  bool from_host = false;
  uint32_t guest_port = 1024;
  uint32_t host_port = 5000;
  Op op = Op::kData;
  std::string payload = {};
  Type type = Type::kStream;
  uint32_t flags = 0;
  uint32_t buf_alloc = 262144;
  uint32_t fwd_cnt = 0;
  uint64_t time = 1'700'000'000'123'456'789;
  uint32_t kept = UINT32_MAX;  // bytes of the payload
};

// A record's bytes, as a VM writes them (virtio 1.2 section 5.10.6).
inline std::vector<uint8_t> record_of(const Sent& sent) {
  observe::VsockPacketRecord start{.payload_size = static_cast<uint32_t>(sent.payload.size())};
  const uint64_t guest = 3;
  const uint64_t host = kHostCid;
  const uint16_t words[2] = {static_cast<uint16_t>(sent.type), static_cast<uint16_t>(sent.op)};
  uint8_t* at = start.header;
  const auto put = [&at](const auto& value) {
    std::memcpy(at, &value, sizeof(value));
    at += sizeof(value);
  };
  put(sent.from_host ? host : guest);
  put(sent.from_host ? guest : host);
  put(sent.from_host ? sent.host_port : sent.guest_port);
  put(sent.from_host ? sent.guest_port : sent.host_port);
  put(static_cast<uint32_t>(sent.payload.size()));
  put(words);
  put(sent.flags);
  put(sent.buf_alloc);
  put(sent.fwd_cnt);
  const size_t kept = std::min<size_t>(sent.payload.size(), sent.kept);
  std::vector<uint8_t> bytes(sizeof(start) + kept);
  std::memcpy(bytes.data(), &start, sizeof(start));
  if (kept > 0) std::memcpy(bytes.data() + sizeof(start), sent.payload.data(), kept);
  return bytes;
}

// As a RecordReader of the recorder's hands them out.
inline observe::Record read_record(std::span<const uint8_t> bytes, uint64_t time, uint32_t type = observe::kVsockPacketRecord) {
  const size_t copied = std::min(bytes.size(), kCopiedOfRecord);
  return {.type = type, .time = time, .bytes = bytes.first(copied), .rest = bytes.subspan(copied)};
}

// The VM's side of a capture, and the source for the other one.
class FakeVm {
 public:
  explicit FakeVm(std::string name, size_t capacity = 1 << 20)
      : memory_(observe::RecordRing::make_memory(capacity).value()), name_(std::move(name)) {}

  Source source() {
    return {.name = name_, .ring = observe::RecordRing::map(memory_.get()).value(), .wake = std::move(wake_.reader)};
  }
  bool send(const Sent& sent) { return writer_.write(observe::kVsockPacketRecord, sent.time, record_of(sent)); }
  observe::RecordWriter& writer() { return writer_; }
  // The VM is gone.
  void end() { wake_.writer.reset(); }

 private:
  UniqueFd memory_;
  std::string name_;
  observe::RecordRing ring_ = observe::RecordRing::map(memory_.get()).value();
  observe::WakePair wake_ = observe::make_wake_pair().value();
  observe::RecordWriter writer_{ring_, wake_.writer.get()};
};

}  // namespace adyton::capture::testing
