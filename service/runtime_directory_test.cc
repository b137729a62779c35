#include "service/runtime_directory.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

#include <cstring>
#include <filesystem>

#include "base/temporary_directory.h"

namespace adyton::service {
namespace {

using ::testing::HasSubstr;

// 0, or errno.
int connect_to(const std::string& path) {
  const UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{.sun_family = AF_UNIX, .sun_path = {}};
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  return ::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0 ? 0 : errno;
}

TEST(RuntimeDirectory, IsMadeForItsOwnerAlone) {
  TemporaryDirectory root;
  ::setenv("ADYTON_RUNTIME_DIR", root.path("own").c_str(), 1);
  EXPECT_EQ(*runtime_directory(), root.path("own"));
  struct stat status{};
  ASSERT_EQ(::stat(root.path("own").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777, 0700u);
  ::unsetenv("ADYTON_RUNTIME_DIR");
  ::setenv("XDG_RUNTIME_DIR", root.path().c_str(), 1);
  EXPECT_EQ(*runtime_directory(), root.path("adyton"));
  ::unsetenv("XDG_RUNTIME_DIR");
}

TEST(RuntimeDirectory, IsCleanedOfWhatAKilledServiceLeft) {
  TemporaryDirectory root;
  const std::string stale = vm_socket_path(root.path(), 2048);
  const std::string others = stale + "_5001";  // where a user's program listens for that VM's guest
  for (const std::string& path : {stale, others}) {
    const UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_un address{.sun_family = AF_UNIX, .sun_path = {}};
    std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
    ASSERT_EQ(::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)), 0);
  }
  const std::string file = vm_socket_path(root.path(), 2049);
  ASSERT_TRUE(UniqueFd(::open(file.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600)).valid());
  remove_stale_vm_sockets(root.path());
  EXPECT_FALSE(std::filesystem::exists(stale));
  EXPECT_TRUE(std::filesystem::exists(others));
  EXPECT_TRUE(std::filesystem::exists(file));
}

TEST(RuntimeDirectory, IsRefusedWhenOthersMayUseIt) {
  TemporaryDirectory root;
  ASSERT_EQ(::mkdir(root.path("open").c_str(), 0755), 0);
  const auto refused = make_private_directory(root.path("open"));
  EXPECT_EQ(refused.error().code, ErrorCode::kPermission);
  EXPECT_THAT(refused.error().message, HasSubstr("chmod 700"));
  ASSERT_EQ(::mkdir(root.path("real").c_str(), 0700), 0);
  ASSERT_EQ(::symlink(root.path("real").c_str(), root.path("link").c_str()), 0);
  EXPECT_FALSE(make_private_directory(root.path("link")));
  EXPECT_TRUE(make_private_directory(root.path("real")));
}

TEST(ServiceSocket, IsHeldByOneAtATime) {
  TemporaryDirectory root;
  const std::string path = root.path(kSocketName);
  {
    auto socket = ServiceSocket::listen(root.path());
    ASSERT_TRUE(socket) << socket.error().message;
    EXPECT_EQ(connect_to(path), 0);
    EXPECT_EQ(ServiceSocket::listen(root.path()).error().code, ErrorCode::kUnavailable);
    EXPECT_EQ(connect_to(path), 0);  // the loser has not touched it
  }
  EXPECT_FALSE(std::filesystem::exists(path));
  EXPECT_TRUE(ServiceSocket::listen(root.path()));
}

TEST(ServiceSocket, TakesThePlaceOfOneThatWasKilled) {
  TemporaryDirectory root;
  const std::string path = root.path(kSocketName);
  const pid_t child = ::fork();
  if (child == 0) {
    auto socket = ServiceSocket::listen(root.path());
    if (socket) ::kill(::getpid(), SIGKILL);
    ::_exit(1);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFSIGNALED(status));
  EXPECT_EQ(connect_to(path), ECONNREFUSED);
  auto socket = ServiceSocket::listen(root.path());
  ASSERT_TRUE(socket);
  EXPECT_EQ(connect_to(path), 0);
}

TEST(ServiceSocket, SaysWhenThePathIsTooLong) {
  TemporaryDirectory root;
  const std::string deep = root.path(std::string(100, 'x'));
  ASSERT_EQ(::mkdir(deep.c_str(), 0700), 0);
  EXPECT_THAT(ServiceSocket::listen(deep).error().message, HasSubstr("ADYTON_RUNTIME_DIR"));
}

TEST(ServiceSocket, ComesFromSystemd) {
  TemporaryDirectory root;
  const pid_t child = ::fork();
  if (child == 0) {
    // Descriptor 3 is the test runner's business in the parent, ours here.
    UniqueFd listener(::socket(AF_UNIX, SOCK_STREAM, 0));
    sockaddr_un address{.sun_family = AF_UNIX, .sun_path = {}};
    const std::string path = root.path("activated");
    std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
    if (::bind(listener.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) ::_exit(1);
    if (::listen(listener.get(), 1) != 0) ::_exit(2);
    if (listener.get() == 3) {
      (void)listener.release();
    } else if (::dup2(listener.get(), 3) != 3) {
      ::_exit(3);
    }
    ::setenv("LISTEN_FDS", "1", 1);
    ::setenv("LISTEN_PID", std::to_string(::getpid()).c_str(), 1);
    auto socket = ServiceSocket::from_systemd(root.path());
    if (!socket || !*socket || (*socket)->fd() != 3) ::_exit(4);
    if (std::getenv("LISTEN_FDS") != nullptr) ::_exit(5);
    if (connect_to(path) != 0) ::_exit(6);
    ::setenv("LISTEN_FDS", "1", 1);
    ::setenv("LISTEN_PID", "1", 1);  // meant for somebody else
    auto none = ServiceSocket::from_systemd(root.path());
    ::_exit(none && !*none ? 0 : 7);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

}  // namespace
}  // namespace adyton::service
