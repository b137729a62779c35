#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstring>
#include <string>

#include "adyton/virtual_machine.h"

namespace adyton {
namespace {

using Descriptor = VirtualMachine::Descriptor;

UniqueFd file(const std::string& text) {
  UniqueFd fd(::memfd_create("test", MFD_CLOEXEC));
  EXPECT_EQ(::write(fd.get(), text.data(), text.size()), static_cast<ssize_t>(text.size()));
  return fd;
}

std::string text_of(const UniqueFd& fd) {
  char buffer[64];
  const ssize_t got = ::pread(fd.get(), buffer, sizeof(buffer), 0);
  return got > 0 ? std::string(buffer, static_cast<size_t>(got)) : "";
}

class DescriptorTest : public ::testing::TestWithParam<int> {
 protected:
  void SetUp() override {
    int ends[2];
    ASSERT_EQ(::socketpair(AF_UNIX, GetParam() | SOCK_CLOEXEC, 0, ends), 0);
    ours.reset(ends[0]);
    theirs.reset(ends[1]);
  }
  // Bytes with as many descriptors, as somebody else may send them.
  void send(const std::string& bytes, size_t count) {
    const UniqueFd one = file("x");
    iovec part{.iov_base = const_cast<char*>(bytes.data()), .iov_len = bytes.size()};
    alignas(cmsghdr) char ancillary[CMSG_SPACE(16 * sizeof(int))] = {};
    msghdr header{};
    header.msg_iov = &part;
    header.msg_iovlen = 1;
    if (count > 0) {
      header.msg_control = ancillary;
      header.msg_controllen = CMSG_SPACE(count * sizeof(int));
      cmsghdr* rights = CMSG_FIRSTHDR(&header);
      rights->cmsg_level = SOL_SOCKET;
      rights->cmsg_type = SCM_RIGHTS;
      rights->cmsg_len = CMSG_LEN(count * sizeof(int));
      for (size_t i = 0; i < count; ++i) {
        const int fd = one.get();
        std::memcpy(CMSG_DATA(rights) + i * sizeof(int), &fd, sizeof(fd));
      }
    }
    ASSERT_EQ(::sendmsg(ours.get(), &header, MSG_NOSIGNAL), static_cast<ssize_t>(bytes.size()));
  }
  UniqueFd ours, theirs;
};
INSTANTIATE_TEST_SUITE_P(Sockets, DescriptorTest, ::testing::Values(SOCK_STREAM, SOCK_SEQPACKET));

TEST_P(DescriptorTest, GoesToAnotherProgramAsItIs) {
  Descriptor descriptor{
      .config = file("config"), .instance_id = file("id"), .instance_image = {}, .encrypted_storage = file("storage")};
  ASSERT_TRUE(descriptor.sendTo(ours.get()));
  ASSERT_TRUE(descriptor.sendTo(ours.get())) << "sending does not use it up";
  for (int i = 0; i < 2; ++i) {
    const auto received = Descriptor::receiveFrom(theirs.get());
    ASSERT_TRUE(received) << received.error().message;
    EXPECT_EQ(text_of(received->config), "config");
    EXPECT_EQ(text_of(received->instance_id), "id");
    EXPECT_FALSE(received->instance_image.valid());
    EXPECT_EQ(text_of(received->encrypted_storage), "storage");
    EXPECT_NE(::fcntl(received->config.get(), F_GETFD) & FD_CLOEXEC, 0);
  }
}

TEST_P(DescriptorTest, OneThatIsUsedUpIsNotSent) {
  EXPECT_EQ(Descriptor().sendTo(ours.get()).error().code, ErrorCode::kInvalidArgument);
}

TEST_P(DescriptorTest, WhatIsNoneIsRefusedAndLeaksNothing) {
  const int free = file("x").get();
  const std::string zeroes(2, '\0');
  const std::pair<std::string, size_t> cases[] = {
      {"AVMD\x01\x03" + zeroes, 1},
      {"AVMD\x01\x03" + zeroes, 3},
      {"AVMD\x01\x01" + zeroes, 1},
      {"AVMD\x01\x1f" + zeroes, 5},
      {"AVMD\x02\x03" + zeroes, 2},
      {"XVMD\x01\x03" + zeroes, 2},
      {"AVMD\x01\x03\x01" + zeroes.substr(1), 2},
      {"AVMD\x01\x03" + zeroes, 9},
      {"AVMD\x01\x0f" + zeroes, 0},
  };
  for (const auto& [bytes, count] : cases) {
    send(bytes, count);
    const auto received = Descriptor::receiveFrom(theirs.get());
    ASSERT_FALSE(received);
    EXPECT_EQ(received.error().code, ErrorCode::kCorrupt) << received.error().message << " (" << count << ")";
    EXPECT_EQ(file("x").get(), free) << "all that came was closed";
  }
  ours.reset();
  EXPECT_EQ(Descriptor::receiveFrom(theirs.get()).error().code, ErrorCode::kUnavailable);
}

}  // namespace
}  // namespace adyton
