#include "tools/capture/packet.h"

#include <algorithm>
#include <array>
#include <cstring>

namespace adyton::capture {
namespace {

// The virtio-vsock header, virtio 1.2 section 5.10.6; little-endian, as we are.
struct [[gnu::packed]] TransportHeader {
  uint64_t src_cid;
  uint64_t dst_cid;
  uint32_t src_port;
  uint32_t dst_port;
  uint32_t len;
  uint16_t type;
  uint16_t op;
  uint32_t flags;
  uint32_t buf_alloc;
  uint32_t fwd_cnt;
};
static_assert(sizeof(TransportHeader) == kTransportHeaderSize);

struct [[gnu::packed]] MonitorHeader {
  uint64_t src_cid;
  uint64_t dst_cid;
  uint32_t src_port;
  uint32_t dst_port;
  uint16_t op;
  uint16_t transport;
  uint16_t len;  // of the transport's header
  uint8_t reserved[2];
};
static_assert(sizeof(MonitorHeader) == kMonitorHeaderSize);

constexpr uint16_t kTransportVirtio = 2;

// AF_VSOCK_OP_*, by virtio's numbers.
uint16_t monitor_op(Op op) {
  switch (op) {
    case Op::kRequest:
    case Op::kResponse: return 1;  // CONNECT
    case Op::kReset:
    case Op::kShutdown: return 2;  // DISCONNECT
    case Op::kCreditUpdate:
    case Op::kCreditRequest: return 3;  // CONTROL
    case Op::kData: return 4;           // PAYLOAD
    case Op::kInvalid: break;
  }
  return 0;  // UNKNOWN
}

}  // namespace

Result<Packet> read_packet(const observe::Record& record) {
  observe::VsockPacketRecord start;
  if (record.type != observe::kVsockPacketRecord || record.bytes.size() < sizeof(start))
    return fail(ErrorCode::kCorrupt, "what the virtual machine recorded is no vsock packet");
  std::memcpy(&start, record.bytes.data(), sizeof(start));
  // A reader that looks into payloads copies them.
  const auto payload = record.rest.empty() ? record.bytes.subspan(sizeof(start)) : record.rest;
  if (payload.size() > start.payload_size || (!record.rest.empty() && record.bytes.size() > sizeof(start)))
    return fail(ErrorCode::kCorrupt, "a recorded vsock packet has more bytes than it says");
  TransportHeader header;
  std::memcpy(&header, start.header, sizeof(header));
  return Packet{.time = record.time,
                .src_cid = header.src_cid,
                .dst_cid = header.dst_cid,
                .src_port = header.src_port,
                .dst_port = header.dst_port,
                .length = header.len,
                .type = static_cast<Type>(header.type),
                .op = static_cast<Op>(header.op),
                .flags = header.flags,
                .buf_alloc = header.buf_alloc,
                .fwd_cnt = header.fwd_cnt,
                // What a file says of a packet's size is bounded by the protocol.
                .payload_size = std::min(start.payload_size, kMaxPacketSize - kHeadersSize),
                .payload = payload.first(std::min<size_t>(payload.size(), kMaxPacketSize - kHeadersSize)),
                .transport_header = record.bytes.subspan(offsetof(observe::VsockPacketRecord, header), kTransportHeaderSize)};
}

void write_headers(const Packet& packet, std::vector<uint8_t>& out) {
  const MonitorHeader header{.src_cid = packet.src_cid,
                             .dst_cid = packet.dst_cid,
                             .src_port = packet.src_port,
                             .dst_port = packet.dst_port,
                             .op = monitor_op(packet.op),
                             .transport = kTransportVirtio,
                             .len = kTransportHeaderSize,
                             .reserved = {}};
  out.resize(sizeof(header));
  std::memcpy(out.data(), &header, sizeof(header));
  out.insert(out.end(), packet.transport_header.begin(), packet.transport_header.end());
}

void write_frame(const Packet& packet, uint32_t limit, std::vector<uint8_t>& out) {
  write_headers(packet, out);
  out.insert(out.end(), packet.payload.begin(), packet.payload.end());
  if (out.size() > limit) out.resize(limit);
}

std::string_view op_name(Op op) {
  static constexpr std::array<std::string_view, 8> kNames = {"invalid",  "request", "response",      "reset",
                                                             "shutdown", "data",    "credit update", "credit request"};
  const auto index = static_cast<size_t>(op);
  return index < kNames.size() ? kNames[index] : "unknown op";
}

}  // namespace adyton::capture
