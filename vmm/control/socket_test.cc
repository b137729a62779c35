#include "vmm/control/socket.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include "vmm/control/protocol.h"

namespace adyton::vmm::control {
namespace {

TEST(ControlSocket, CarriesTextAndDescriptors) {
  auto [here, there] = *Socket::pair();
  int ends[2];
  ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
  UniqueFd reader(ends[0]);
  UniqueFd writer(ends[1]);
  const int sent[] = {writer.get()};
  ASSERT_TRUE(here.send("hello", sent));
  writer.reset();
  auto packet = there.receive();
  ASSERT_TRUE(packet);
  EXPECT_EQ(packet->text, "hello");
  ASSERT_EQ(packet->fds.size(), 1u);
  EXPECT_EQ(::fcntl(packet->fds[0].get(), F_GETFD), FD_CLOEXEC);
  ASSERT_EQ(::write(packet->fds[0].get(), "x", 1), 1);
  char byte = 0;
  ASSERT_EQ(::read(reader.get(), &byte, 1), 1);
  EXPECT_EQ(byte, 'x');
}

TEST(ControlSocket, PacketsKeepTheirBorders) {
  auto [here, there] = *Socket::pair();
  ASSERT_TRUE(here.send("one"));
  ASSERT_TRUE(here.send(std::string(kMaxMessageSize, 'm')));
  EXPECT_EQ(there.receive()->text, "one");
  EXPECT_EQ(there.receive()->text.size(), kMaxMessageSize);
}

TEST(ControlSocket, APeerThatIsGoneIsUnavailable) {
  auto [here, there] = *Socket::pair();
  there.take().reset();
  EXPECT_EQ(here.receive().error().code, ErrorCode::kUnavailable);
  EXPECT_EQ(here.send("x").error().code, ErrorCode::kUnavailable);
}

TEST(ControlSocket, TheLastWordsOfAPeerThatDidNotReadOursArrive) {
  auto [ours, theirs] = *Socket::pair();
  ASSERT_TRUE(theirs.send("ended", {}));
  ASSERT_TRUE(ours.send("how are you?", {}));
  theirs.take().reset();
  const auto last = ours.receive();
  ASSERT_TRUE(last) << last.error().message;
  EXPECT_EQ(last->text, "ended");
  EXPECT_EQ(ours.receive().error().code, ErrorCode::kUnavailable);
}

TEST(ControlSocket, OversizedPacketsAreRefused) {
  auto [here, there] = *Socket::pair();
  EXPECT_EQ(here.send(std::string(kMaxMessageSize + 1, 'm')).error().code, ErrorCode::kInvalidArgument);
  const std::string big(kMaxMessageSize + 1, 'm');
  ASSERT_EQ(::send(here.fd(), big.data(), big.size(), 0), static_cast<ssize_t>(big.size()));
  EXPECT_EQ(there.receive().error().code, ErrorCode::kCorrupt);
}

TEST(ControlSocket, TooManyDescriptorsAreRefusedAndClosed) {
  auto [here, there] = *Socket::pair();
  int ends[2];
  ASSERT_EQ(::pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
  UniqueFd reader(ends[0]);
  UniqueFd writer(ends[1]);
  {
    constexpr size_t kCount = kMaxFds + 8;
    iovec part{.iov_base = const_cast<char*>("x"), .iov_len = 1};
    alignas(cmsghdr) char ancillary[CMSG_SPACE(kCount * sizeof(int))] = {};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = ancillary;
    message.msg_controllen = sizeof(ancillary);
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(kCount * sizeof(int));
    for (size_t i = 0; i < kCount; ++i) reinterpret_cast<int*>(CMSG_DATA(header))[i] = writer.get();
    ASSERT_EQ(::sendmsg(here.fd(), &message, 0), 1);
  }
  writer.reset();
  EXPECT_EQ(there.receive().error().code, ErrorCode::kCorrupt);
  char byte;
  EXPECT_EQ(::read(reader.get(), &byte, 1), 0) << "a descriptor of the refused packet is still open";
}

}  // namespace
}  // namespace adyton::vmm::control
