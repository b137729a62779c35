// A vsock packet as captures know it, and as it stands in a file of link type LINKTYPE_VSOCK: the header of Linux's vsockmon
// device (include/uapi/linux/vsockmon.h), the virtio-vsock header, the payload.
#pragma once
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "observe/record_ring.h"
#include "observe/vsock_record.h"

namespace adyton::capture {

inline constexpr uint32_t kLinkType = 271;            // LINKTYPE_VSOCK
inline constexpr uint32_t kMonitorHeaderSize = 32;    // bytes
inline constexpr uint32_t kTransportHeaderSize = 44;  // bytes
inline constexpr uint32_t kHeadersSize = kMonitorHeaderSize + kTransportHeaderSize;
inline constexpr uint32_t kMaxPacketSize = kHeadersSize + 64 * 1024;
inline constexpr uint64_t kHostCid = 2;

enum class Op : uint16_t { kInvalid, kRequest, kResponse, kReset, kShutdown, kData, kCreditUpdate, kCreditRequest };
enum class Type : uint16_t { kStream = 1, kSeqpacket = 2 };

struct Packet {
  uint64_t time = 0;  // nanoseconds since the Unix epoch
  uint64_t src_cid = 0;
  uint64_t dst_cid = 0;
  uint32_t src_port = 0;
  uint32_t dst_port = 0;
  uint32_t length = 0;  // as the header says
  Type type = Type::kStream;
  Op op = Op::kInvalid;
  uint32_t flags = 0;
  uint32_t buf_alloc = 0;
  uint32_t fwd_cnt = 0;
  uint32_t payload_size = 0;                  // what there was of it; more than `payload` has if it was cut
  std::span<const uint8_t> payload;           // of the record that it was read from; may change while it is looked at
  std::span<const uint8_t> transport_header;  // the 44 bytes, of the record's copied ones

  [[nodiscard]] bool from_host() const { return src_cid == kHostCid; }
  [[nodiscard]] uint32_t size() const { return kHeadersSize + payload_size; }
};

// What a RecordReader has to copy of each record if nobody looks into payloads: all but these. Whoever does has all of it copied.
inline constexpr size_t kCopiedOfRecord = sizeof(observe::VsockPacketRecord);
// kCorrupt for a record that is no packet. The packet refers to the record's bytes.
Result<Packet> read_packet(const observe::Record& record);

// The packet's headers in a file, kHeadersSize bytes, into `out`, whose room is used again.
void write_headers(const Packet& packet, std::vector<uint8_t>& out);

// The packet's bytes in a file, at most `limit` of them, into `out`, whose room is used again.
void write_frame(const Packet& packet, uint32_t limit, std::vector<uint8_t>& out);

// "request", "data", "credit request"; "op 9".
std::string_view op_name(Op op);

}  // namespace adyton::capture
