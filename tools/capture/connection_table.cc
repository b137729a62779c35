#include "tools/capture/connection_table.h"

#include <fmt/format.h>

namespace adyton::capture {
namespace {

std::string direction(bool by_guest, uint32_t host_port, uint32_t guest_port) {
  return by_guest ? fmt::format("guest port {} to host port {}", guest_port, host_port)
                  : fmt::format("host port {} to guest port {}", host_port, guest_port);
}

}  // namespace

std::string ConnectionTable::comment(const Packet& packet) {
  const bool from_host = packet.from_host();
  const uint32_t host_port = from_host ? packet.src_port : packet.dst_port;
  const uint32_t guest_port = from_host ? packet.dst_port : packet.src_port;
  const Key key{host_port, guest_port, packet.type};
  const auto found = open_.find(key);
  if (packet.op == Op::kRequest) {
    if (found != open_.end()) open_.erase(found);  // its end was not seen
    if (open_.size() < kMax) open_.emplace(key, State{.since = packet.time, .by_guest = !from_host});
    return {};
  }
  if (found == open_.end()) return {};
  State& state = found->second;
  switch (packet.op) {
    case Op::kResponse: {
      if (state.accepted || from_host != state.by_guest) return {};
      state.accepted = true;
      return fmt::format("connection opened: {}{}", direction(state.by_guest, host_port, guest_port),
                         packet.type == Type::kSeqpacket ? ", seqpacket" : "");
    }
    case Op::kData: {
      (from_host ? state.from_host : state.from_guest) += packet.payload_size;
      return {};
    }
    case Op::kReset: {
      const State was = state;
      open_.erase(found);
      const std::string who = direction(was.by_guest, host_port, guest_port);
      if (!was.accepted) return fmt::format("connection refused: {}", who);
      return fmt::format("connection closed: {}; {} bytes from the guest, {} bytes from the host, {:.6f} s", who, was.from_guest,
                         was.from_host, packet.time > was.since ? static_cast<double>(packet.time - was.since) / 1e9 : 0.0);
    }
    default: return {};
  }
}

}  // namespace adyton::capture
