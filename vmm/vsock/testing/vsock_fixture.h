// A vsock device between a fake guest and the sockets that its listener hands out.
#pragma once
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <string>
#include <string_view>
#include <vector>

#include "vmm/vsock/device.h"
#include "vmm/vsock/testing/fake_guest.h"

namespace adyton::vmm::vsock::testing {

inline constexpr uint32_t kPort = 1000;
inline constexpr uint32_t kGuestPort = 2000;

// What is there now, without waiting.
inline std::string read_now(int fd, size_t limit = 1 << 20) {
  std::string text(limit, '\0');
  size_t size = 0;
  while (size < limit) {
    const ssize_t count = ::recv(fd, text.data() + size, limit - size, MSG_DONTWAIT);
    if (count <= 0) break;
    size += static_cast<size_t>(count);
  }
  text.resize(size);
  return text;
}
inline bool at_end(int fd) {
  char byte;
  return ::recv(fd, &byte, 1, MSG_DONTWAIT) == 0;
}
inline bool would_wait(int fd) {
  char byte;
  return ::recv(fd, &byte, 1, MSG_DONTWAIT | MSG_PEEK) < 0 && errno == EAGAIN;
}
// As many bytes as the socket takes now.
inline size_t write_now(int fd, std::string_view text) {
  const ssize_t count = ::send(fd, text.data(), text.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
  return count < 0 ? 0 : static_cast<size_t>(count);
}

struct VsockTest : ::testing::Test, virtio::testing::Bench<VsockDevice> {
  VsockTest() : VsockTest(Muxer::Limits{}) {}
  explicit VsockTest(const Muxer::Limits& limits) : Bench<VsockDevice>(kGuestCid, limits), guest(memory, *driver) {
    EXPECT_TRUE(driver->initialize());
    device->muxer().listen(kPort, [this](UniqueFd fd) { accepted.push_back(std::move(fd)); }).value();
  }

  void expect_packet(Op op, uint32_t flags = 0) {
    const auto packet = guest.receive();
    ASSERT_TRUE(packet) << "no packet, expected op " << static_cast<int>(op);
    EXPECT_EQ(packet->header.op, op);
    EXPECT_EQ(packet->header.flags, flags);
    EXPECT_EQ(packet->header.dst_cid, kGuestCid);
  }
  // A connection that the guest opened.
  int open(uint32_t guest_port = kGuestPort) {
    EXPECT_TRUE(guest.send(Op::kRequest, guest_port, kPort));
    expect_packet(Op::kResponse);
    EXPECT_FALSE(accepted.empty());
    return accepted.empty() ? -1 : accepted.back().get();
  }
  std::string receive_data(size_t bytes) {
    std::string data;
    while (data.size() < bytes) {
      const auto packet = guest.receive();
      if (!packet) break;
      if (packet->header.op == Op::kRw) data += packet->text();
    }
    return data;
  }
  size_t connections() { return device->muxer().connection_count(); }

  FakeGuest guest;
  std::vector<UniqueFd> accepted;
};

}  // namespace adyton::vmm::vsock::testing
