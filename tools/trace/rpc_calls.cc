#include "tools/trace/rpc_calls.h"

#include <fmt/format.h>

#include <array>

#include "rpc/wire.h"

namespace adyton::trace {
namespace {

// "ICalculator code 3": names of methods are not on the wire.
std::string name_of(const RpcStream::Command& call) {
  if (call.address == 0) {
    static constexpr std::array<std::string_view, 3> kSpecial = {"GET_ROOT", "GET_MAX_THREADS", "GET_SESSION_ID"};
    return call.code < kSpecial.size() ? std::string(kSpecial[call.code]) : fmt::format("session code {}", call.code);
  }
  const std::string_view interface = call.interface;
  const std::string_view last = interface.substr(interface.rfind('.') + 1);
  return last.empty() ? fmt::format("code {}", call.code) : fmt::format("{} code {}", last, call.code);
}

}  // namespace

Result<void> RpcCalls::packet(const capture::Packet& packet, uint64_t time) {
  if (packet.type != capture::Type::kStream) return {};
  const bool from_host = packet.from_host();
  const Key key = from_host ? Key(packet.dst_port, packet.src_port) : Key(packet.src_port, packet.dst_port);
  auto found = connections_.find(key);
  if (packet.op == capture::Op::kRequest || packet.op == capture::Op::kReset) {
    if (found == connections_.end()) return {};
    TRY(close(found->second, 0, time));
    if (found->second.track != 0) free_tracks_.push_back(found->second.track);
    connections_.erase(found);
    return {};
  }
  if (packet.op != capture::Op::kData || packet.payload_size == 0) return {};
  if (found == connections_.end()) {
    if (connections_.size() == kMaxConnections) return {};
    found = connections_.try_emplace(key).first;
  }
  Connection& connection = found->second;
  RpcStream& stream = from_host ? connection.from_host : connection.from_guest;
  const bool was_synced = stream.synced();
  Result<void> outcome;
  stream.feed(packet.payload, [&](const RpcStream::Command& found_command) {
    if (outcome) outcome = command(key, connection, from_host, found_command, time);
  });
  TRY(std::move(outcome));
  if (packet.payload.size() < packet.payload_size) stream.lose();
  if (was_synced && !stream.synced()) TRY(close(connection, 0, time));
  // One without calls is not worth its place.
  if (!connection.from_host.synced() && !connection.from_guest.synced() && connection.track == 0) connections_.erase(found);
  return {};
}

Result<void> RpcCalls::command(const Key& key, Connection& connection, bool from_host, const RpcStream::Command& command,
                               uint64_t time) {
  if (command.kind == RpcStream::Command::Kind::kReply) return answer(connection, from_host, command, time);
  if (connection.calls.size() == kMaxDepth) return {};
  if (connection.track == 0) {
    if (free_tracks_.empty()) {
      TRY(writer_.track({.id = next_track_, .parent = kProcessTrack, .name = name_}));
      connection.track = next_track_++;
    } else {
      connection.track = free_tracks_.back();
      free_tracks_.pop_back();
    }
  }
  const std::array<Argument, 5> arguments = {{{"from", std::string_view(from_host ? "host" : "guest")},
                                              {"guest port", uint64_t{key.first}},
                                              {"host port", uint64_t{key.second}},
                                              {"code", uint64_t{command.code}},
                                              {"interface", std::string_view(command.interface)}}};
  const std::string name = name_of(command);
  TRY(writer_.event({.type = command.oneway ? Event::Type::kInstant : Event::Type::kBegin,
                     .track = connection.track,
                     .time = time,
                     .category = "calls",
                     .name = name,
                     .arguments = std::span(arguments).first(command.interface.empty() ? 4 : 5)}));
  if (!command.oneway) connection.calls.push_back({.from_host = from_host, .has_interface = !command.interface.empty()});
  return {};
}

// A reply is to the last call of the other side: on one connection calls nest.
Result<void> RpcCalls::answer(Connection& connection, bool from_host, const RpcStream::Command& reply, uint64_t time) {
  size_t at = connection.calls.size();
  while (at > 0 && connection.calls[at - 1].from_host == from_host) --at;
  if (at == 0) return {};  // it was made before we listened
  TRY(close(connection, at, time));
  const bool raised = connection.calls.back().has_interface && reply.exception != 0;
  const std::string exception = std::to_string(reply.exception), status = std::to_string(reply.status);
  std::vector<Argument> arguments;
  if (reply.status != 0) arguments.push_back({"status", std::string_view(status)});
  if (raised) arguments.push_back({"exception", std::string_view(exception)});
  connection.calls.pop_back();
  return writer_.event({.type = Event::Type::kEnd, .track = connection.track, .time = time, .arguments = arguments});
}

Result<void> RpcCalls::close(Connection& connection, size_t depth, uint64_t time) {
  while (connection.calls.size() > depth) {
    connection.calls.pop_back();
    TRY(writer_.event({.type = Event::Type::kEnd, .track = connection.track, .time = time}));
  }
  return {};
}

Result<void> RpcCalls::lose(uint64_t time) {
  for (auto& [key, connection] : connections_) {
    TRY(close(connection, 0, time));
    if (connection.track != 0) free_tracks_.push_back(connection.track);
  }
  connections_.clear();
  return {};
}

}  // namespace adyton::trace
