// The other end of a connection, by hand: for tests of what is on the wire, and of peers that break the protocol.
#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/unique_fd.h"
#include "rpc/endpoint.h"
#include "rpc/wire.h"

namespace adyton::rpc::testing {

using Bytes = std::vector<uint8_t>;

// "01 02 0304": white space does not matter.
Bytes hex(std::string_view text);
std::string to_hex(std::span<const uint8_t> bytes);
Bytes operator+(Bytes a, const Bytes& b);
template <typename T>
Bytes le(T value) {
  Bytes bytes(sizeof(T));
  wire::store(bytes, 0, value);
  return bytes;
}
inline Bytes zeros(size_t count) { return Bytes(count); }

// Commands as they stand on the wire, from version 1 on; `table` are object positions.
Bytes command(uint32_t number, const Bytes& body);
Bytes transact(uint64_t address, uint32_t code, const Bytes& parcel, uint32_t flags = 0, uint64_t async_number = 0,
               const std::vector<uint32_t>& table = {});
Bytes reply(const Bytes& parcel, int32_t status = 0, const std::vector<uint32_t>& table = {});
Bytes dec_strong(uint64_t address, uint32_t amount);
// A binder in a parcel.
Bytes binder(uint64_t address, int32_t stability = 12);
// What a client says first.
Bytes new_session(uint32_t version, uint8_t fd_mode = 0);
Bytes join_session(const Bytes& id, bool incoming = false);

class RawPeer {
 public:
  explicit RawPeer(UniqueFd socket) : socket_(std::move(socket)) {}
  static RawPeer connect(const Endpoint& endpoint);

  // False when the other end is closed.
  bool send(const Bytes& bytes, std::span<const int> fds = {});
  // Exactly `count` bytes, or fewer at the end of the stream.
  Bytes receive(size_t count);
  // Whether the stream ends, with nothing else before that.
  bool is_closed();
  // Reads until the stream ends.
  void drain();
  void close() { socket_.reset(); }
  [[nodiscard]] int fd() const { return socket_.get(); }

  // A client's whole setting up: leaves the connection ready for calls and returns the session's id.
  Bytes set_up(uint32_t version = 2, uint8_t fd_mode = 0);
  // A reply's body without its fixed part; references that are given back before it are skipped. Empty at the end of the stream.
  Bytes receive_reply(int32_t* status = nullptr);
  // The address of the root object.
  uint64_t get_root();

 private:
  UniqueFd socket_;
  uint32_t version_ = 2;  // that set_up() agreed on
};

}  // namespace adyton::rpc::testing
