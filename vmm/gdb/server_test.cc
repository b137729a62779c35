// A real machine, and debuggers who do not behave.
#include "vmm/gdb/server.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <string>

#include "vmm/gdb/packet.h"
#include "vmm/testing/counting_machine.h"

namespace adyton::vmm::gdb {
namespace {

class GdbServer : public vmm::testing::CountingMachine {
 protected:
  void SetUp() override {
    CountingMachine::SetUp();
    if (HasFatalFailure()) return;
    auto server = Server::create(*machine_);
    ASSERT_TRUE(server) << server.error().message;
    server_ = std::move(*server);
    ASSERT_TRUE(server_->start());
    ASSERT_TRUE(machine_->start());
    UniqueFd listener(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    const sa_family_t family = AF_UNIX;  // alone: the kernel chooses an abstract name
    ASSERT_EQ(::bind(listener.get(), reinterpret_cast<const sockaddr*>(&family), sizeof family), 0);
    ASSERT_EQ(::listen(listener.get(), 4), 0);
    ASSERT_EQ(::getsockname(listener.get(), reinterpret_cast<sockaddr*>(&address_), &address_size_), 0);
    ASSERT_TRUE(server_->listen(std::move(listener)));
    expect_guest_runs();
  }
  void TearDown() override {
    if (machine_) machine_->stop();
    if (server_) server_->stop();
  }

  [[nodiscard]] UniqueFd connect() const {
    UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    EXPECT_EQ(::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address_), address_size_), 0);
    return fd;
  }
  static void send(const UniqueFd& fd, const std::string& text) {
    ASSERT_EQ(::send(fd.get(), text.data(), text.size(), MSG_NOSIGNAL), static_cast<ssize_t>(text.size()));
  }
  // One that behaves: asks, and takes the answer.
  void expect_service() const {
    const UniqueFd fd = connect();
    send(fd, encode_packet("qSupported"));
    std::string answer;
    char bytes[4096];
    while (answer.find("PacketSize") == std::string::npos) {
      const ssize_t got = ::recv(fd.get(), bytes, sizeof bytes, 0);
      ASSERT_GT(got, 0);
      answer.append(bytes, static_cast<size_t>(got));
    }
  }

  std::unique_ptr<Server> server_;
  sockaddr_un address_{};
  socklen_t address_size_ = sizeof address_;
};

TEST_F(GdbServer, LeavesADebuggerThatTakesNoAnswersAloneAndLetsTheGuestGoOn) {
  const UniqueFd fd = connect();
  const std::string question = encode_packet("m40080000,1000");  // 8 KiB for 20 bytes
  size_t asked = 0;
  while (::send(fd.get(), question.data(), question.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(question.size())) {
    ASSERT_LT(++asked, 100'000u) << "it keeps answers without end";
  }
  expect_guest_runs();
  expect_service();
  expect_guest_runs();
}

// Without a word, in the middle of one, with a breakpoint where the guest runs, while it steps, and with one that holds it.
TEST_F(GdbServer, LetsTheGuestGoOnWhenADebuggerDies) {
  for (const std::string& words : {std::string(), std::string("$"), encode_packet("?") + "$m4008", encode_packet("Z0,40080004,4"),
                                   encode_packet("Z0,40080004,4") + encode_packet("c"), encode_packet("s")}) {
    SCOPED_TRACE(words);
    UniqueFd fd = connect();
    if (!words.empty()) send(fd, words);
    char byte = 0;
    if (words.size() > 1) { ASSERT_EQ(::recv(fd.get(), &byte, 1, 0), 1); }
    fd.reset();
    expect_service();  // the one before has been seen to the end
    expect_guest_runs();
  }
}

}  // namespace
}  // namespace adyton::vmm::gdb
