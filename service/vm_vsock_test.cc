// The vsock ports of a guest: connections both ways, and the Unix socket that stands for them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cstring>
#include <filesystem>
#include <future>

#include "service/testing/recorder.h"
#include "service/testing/vm_fixture.h"

namespace adyton::service {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;
using testing::read_all;
using testing::read_exactly;
using testing::VmTest;

// ---- ports -----------------------------------------------------------------------------------------------------------

TEST_F(VmTest, ConnectsToThePortsOfTheGuest) {
  make("", {}, {}, {.connect = 50ms});
  ASSERT_TRUE(start());
  auto stream = connect(7000);
  ASSERT_TRUE(stream);
  ASSERT_EQ(::write(stream->get(), "echo", 4), 4);
  EXPECT_EQ(read_exactly(stream->get(), 4), "echo");
  EXPECT_THAT(connect(1023).error().error.message, HasSubstr("1024"));
  EXPECT_THAT(connect(2000).error().error.message, HasSubstr("in time"));
  EXPECT_EQ(connect(2001).error().error.code, ErrorCode::kExhausted);
  ASSERT_TRUE(kill());
  EXPECT_EQ(read_all(stream->get()), "");
}

TEST_F(VmTest, ListenersGetTheConnectionsOfTheGuest) {
  make("dial:7000 dial:7001 dial:5000");
  std::promise<UniqueFd> listened;
  std::promise<UniqueFd> service;
  EXPECT_TRUE(listen(7000, [&](UniqueFd stream) { listened.set_value(std::move(stream)); }));
  EXPECT_EQ(listen(7000).error().problem, Problem::kInUse);
  EXPECT_FALSE(listen(5000));
  EXPECT_FALSE(listen(80));
  loop->call([&] { vm->on_guest_service([&](UniqueFd stream) { service.set_value(std::move(stream)); }); });
  ASSERT_TRUE(start());
  EXPECT_EQ(read_exactly(listened.get_future().get().get(), 15), "hello from 7000");
  EXPECT_EQ(read_exactly(service.get_future().get().get(), 15), "hello from 5000");
  loop->call([&] { vm->unlisten(7000); });
  EXPECT_TRUE(listen(7000));
}

TEST_F(VmTest, ListenersMayComeLate) {
  make("", {"hello", "wait"});
  ASSERT_TRUE(start());
  recorder->wait_for("started");
  std::promise<UniqueFd> listened;
  const auto late = listen(7000, [&](UniqueFd stream) { listened.set_value(std::move(stream)); });
  ASSERT_TRUE(late) << late.error().error.message;
  EXPECT_EQ(read_exactly(listened.get_future().get().get(), 15), "hello from 7000");
  EXPECT_EQ(listen(7000).error().problem, Problem::kInUse);
  EXPECT_EQ(listen(guest::kStdoutPort).error().problem, Problem::kInUse) << "its output goes to the log";
  EXPECT_EQ(listen(guest::kControlPort).error().error.code, ErrorCode::kInvalidArgument);
  ASSERT_TRUE(kill());
  EXPECT_EQ(listen(7001).error().problem, Problem::kWrongState);
}

TEST_F(VmTest, AListenerThatTheVmmRefusesIsNotThere) {
  make("at=listen:error");
  ASSERT_TRUE(start());
  EXPECT_THAT(listen(7000).error().error.message, HasSubstr("the kernel is not one"));
  EXPECT_THAT(listen(7000).error().error.message, HasSubstr("the kernel is not one"));
}

TEST_F(VmTest, ListenersAreLimited) {
  make("");
  for (uint32_t i = 0; i < Vm::kMaxListeners - 1; ++i) ASSERT_TRUE(listen(20000 + i));
  EXPECT_TRUE(start());
  EXPECT_TRUE(listen(30000));
  EXPECT_EQ(listen(30001).error().error.code, ErrorCode::kExhausted);
}
TEST_F(VmTest, SeqpacketConnectionsKeepTheirMessages) {
  make("");
  ASSERT_TRUE(start());
  auto socket = loop->await<Outcome<UniqueFd>>([&](auto done) {
    vm->connect(
        7000, [done](Outcome<UniqueFd> outcome) { done(std::move(outcome)); }, Vm::VsockType::kSeqpacket);
  });
  ASSERT_TRUE(socket);
  ASSERT_EQ(::write(socket->get(), "one", 3), 3);
  ASSERT_EQ(::write(socket->get(), "two", 3), 3);
  char bytes[16];
  EXPECT_EQ(::read(socket->get(), bytes, sizeof(bytes)), 3);
}

// ---- the socket of the vsock ports -------------------------------------------------------------------------------------

class VsockSocketTest : public VmTest {
 protected:
  VsockSocketTest() {
    char name[] = "/tmp/adyton-vsock-XXXXXX";
    folder = ::mkdtemp(name);
    path = folder + "/socket";
  }
  ~VsockSocketTest() override { std::filesystem::remove_all(folder); }
  void make_with_socket(const std::string& script) {
    make(script, {}, [this](VmSpec& spec) {
      spec.vsock_path = path;
      spec.vsock_required = true;
    });
  }
  static sockaddr_un address_of(const std::string& of) {
    sockaddr_un address{.sun_family = AF_UNIX, .sun_path = {}};
    std::memcpy(address.sun_path, of.data(), of.size());
    return address;
  }
  UniqueFd client(std::string_view line) {
    UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const sockaddr_un address = address_of(path);
    EXPECT_EQ(::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)), 0);
    EXPECT_EQ(::write(fd.get(), line.data(), line.size()), static_cast<ssize_t>(line.size()));
    return fd;
  }
  std::string folder;
  std::string path;
};

TEST_F(VsockSocketTest, ProgramsReachPortsOfTheGuest) {
  make_with_socket("");
  ASSERT_TRUE(start());
  EXPECT_EQ(loop->call([&] { return vm->info(); }).vsock_path, path);
  const UniqueFd stream = client("CONNECT 7000\nhello");
  EXPECT_EQ(read_exactly(stream.get(), 14 + 5), "OK 1073741824\nhello");
  EXPECT_EQ(read_all(client("CONNECT 2002\n").get()), "");
  EXPECT_EQ(read_all(client("GET /\n").get()), "");
  const UniqueFd waiting = client("CONN");
  ASSERT_TRUE(kill());
  EXPECT_EQ(read_all(waiting.get()), "");
  EXPECT_FALSE(std::filesystem::exists(path));
}

TEST_F(VsockSocketTest, TheGuestReachesWhoListensForItsPort) {
  const UniqueFd listener(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const sockaddr_un address = address_of(path + "_5001");
  ASSERT_EQ(::bind(listener.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)), 0);
  ASSERT_EQ(::listen(listener.get(), 1), 0);
  make_with_socket("ask:5001 ask:5002");
  ASSERT_TRUE(start());
  const UniqueFd accepted(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
  EXPECT_EQ(read_all(accepted.get()), "taken 5001\n");
  EXPECT_EQ(read_exactly(open_console().get(), 24), "taken 5001\nrefused 5002\n");
}

TEST_F(VsockSocketTest, AVmThatNeedsItDoesNotStartWithoutIt) {
  std::filesystem::create_directory(path);
  make_with_socket("");
  EXPECT_THAT(start().error().error.message, HasSubstr(path));
  make("", {}, [this](VmSpec& spec) { spec.vsock_path = path; });
  ASSERT_TRUE(start());
  EXPECT_EQ(loop->call([&] { return vm->info(); }).vsock_path, "");
}

}  // namespace
}  // namespace adyton::service
