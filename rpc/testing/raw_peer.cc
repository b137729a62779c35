#include "rpc/testing/raw_peer.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cstring>

namespace adyton::rpc::testing {

Bytes hex(std::string_view text) {
  std::string digits;
  for (const char c : text) {
    if (std::isxdigit(static_cast<unsigned char>(c)) != 0) digits += c;
  }
  Bytes bytes;
  for (size_t i = 0; i + 1 < digits.size(); i += 2)
    bytes.push_back(static_cast<uint8_t>(std::stoi(digits.substr(i, 2), nullptr, 16)));
  return bytes;
}

std::string to_hex(std::span<const uint8_t> bytes) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string text;
  for (const uint8_t byte : bytes) {
    text += kDigits[byte >> 4];
    text += kDigits[byte & 15];
  }
  return text;
}

Bytes operator+(Bytes a, const Bytes& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

Bytes command(uint32_t number, const Bytes& body) {
  return le(number) + le(static_cast<uint32_t>(body.size())) + zeros(8) + body;
}

namespace {

Bytes encode(const std::vector<uint32_t>& table) {
  Bytes bytes;
  for (const uint32_t position : table) bytes = std::move(bytes) + le(position);
  return bytes;
}

}  // namespace

Bytes transact(uint64_t address, uint32_t code, const Bytes& parcel, uint32_t flags, uint64_t async_number,
               const std::vector<uint32_t>& table) {
  return command(0, le(address) + le(code) + le(flags) + le(async_number) + le(static_cast<uint32_t>(parcel.size())) + zeros(12) +
                        parcel + encode(table));
}

Bytes reply(const Bytes& parcel, int32_t status, const std::vector<uint32_t>& table) {
  return command(1, le(status) + le(static_cast<uint32_t>(parcel.size())) + zeros(12) + parcel + encode(table));
}

Bytes dec_strong(uint64_t address, uint32_t amount) { return command(2, le(address) + le(amount) + zeros(4)); }

Bytes binder(uint64_t address, int32_t stability) { return le(int32_t{1}) + le(address) + le(stability); }

Bytes new_session(uint32_t version, uint8_t fd_mode) {
  return le(version) + Bytes{0, fd_mode} + zeros(8) + le(uint16_t{0}) + hex("63636900 00000000");
}

Bytes join_session(const Bytes& id, bool incoming) {
  Bytes bytes =
      le(uint32_t{2}) + Bytes{incoming ? uint8_t{1} : uint8_t{0}, 0} + zeros(8) + le(static_cast<uint16_t>(id.size())) + id;
  return incoming ? bytes : bytes + hex("63636900 00000000");
}

RawPeer RawPeer::connect(const Endpoint& endpoint) {
  auto socket = connect_to(endpoint);
  EXPECT_TRUE(socket) << (socket ? "" : socket.error().message);
  if (!socket) return RawPeer(UniqueFd());
  const int flags = ::fcntl(socket->get(), F_GETFL);
  ::fcntl(socket->get(), F_SETFL, flags & ~O_NONBLOCK);
  // A test that waits for what does not come must end.
  const timeval limit{30, 0};
  ::setsockopt(socket->get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
  return RawPeer(std::move(*socket));
}

bool RawPeer::send(const Bytes& bytes, std::span<const int> fds) {
  std::span<const uint8_t> left(bytes);
  while (!left.empty()) {
    iovec part{const_cast<uint8_t*>(left.data()), left.size()};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    alignas(cmsghdr) std::array<uint8_t, CMSG_SPACE(253 * sizeof(int))> control{};
    if (!fds.empty()) {
      message.msg_control = control.data();
      message.msg_controllen = CMSG_SPACE(fds.size_bytes());
      cmsghdr* header = CMSG_FIRSTHDR(&message);
      header->cmsg_level = SOL_SOCKET;
      header->cmsg_type = SCM_RIGHTS;
      header->cmsg_len = CMSG_LEN(fds.size_bytes());
      std::memcpy(CMSG_DATA(header), fds.data(), fds.size_bytes());
      fds = {};
    }
    const ssize_t sent = ::sendmsg(socket_.get(), &message, MSG_NOSIGNAL);
    if (sent < 0) return false;
    left = left.subspan(static_cast<size_t>(sent));
  }
  return true;
}

Bytes RawPeer::receive(size_t count) {
  Bytes bytes(count);
  size_t have = 0;
  while (have < count) {
    const ssize_t received = ::recv(socket_.get(), bytes.data() + have, count - have, 0);
    if (received <= 0) break;
    have += static_cast<size_t>(received);
  }
  bytes.resize(have);
  return bytes;
}

bool RawPeer::is_closed() {
  uint8_t byte;
  const ssize_t received = ::recv(socket_.get(), &byte, 1, 0);
  return received == 0 || (received < 0 && errno == ECONNRESET);
}

void RawPeer::drain() {
  std::array<uint8_t, 4096> buffer;
  while (::recv(socket_.get(), buffer.data(), buffer.size(), 0) > 0) {}
}

Bytes RawPeer::set_up(uint32_t version, uint8_t fd_mode) {
  version_ = version;
  EXPECT_TRUE(send(new_session(version, fd_mode)));
  EXPECT_EQ(receive(8), le(version) + zeros(4));
  EXPECT_TRUE(send(transact(0, wire::kGetSessionId, {})));
  const Bytes id = receive_reply();
  EXPECT_EQ(id.size(), 36u);
  return id.size() == 36 ? Bytes(id.begin() + 4, id.end()) : Bytes(32);
}

Bytes RawPeer::receive_reply(int32_t* status) {
  for (;;) {
    const Bytes header = receive(16);
    if (header.size() != 16) return {};
    const Bytes body = receive(wire::load<uint32_t>(header, 4));
    if (wire::load<uint32_t>(header, 0) == wire::kDecStrong) continue;
    EXPECT_EQ(wire::load<uint32_t>(header, 0), wire::kReply);
    const size_t fixed = wire::reply_size(version_);
    if (body.size() < fixed) return {};
    if (status) *status = wire::load<int32_t>(body, 0);
    return Bytes(body.begin() + static_cast<ptrdiff_t>(fixed), body.end());
  }
}

uint64_t RawPeer::get_root() {
  EXPECT_TRUE(send(transact(0, wire::kGetRoot, {})));
  const Bytes parcel = receive_reply();
  EXPECT_GE(parcel.size(), 16u);
  return parcel.size() < 16 ? 0 : wire::load<uint64_t>(parcel, 4);
}

}  // namespace adyton::rpc::testing
