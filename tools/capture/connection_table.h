// Which connections a capture has seen begin and end, for comments beside their packets.
//
// Bounded: a guest that opens more than kMax connections without closing any is followed for the first kMax only.
#pragma once
#include <cstdint>
#include <map>
#include <string>
#include <tuple>

#include "tools/capture/packet.h"

namespace adyton::capture {

class ConnectionTable {
 public:
  static constexpr size_t kMax = 16 * 1024;

  // The comment that belongs to this packet: "connection opened ...", "connection closed ...: 12 bytes from the guest, ...".
  // Empty for most.
  std::string comment(const Packet& packet);

  [[nodiscard]] size_t size() const { return open_.size(); }

 private:
  struct State {
    uint64_t since = 0;
    uint64_t from_guest = 0;  // payload bytes
    uint64_t from_host = 0;
    bool by_guest = false;
    bool accepted = false;
  };
  // Host port, guest port, type.
  using Key = std::tuple<uint32_t, uint32_t, Type>;

  std::map<Key, State> open_;
};

}  // namespace adyton::capture
