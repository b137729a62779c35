// What both sides of a session can choose.
#pragma once
#include <chrono>
#include <cstddef>
#include <cstdint>

#include "rpc/wire.h"

namespace adyton::rpc {

// How file descriptors travel (RpcSession::FileDescriptorTransportMode). The client chooses, the server must allow it. kUnix
// needs Unix sockets and protocol version 1.
enum class FdPassing : uint8_t { kNone = 0, kUnix = 1 };

// What a session keeps on its peer's behalf: past a limit it ends.
struct ObjectLimits {
  size_t nodes = 100'000;             // objects of either side that the other knows; AOSP's number
  size_t queued_calls = 10'000;       // oneway calls to one object that wait for an earlier one; AOSP's number
  size_t queued_bytes = 64ULL << 20;  // of all such calls together; AOSP has no such limit
};

inline constexpr uint32_t kProtocolVersion = wire::kProtocolVersion;

// The largest body of a command that AOSP's receivers take (RpcState.cpp: kMaxTransactionAllocation). A call or reply that is
// larger fails at its sender with kNoMemory, and ends the session if it comes from a peer that does not check.
inline constexpr size_t kDefaultMaxBodySize = 100'000;

// How deep calls that one thread serves may nest, each made by the other side while it answers the one before: past it the
// session ends.
inline constexpr unsigned kMaxCallDepth = 100;

}  // namespace adyton::rpc
