// The Unix socket of a VM's vsock ports, with a real guest and a client that we did not write: socat, which types what a person
// would.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "tests/e2e/adyton.h"

namespace adyton::e2e {
namespace {

using ::testing::HasSubstr;

// What a shell command prints.
std::string shell(const std::string& command) {
  std::string text;
  FILE* pipe = ::popen(command.c_str(), "r");
  if (pipe == nullptr) return text;
  char buffer[4096];
  for (size_t got; (got = std::fread(buffer, 1, sizeof(buffer), pipe)) > 0;) text.append(buffer, got);
  ::pclose(pipe);
  return text;
}

bool has_socat() { return std::system("command -v socat >/dev/null") == 0; }

class VsockSocket : public ::testing::TestWithParam<bool> {
 protected:
  void SetUp() override {
    if (!has_socat()) GTEST_SKIP() << "socat is not installed";
  }
  std::vector<std::string> arguments(std::vector<std::string> rest) const {
    std::vector<std::string> all = {"run", "--vsock-uds", path};
    if (GetParam()) all.emplace_back("--no-service");
    all.insert(all.end(), rest.begin(), rest.end());
    return all;
  }
  TemporaryFolder folder;
  const std::string path = folder.path() + "/vm.sock";
};

TEST_P(VsockSocket, AClientConnectsToThePortsOfTheGuest) {
  Adyton adyton(arguments({probe(), "vsock-echo", "7000"}));
  ASSERT_TRUE(adyton.wait_for("listening\n")) << adyton.errors();
  const std::string socat = "socat -t 60 - UNIX-CONNECT:" + path;
  EXPECT_THAT(shell("printf 'CONNECT 7000\\nhello' | " + socat), ::testing::MatchesRegex("OK [0-9]+\nhello"));
  EXPECT_THAT(shell("printf 'connect 7000\\r\\nagain' | " + socat), HasSubstr("\nagain"));
  EXPECT_EQ(shell("printf 'CONNECT 7001\\nhello' | " + socat + " 2>/dev/null"), "");
  EXPECT_EQ(shell("printf 'CONNECT x\\nhello' | " + socat + " 2>/dev/null"), "");
  EXPECT_EQ(shell("head -c 100000 /dev/urandom | " + socat + " 2>/dev/null"), "");
  // More than any buffer on the way.
  EXPECT_EQ(shell("(echo CONNECT 7000; head -c 20000000 /dev/zero) | " + socat + " | tail -n +2 | wc -c"), "20000000\n");
  adyton.close_input();
  EXPECT_EQ(adyton.finish(), 0) << adyton.errors();
  EXPECT_NE(::access(path.c_str(), F_OK), 0);
}

TEST_P(VsockSocket, TheGuestReachesWhoListensBesideIt) {
  const UniqueFd listener(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{.sun_family = AF_UNIX, .sun_path = {}};
  std::strcpy(address.sun_path, (path + "_7001").c_str());
  ASSERT_EQ(::bind(listener.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)), 0);
  ASSERT_EQ(::listen(listener.get(), 1), 0);
  const Finished done = [&] {
    Adyton adyton(arguments({probe(), "vsock-say", "7001", "7002"}));
    const int code = adyton.finish();
    return Finished{code, adyton.output(), adyton.errors()};
  }();
  EXPECT_EQ(done.code, 0) << done.errors;
  EXPECT_EQ(done.output, "7001: connected\n7002: refused\n");
  const UniqueFd accepted(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
  char text[64] = {};
  ssize_t size = 0;
  for (ssize_t got; (got = ::read(accepted.get(), text + size, sizeof(text) - static_cast<size_t>(size))) > 0;) size += got;
  EXPECT_STREQ(text, "hello from the guest\n");
}

INSTANTIATE_TEST_SUITE_P(Both, VsockSocket, ::testing::Bool(),
                         [](const auto& which) { return which.param ? "OfTheCli" : "OfTheService"; });

}  // namespace
}  // namespace adyton::e2e
