// Makes slices of the RpcBinder calls that cross a VM's vsock: of a capture's packets (observe/vsock_record.h), by rpc_stream.h.
// Each connection that has calls has a track; calls that are made while another one is served, back into its caller, nest.
//
// All of it is the guest's and its peers' word. Memory is bounded: connections beyond kMaxConnections, and calls that nest deeper
// than kMaxDepth, are left out.
#pragma once
#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "tools/capture/packet.h"
#include "tools/trace/rpc_stream.h"
#include "tools/trace/writer.h"

namespace adyton::trace {

class RpcCalls {
 public:
  static constexpr size_t kMaxConnections = 256;
  static constexpr size_t kMaxDepth = 16;

  // `name`: of the tracks. `next_track`: of all that write into the trace.
  RpcCalls(Writer& writer, std::string name, TrackId& next_track)
      : writer_(writer), name_(std::move(name)), next_track_(next_track) {}

  // `time`: of CLOCK_MONOTONIC; no earlier than the packet's before.
  Result<void> packet(const capture::Packet& packet, uint64_t time);
  // Packets are missing, or nothing follows: what is open ends.
  Result<void> lose(uint64_t time);

 private:
  struct Call {
    bool from_host = false;
    bool has_interface = false;
  };
  struct Connection {
    RpcStream from_guest, from_host;
    TrackId track = 0;  // 0: none, it has had no call
    std::vector<Call> calls;
  };
  using Key = std::pair<uint32_t, uint32_t>;  // guest's port, host's port

  Result<void> command(const Key& key, Connection& connection, bool from_host, const RpcStream::Command& command, uint64_t time);
  Result<void> answer(Connection& connection, bool from_host, const RpcStream::Command& reply, uint64_t time);
  Result<void> close(Connection& connection, size_t depth, uint64_t time);

  Writer& writer_;
  const std::string name_;
  TrackId& next_track_;
  std::map<Key, Connection> connections_;
  std::vector<TrackId> free_tracks_;
};

}  // namespace adyton::trace
