#include "vmm/hybrid/hybrid_socket.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <random>
#include <vector>

namespace adyton::vmm::hybrid {
namespace {

sockaddr_un address_of(const std::string& path) {
  sockaddr_un address{.sun_family = AF_UNIX, .sun_path = {}};
  std::memcpy(address.sun_path, path.data(), path.size());
  return address;
}

class HybridSocketTest : public ::testing::Test {
 protected:
  HybridSocketTest() {
    char name[] = "/tmp/adyton-hybrid-XXXXXX";
    folder_ = ::mkdtemp(name);
    path_ = folder_ + "/vm.sock";
    socket_ = open().value();
  }
  ~HybridSocketTest() override {
    socket_.reset();
    std::filesystem::remove_all(folder_);
  }
  Result<std::unique_ptr<HybridSocket>> open() {
    return HybridSocket::listen(path_, [this](uint32_t port, UniqueFd client) {
      ports_.push_back(port);
      clients_.push_back(std::move(client));
    });
  }
  UniqueFd client() {
    UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    const sockaddr_un address = address_of(path_);
    EXPECT_EQ(::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)), 0) << std::strerror(errno);
    return fd;
  }
  UniqueFd listen_on(const std::string& path, int type = SOCK_STREAM, int backlog = 8) {
    UniqueFd fd(::socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    const sockaddr_un address = address_of(path);
    EXPECT_EQ(::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)), 0);
    EXPECT_EQ(::listen(fd.get(), backlog), 0);
    return fd;
  }
  static void say(const UniqueFd& fd, std::string_view text) {
    EXPECT_EQ(::send(fd.get(), text.data(), text.size(), MSG_NOSIGNAL), static_cast<ssize_t>(text.size()));
  }
  // Everything that is to be done now.
  void settle() {
    for (pollfd entry{.fd = socket_->fd(), .events = POLLIN, .revents = 0}; ::poll(&entry, 1, 0) == 1;) socket_->step();
  }
  static bool closed(const UniqueFd& fd) {
    char byte;
    return ::recv(fd.get(), &byte, 1, MSG_DONTWAIT) == 0 || errno == ECONNRESET;
  }

  std::string folder_;
  std::string path_;
  std::unique_ptr<HybridSocket> socket_;
  std::vector<uint32_t> ports_;
  std::vector<UniqueFd> clients_;
};

TEST_F(HybridSocketTest, HandsOverAClientWithAllThatFollowsItsLine) {
  const UniqueFd one = client();
  say(one, "CONNECT 1234\nfirst bytes");
  settle();
  ASSERT_EQ(ports_, std::vector<uint32_t>{1234});
  char bytes[64] = {};
  EXPECT_EQ(::recv(clients_[0].get(), bytes, sizeof(bytes), 0), 11);
  EXPECT_STREQ(bytes, "first bytes");
}

TEST_F(HybridSocketTest, ALineMayComeByteByByte) {
  const UniqueFd one = client();
  for (const char c : std::string_view("connect 7\r\nx")) {
    say(one, {&c, 1});
    settle();
  }
  ASSERT_EQ(ports_, std::vector<uint32_t>{7});
}

TEST_F(HybridSocketTest, GarbageIsClosed) {
  using namespace std::string_view_literals;
  for (const std::string_view text : {"GET / HTTP/1.1\r\n\r\n"sv, "CONNECT 4294967296\n"sv, "\n"sv, "CONNECT 1\0\n"sv,
                                      "CONNECT                                 1\n"sv}) {
    const UniqueFd one = client();
    say(one, text);
    settle();
    EXPECT_TRUE(closed(one)) << text;
  }
  const UniqueFd endless = client();
  say(endless, std::string(100'000, 'C'));
  settle();
  EXPECT_TRUE(closed(endless));
  EXPECT_TRUE(ports_.empty());
}

TEST_F(HybridSocketTest, ClientsThatDieAreForgotten) {
  for (int i = 0; i < 500; ++i) {
    const UniqueFd one = client();
    if (i % 2) say(one, "CONN");
    if (i % 3 == 0) settle();
  }
  settle();
  const UniqueFd one = client();
  say(one, "CONNECT 5\n");
  settle();
  EXPECT_EQ(ports_, std::vector<uint32_t>{5});
}

TEST_F(HybridSocketTest, SilentClientsNeitherStopOthersNorStayForEver) {
  std::vector<UniqueFd> silent;
  for (size_t i = 0; i < HybridSocket::kMaxClients - 1; ++i) silent.push_back(client());
  settle();
  const UniqueFd one = client();
  say(one, "CONNECT 5\n");
  settle();
  EXPECT_EQ(ports_.size(), 1u);
  // One more than may wait: it is served when the first ones' time is over.
  silent.push_back(client());
  settle();
  const UniqueFd late = client();
  say(late, "CONNECT 6\n");
  while (ports_.size() < 2) {
    pollfd entry{.fd = socket_->fd(), .events = POLLIN, .revents = 0};
    ASSERT_EQ(::poll(&entry, 1, 60'000), 1);
    socket_->step();
  }
  EXPECT_EQ(ports_[1], 6u);
  EXPECT_TRUE(closed(silent.front()));
}

TEST_F(HybridSocketTest, IsForItsUserOnlyAndGoesWithItsOwner) {
  struct stat status {};
  ASSERT_EQ(::lstat(path_.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777 & ~0600u, 0u);
  const auto second = open();
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, ErrorCode::kUnavailable);
  socket_.reset();
  EXPECT_NE(::lstat(path_.c_str(), &status), 0);
  socket_ = open().value();
  // Another has put something in its place.
  ASSERT_EQ(::unlink(path_.c_str()), 0);
  const UniqueFd other = listen_on(path_);
  socket_.reset();
  EXPECT_EQ(::lstat(path_.c_str(), &status), 0);
}

TEST_F(HybridSocketTest, ReplacesASocketThatNobodyListensOn) {
  socket_.reset();
  listen_on(path_).reset();
  EXPECT_TRUE(open());
  std::filesystem::remove(path_);
  ASSERT_TRUE(std::filesystem::create_directory(path_));
  EXPECT_FALSE(open());
}

TEST_F(HybridSocketTest, RefusesPathsThatLeaveNoRoomForAPort) {
  path_ = folder_ + "/" + std::string(kMaxPath - folder_.size() - 1, 'p');
  ASSERT_EQ(path_.size(), kMaxPath);
  EXPECT_TRUE(open());
  path_ += 'p';
  EXPECT_EQ(open().error().code, ErrorCode::kInvalidArgument);
}

TEST_F(HybridSocketTest, DialsWhoListensForAPort) {
  EXPECT_EQ(socket_->dial(5000, false).error().code, ErrorCode::kNotFound);
  const UniqueFd listener = listen_on(path_ + "_5000");
  const auto stream = socket_->dial(5000, false);
  ASSERT_TRUE(stream);
  const UniqueFd accepted(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
  say(*stream, "hello");
  char bytes[8] = {};
  EXPECT_EQ(::recv(accepted.get(), bytes, sizeof(bytes), 0), 5);
  EXPECT_FALSE(socket_->dial(5000, true));  // it is no seqpacket socket
  const UniqueFd packets = listen_on(path_ + "_4294967295", SOCK_SEQPACKET);
  EXPECT_TRUE(socket_->dial(4294967295u, true));
}

TEST_F(HybridSocketTest, AListenerThatDoesNotAcceptDoesNotHoldUs) {
  const UniqueFd listener = listen_on(path_ + "_5000", SOCK_STREAM, 0);
  std::vector<UniqueFd> waiting;
  for (int i = 0; i < 10; ++i) {
    auto stream = socket_->dial(5000, false);
    if (!stream) {
      EXPECT_EQ(stream.error().code, ErrorCode::kUnavailable);
      return;
    }
    waiting.push_back(std::move(*stream));
  }
  ADD_FAILURE() << "the backlog of 0 took ten";
}

TEST_F(HybridSocketTest, WithoutDescriptorsClientsWait) {
  rlimit limit{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &limit), 0);
  const UniqueFd one = client();
  say(one, "CONNECT 5\n");
  const UniqueFd probe(::dup(one.get()));
  const rlimit none{.rlim_cur = static_cast<rlim_t>(probe.get()), .rlim_max = limit.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &none), 0);
  for (int i = 0; i < 10; ++i) socket_->step();
  EXPECT_TRUE(ports_.empty());
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &limit), 0);
  while (ports_.empty()) {
    pollfd entry{.fd = socket_->fd(), .events = POLLIN, .revents = 0};
    ASSERT_EQ(::poll(&entry, 1, 60'000), 1);
    socket_->step();
  }
  EXPECT_EQ(ports_, std::vector<uint32_t>{5});
}

}  // namespace
}  // namespace adyton::vmm::hybrid
