#include "tools/capture/connection_table.h"

#include <fmt/format.h>

namespace adyton::capture {

std::string ConnectionTable::who(const Key& key, Opener opener) {
  const uint32_t host_port = std::get<0>(key);
  const uint32_t guest_port = std::get<1>(key);
  switch (opener) {
    case Opener::kGuest: return fmt::format("guest port {} to host port {}", guest_port, host_port);
    case Opener::kHost: return fmt::format("host port {} to guest port {}", host_port, guest_port);
    case Opener::kUnknown: break;
  }
  return fmt::format("host port {} and guest port {}", host_port, guest_port);
}

// The packet's connection; nullptr when it is not followed.
ConnectionTable::State* ConnectionTable::state_of(const Key& key, const Packet& packet) {
  const auto found = open_.find(key);
  if (packet.op == Op::kRequest) {
    if (found != open_.end()) open_.erase(found);  // its end was not seen
    ended_.erase(key);
  } else if (found != open_.end()) {
    return &found->second;
  } else if (overflown_ || ended_.contains(key)) {
    return nullptr;
  }
  if (open_.size() >= kMax) {
    overflown_ = true;
    return nullptr;
  }
  const bool begun = packet.op == Op::kRequest;
  State state{.since = packet.time, .begun = begun, .accepted = !begun && packet.op != Op::kResponse, .losses = losses_};
  if (begun) state.opener = packet.from_host() ? Opener::kHost : Opener::kGuest;
  if (packet.op == Op::kResponse) state.opener = packet.from_host() ? Opener::kGuest : Opener::kHost;
  return &open_.emplace(key, state).first->second;
}

std::string ConnectionTable::comment(const Packet& packet, uint64_t lost) {
  if (lost > 0) {
    ++losses_;
    // Their ports may be another connection's by now.
    ended_.clear();
    ended_order_.clear();
  }
  const bool from_host = packet.from_host();
  const uint32_t host_port = from_host ? packet.src_port : packet.dst_port;
  const uint32_t guest_port = from_host ? packet.dst_port : packet.src_port;
  const Key key{host_port, guest_port, packet.type};
  State* const state = state_of(key, packet);
  if (state == nullptr) return {};
  switch (packet.op) {
    case Op::kResponse: {
      if (state->accepted || state->opener != (from_host ? Opener::kGuest : Opener::kHost)) return {};
      state->accepted = true;
      return fmt::format("connection opened: {}{}", who(key, state->opener),
                         packet.type == Type::kSeqpacket ? ", seqpacket" : "");
    }
    case Op::kData: {
      state->accepted = true;
      (from_host ? state->from_host : state->from_guest) += packet.payload_size;
      return {};
    }
    case Op::kReset: return end(key, packet);
    default: return {};
  }
}

std::string ConnectionTable::end(const Key& key, const Packet& packet) {
  const auto found = open_.find(key);
  const State was = found->second;
  const bool whole = was.begun && was.losses == losses_;
  open_.erase(found);
  remember_end(key);
  if (!was.accepted && whole) return fmt::format("connection refused: {}", who(key, was.opener));
  const char* const beginning = was.begun     ? ""
                                : losses_ > 0 ? ", its beginning is not in the capture"
                                              : ", began before the capture";
  const std::string least = whole ? "" : "at least ";
  return fmt::format("connection closed: {}{}; {}{} bytes from the guest, {}{} bytes from the host, {}{:.6f} s",
                     who(key, was.opener), beginning, least, was.from_guest, least, was.from_host, was.begun ? "" : "at least ",
                     packet.time > was.since ? static_cast<double>(packet.time - was.since) / 1e9 : 0.0);
}

void ConnectionTable::remember_end(const Key& key) {
  if (!ended_.insert(key).second) return;
  ended_order_.push_back(key);
  if (ended_order_.size() <= kMaxEnded) return;
  ended_.erase(ended_order_.front());
  ended_order_.pop_front();
}

}  // namespace adyton::capture
