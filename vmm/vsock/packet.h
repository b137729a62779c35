// The virtio-vsock packet header (virtio 1.2 section 5.10.6).
#pragma once
#include <bit>
#include <cstdint>

namespace adyton::vmm::vsock {

static_assert(std::endian::native == std::endian::little, "the header is little-endian and is used in place");

inline constexpr uint64_t kHostCid = 2;

enum class PacketType : uint16_t { kStream = 1, kSeqpacket = 2 };

enum class Op : uint16_t {
  kInvalid = 0,
  kRequest = 1,
  kResponse = 2,
  kRst = 3,
  kShutdown = 4,
  kRw = 5,
  kCreditUpdate = 6,
  kCreditRequest = 7,
};

// Flags of kShutdown: the sender will not receive, will not send any more.
inline constexpr uint32_t kShutdownReceive = 1;
inline constexpr uint32_t kShutdownSend = 2;
inline constexpr uint32_t kShutdownBoth = kShutdownReceive | kShutdownSend;

// Flags of a seqpacket connection's kRw: the last packet of a message, and of a record (section 5.10.6.6.1).
inline constexpr uint32_t kEndOfMessage = 1;
inline constexpr uint32_t kEndOfRecord = 2;

struct [[gnu::packed]] PacketHeader {
  uint64_t src_cid = 0;
  uint64_t dst_cid = 0;
  uint32_t src_port = 0;
  uint32_t dst_port = 0;
  uint32_t len = 0;  // payload bytes
  PacketType type = PacketType::kStream;
  Op op = Op::kInvalid;
  uint32_t flags = 0;
  uint32_t buf_alloc = 0;  // the sender's receive buffer, bytes
  uint32_t fwd_cnt = 0;    // payload bytes that left that buffer since the connection began, modulo 2^32
};
static_assert(sizeof(PacketHeader) == 44);

// The most payload that one packet carries; also what Linux uses.
inline constexpr uint32_t kMaxPayload = 64 * 1024;

}  // namespace adyton::vmm::vsock
