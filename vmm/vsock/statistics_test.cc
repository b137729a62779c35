#include <gtest/gtest.h>

#include "vmm/vsock/testing/vsock_fixture.h"

namespace adyton::vmm::vsock {
namespace {

using testing::kGuestPort;
using testing::kPort;
using testing::read_now;
using testing::VsockTest;
using testing::write_now;

struct StatisticsTest : VsockTest {
  [[nodiscard]] Muxer::Statistics now() { return device->muxer().statistics(); }
};

TEST_F(StatisticsTest, CountsConnectionsAndBytesOfBothDirections) {
  guest.post_receive_buffers();
  EXPECT_EQ(now().opened, 0u);
  const int fd = open();
  EXPECT_EQ(now().connections, 1u);
  EXPECT_EQ(now().opened, 1u);
  guest.send(Op::kRw, kGuestPort, kPort, "hello");
  driver->settle();
  write_now(fd, "to the guest");
  EXPECT_EQ(receive_data(12), "to the guest");
  EXPECT_EQ(now().bytes_from_guest, 5u);
  EXPECT_EQ(now().bytes_to_guest, 12u);
  guest.send(Op::kRst, kGuestPort, kPort);
  driver->settle();
  EXPECT_EQ(now().connections, 0u);
  EXPECT_EQ(now().opened, 1u);
  EXPECT_EQ(now().refused, 0u) << "a RST that ends a connection refuses nothing";
}

TEST_F(StatisticsTest, CountsRefusalsOfBothSides) {
  guest.post_receive_buffers();
  guest.send(Op::kRequest, kGuestPort, kPort + 1);
  expect_packet(Op::kRst);
  EXPECT_EQ(now().refused, 1u);
  // Nobody asked for a connection with these.
  guest.send(Op::kRw, kGuestPort, kPort + 1, "stray");
  expect_packet(Op::kRst);
  EXPECT_EQ(now().refused, 1u);
  const UniqueFd fd = device->muxer().connect(kGuestPort).value();
  const auto request = guest.receive();
  ASSERT_TRUE(request);
  EXPECT_EQ(now().connections, 0u) << "the guest has not accepted";
  guest.send(Op::kRst, kGuestPort, request->header.src_port);
  driver->settle();
  EXPECT_EQ(now().refused, 2u);
  EXPECT_EQ(now().opened, 0u);
}

TEST_F(StatisticsTest, CountsWhatTheHostOpensAndAReset) {
  guest.post_receive_buffers();
  const UniqueFd fd = device->muxer().connect(kGuestPort).value();
  const auto request = guest.receive();
  ASSERT_TRUE(request);
  guest.send(Op::kResponse, kGuestPort, request->header.src_port);
  driver->settle();
  open();
  EXPECT_EQ(now().connections, 2u);
  device->reset_transport();
  EXPECT_EQ(now().connections, 0u);
  EXPECT_EQ(now().opened, 2u);
}

}  // namespace
}  // namespace adyton::vmm::vsock
