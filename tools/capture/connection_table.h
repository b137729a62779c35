// Which connections a capture has seen begin and end, for comments beside their packets.
//
// Bounded: a guest that opens more than kMax connections without closing any is followed for the first kMax only, and of those
// that have ended the last kMaxEnded are known.
#pragma once
#include <cstdint>
#include <deque>
#include <map>
#include <set>
#include <string>
#include <tuple>

#include "tools/capture/packet.h"

namespace adyton::capture {

class ConnectionTable {
 public:
  static constexpr size_t kMax = 16 * 1024;
  static constexpr size_t kMaxEnded = 1024;

  // The comment that belongs to this packet: "connection opened ...", "connection closed ...: 12 bytes from the guest, ...".
  // Empty for most. What was not seen is not made up: bytes and times are "at least" so many for connections that began before
  // the capture, or of which packets may be missing. `lost`: packets that were dropped before this one.
  std::string comment(const Packet& packet, uint64_t lost);

  [[nodiscard]] size_t size() const { return open_.size(); }

 private:
  enum class Opener : uint8_t { kUnknown, kGuest, kHost };
  struct State {
    uint64_t since = 0;
    uint64_t from_guest = 0;  // payload bytes
    uint64_t from_host = 0;
    Opener opener = Opener::kUnknown;
    bool begun = false;  // its beginning was seen
    bool accepted = false;
    uint64_t losses = 0;  // those there were when it was first seen
  };
  // Host port, guest port, type.
  using Key = std::tuple<uint32_t, uint32_t, Type>;

  static std::string who(const Key& key, Opener opener);
  State* state_of(const Key& key, const Packet& packet);
  std::string end(const Key& key, const Packet& packet);
  void remember_end(const Key& key);

  std::map<Key, State> open_;
  // After its end a connection's last packets may come still: they are none of another one.
  std::set<Key> ended_;
  std::deque<Key> ended_order_;
  uint64_t losses_ = 0;     // how often packets were dropped
  bool overflown_ = false;  // there have been connections that are not followed
};

}  // namespace adyton::capture
