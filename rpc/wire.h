// The structures of RpcBinder's wire protocol (AOSP: libs/binder/RpcWireFormat.h), as functions between values and bytes. Little
// endian. Reserved fields are sent as 0 and are not looked at when they are received, as in AOSP.
#pragma once
#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

namespace adyton::rpc::wire {

static_assert(std::endian::native == std::endian::little, "the wire is little endian");

// Protocol versions (binder/RpcSession.h): 0 = Android 13; 1 = Android 14, tells where a parcel ends and which descriptors it
// holds; 2 = Android 16, tells where its objects are too. Both sides use the lower of theirs.
inline constexpr uint32_t kProtocolVersion = 2;
inline constexpr uint32_t kVersionWithParcelSize = 1;
inline constexpr uint32_t kVersionWithBinderPositions = 2;

inline constexpr size_t kSessionIdSize = 32;
using SessionId = std::array<uint8_t, kSessionIdSize>;

// Commands.
inline constexpr uint32_t kTransact = 0;
inline constexpr uint32_t kReply = 1;
inline constexpr uint32_t kDecStrong = 2;

// Codes of transactions to address 0, which is the session itself.
inline constexpr uint32_t kGetRoot = 0;
inline constexpr uint32_t kGetMaxThreads = 1;
inline constexpr uint32_t kGetSessionId = 2;

// Options of an address. The address's number is in the upper half of the 64 bits.
inline constexpr uint32_t kAddressCreated = 1;
inline constexpr uint32_t kAddressForServer = 2;
constexpr uint64_t address(uint32_t options, uint32_t number) { return uint64_t{number} << 32 | options; }
constexpr uint32_t address_options(uint64_t address) { return static_cast<uint32_t>(address); }

inline constexpr uint8_t kConnectionIncoming = 1;  // option of a connection on which the server calls the client

inline constexpr size_t kConnectionHeaderSize = 16;
inline constexpr size_t kNewSessionResponseSize = 8;
inline constexpr size_t kConnectionInitSize = 8;
inline constexpr size_t kHeaderSize = 16;
inline constexpr size_t kTransactionSize = 40;
inline constexpr size_t kReplySize = 20;
inline constexpr size_t kReplySizeVersion0 = 4;
inline constexpr size_t kDecStrongSize = 16;

constexpr size_t reply_size(uint32_t version) { return version < kVersionWithParcelSize ? kReplySizeVersion0 : kReplySize; }

// "cci": the first words of the side that will make calls on a connection.
inline constexpr std::array<uint8_t, kConnectionInitSize> kConnectionInit = {'c', 'c', 'i', 0, 0, 0, 0, 0};

template <typename T>
T load(std::span<const uint8_t> bytes, size_t at) {
  T value;
  std::memcpy(&value, bytes.data() + at, sizeof(value));
  return value;
}
template <typename T>
void store(std::span<uint8_t> bytes, size_t at, T value) {
  std::memcpy(bytes.data() + at, &value, sizeof(value));
}

struct ConnectionHeader {
  uint32_t version = 0;  // the newest one that the caller knows
  uint8_t options = 0;
  uint8_t fd_mode = 0;
  uint16_t session_id_size = 0;  // 0: a new session; else the id follows

  static ConnectionHeader decode(std::span<const uint8_t, kConnectionHeaderSize> bytes) {
    return {load<uint32_t>(bytes, 0), bytes[4], bytes[5], load<uint16_t>(bytes, 14)};
  }
  void encode(std::span<uint8_t, kConnectionHeaderSize> bytes) const {
    std::ranges::fill(bytes, uint8_t{0});
    store(bytes, 0, version);
    bytes[4] = options;
    bytes[5] = fd_mode;
    store(bytes, 14, session_id_size);
  }
};

struct NewSessionResponse {
  uint32_t version = 0;

  static NewSessionResponse decode(std::span<const uint8_t, kNewSessionResponseSize> bytes) { return {load<uint32_t>(bytes, 0)}; }
  void encode(std::span<uint8_t, kNewSessionResponseSize> bytes) const {
    std::ranges::fill(bytes, uint8_t{0});
    store(bytes, 0, version);
  }
};

struct Header {
  uint32_t command = 0;
  uint32_t body_size = 0;

  static Header decode(std::span<const uint8_t, kHeaderSize> bytes) {
    return {load<uint32_t>(bytes, 0), load<uint32_t>(bytes, 4)};
  }
  void encode(std::span<uint8_t, kHeaderSize> bytes) const {
    std::ranges::fill(bytes, uint8_t{0});
    store(bytes, 0, command);
    store(bytes, 4, body_size);
  }
};

struct Transaction {
  uint64_t address = 0;
  uint32_t code = 0;
  uint32_t flags = 0;
  uint64_t async_number = 0;
  uint32_t parcel_size = 0;  // version 0: not looked at, the parcel is all that follows

  static Transaction decode(std::span<const uint8_t, kTransactionSize> bytes) {
    return {load<uint64_t>(bytes, 0), load<uint32_t>(bytes, 8), load<uint32_t>(bytes, 12), load<uint64_t>(bytes, 16),
            load<uint32_t>(bytes, 24)};
  }
  void encode(std::span<uint8_t, kTransactionSize> bytes) const {
    std::ranges::fill(bytes, uint8_t{0});
    store(bytes, 0, address);
    store(bytes, 8, code);
    store(bytes, 12, flags);
    store(bytes, 16, async_number);
    store(bytes, 24, parcel_size);
  }
};

struct Reply {
  int32_t status = 0;
  uint32_t parcel_size = 0;

  // `bytes` is of reply_size(version).
  static Reply decode(std::span<const uint8_t> bytes) {
    return {load<int32_t>(bytes, 0), bytes.size() < kReplySize ? 0 : load<uint32_t>(bytes, 4)};
  }
  void encode(std::span<uint8_t> bytes) const {
    std::ranges::fill(bytes, uint8_t{0});
    store(bytes, 0, status);
    if (bytes.size() >= kReplySize) store(bytes, 4, parcel_size);
  }
};

struct DecStrong {
  uint64_t address = 0;
  uint32_t amount = 0;

  static DecStrong decode(std::span<const uint8_t, kDecStrongSize> bytes) {
    return {load<uint64_t>(bytes, 0), load<uint32_t>(bytes, 8)};
  }
  void encode(std::span<uint8_t, kDecStrongSize> bytes) const {
    std::ranges::fill(bytes, uint8_t{0});
    store(bytes, 0, address);
    store(bytes, 8, amount);
  }
};

}  // namespace adyton::rpc::wire
