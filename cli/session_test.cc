#include "cli/session.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>
#include <future>
#include <thread>

#include "cli/direct_vm.h"
#include "cli/testing/guest_and_user.h"

namespace adyton::cli {
namespace {

using testing::make_pipe;
using testing::make_stream;
using testing::read_all;
using testing::write_all;
using ::testing::HasSubstr;
using namespace vmm::control;

// The test plays everybody but the session: the VM's process, the guest and the user.
class SessionTest : public testing::GuestAndUser {
 protected:
  void start(bool payload = true, std::function<void(SessionConfig&)> change = {}) {
    auto sockets = *Socket::pair();
    session_end = std::move(sockets.first);
    vmm = std::move(sockets.second);
    auto console = payload ? make_pipe() : make_stream();
    console_end = std::move(console.b);
    SessionConfig config;
    DirectVmConfig direct;
    direct.vm = Configure{.cpus = 1, .memory = 1 << 20, .kernel = 0, .console_output = 0, .listen_ports = {}};
    direct.fds.emplace_back(::open("/dev/null", O_RDWR | O_CLOEXEC));
    config.payload = payload;
    config.console = std::move(console.a);
    config.stdio = make_user();
    config.signals = signals_out.get();
    if (change) change(config);
    if (payload) {
      direct.request = guest::ExecRequest{.program = "/hello", .argv = {"hello"}, .terminal = config.payload_terminal};
    }
    auto made = std::make_shared<SessionConfig>(std::move(config));
    auto vm = std::make_shared<DirectVm>(std::move(direct), session_end);
    outcome = std::async(std::launch::async, [this, made, vm] {
      Session session(std::move(*made), *vm, log, progress);
      return session.run();
    });
  }

  Request take_request() {
    auto packet = vmm.receive();
    if (!packet) {
      ADD_FAILURE() << packet.error().message;
      return {};
    }
    return *decode_request(packet->text, packet->fds.size());
  }
  void say(const Event& event, std::span<const int> fds = {}) { ASSERT_TRUE(vmm.send(*encode(event), fds)); }

  void boot() {
    const Request configure = take_request();
    ASSERT_TRUE(std::holds_alternative<Configure>(configure.body));
    say(Reply{.id = configure.id, .error = {}});
    const Request begin = take_request();
    ASSERT_TRUE(std::holds_alternative<Start>(begin.body));
    say(Reply{.id = begin.id, .error = {}});
  }
  UniqueFd connect(uint32_t port) {
    auto stream = make_stream();
    const int fd = stream.b.get();
    say(Accepted{.port = port}, std::span(&fd, 1));
    return std::move(stream.a);
  }
  void hello() {
    control = connect(guest::kControlPort);
    tell(guest::Hello{.kernel_release = "6.1"});
    auto request = hear();
    ASSERT_TRUE(std::holds_alternative<guest::ExecRequest>(request));
    EXPECT_EQ(std::get<guest::ExecRequest>(request).program, "/hello");
  }
  void connect_streams() {
    stdin_stream = connect(guest::kStdinPort);
    stdout_stream = connect(guest::kStdoutPort);
    stderr_stream = connect(guest::kStderrPort);
  }
  void run_payload() {
    boot();
    hello();
    connect_streams();
    tell(guest::Started{.pid = 2});
  }
  void end_payload(guest::Exited exited) {
    ::shutdown(stdout_stream.get(), SHUT_WR);
    ::shutdown(stderr_stream.get(), SHUT_WR);
    tell(exited);
  }
  void lose_vm() {
    console_end.reset();
    stdin_stream.reset();
    stdout_stream.reset();
    stderr_stream.reset();
    control.reset();
    vmm.take().reset();
  }

  Socket session_end, vmm;
  UniqueFd console_end, stdin_stream, stdout_stream, stderr_stream;
  ConsoleLog log;
  Progress progress{-1, false};
  std::future<Outcome> outcome;
};

TEST_F(SessionTest, APayloadRunsAndItsStreamsStaySeparate) {
  start();
  run_payload();
  write_all(user_in.get(), "question");
  user_in.reset();
  EXPECT_EQ(read_all(stdin_stream.get()), "question");
  write_all(stdout_stream.get(), "answer");
  write_all(stderr_stream.get(), "complaint");
  end_payload({.value = 7});
  const Outcome end = outcome.get();
  EXPECT_EQ(end.exit_code, 7);
  EXPECT_EQ(end.message, "");
  EXPECT_EQ(read_all(user_out.get()), "answer");
  EXPECT_EQ(read_all(user_err.get()), "complaint");
  char byte;
  EXPECT_EQ(::read(control.get(), &byte, 1), 0) << "the guest was not told that it may power off";
}

TEST_F(SessionTest, StreamsThatAreReportedLateAreWaitedFor) {
  start();
  boot();
  hello();
  tell(guest::Started{.pid = 2});
  tell(guest::Exited{.value = 0});
  connect_streams();
  write_all(stdout_stream.get(), "late");
  ::shutdown(stdout_stream.get(), SHUT_WR);
  ::shutdown(stderr_stream.get(), SHUT_WR);
  EXPECT_EQ(outcome.get().exit_code, 0);
  EXPECT_EQ(read_all(user_out.get()), "late");
}

TEST_F(SessionTest, ASignalledPayloadExitsLikeInAShell) {
  start();
  run_payload();
  end_payload({.signalled = true, .value = SIGSEGV});
  EXPECT_EQ(outcome.get().exit_code, 128 + SIGSEGV);
}

TEST_F(SessionTest, AWritableGuestMayPowerOffFirst) {
  start(true, [](SessionConfig& config) { config.wait_for_power_off = true; });
  run_payload();
  end_payload({.value = 3});
  char byte;
  EXPECT_EQ(::read(control.get(), &byte, 1), 0);
  EXPECT_EQ(outcome.wait_for(std::chrono::milliseconds(0)), std::future_status::timeout);
  say(Ended{.reason = EndReason::kShutdown, .message = ""});
  EXPECT_EQ(outcome.get().exit_code, 3);
}

TEST_F(SessionTest, APayloadThatCannotBeExecutedHasItsOwnCode) {
  start();
  boot();
  hello();
  tell(guest::ExecFailed{.error_number = ENOENT, .exit_code = 127, .message = "no such\x1b program"});
  const Outcome end = outcome.get();
  EXPECT_EQ(end.exit_code, 127);
  EXPECT_EQ(end.message, "no such  program");
}

TEST_F(SessionTest, SignalsGoToThePayload) {
  start();
  run_payload();
  signal(SIGTERM);
  const auto message = hear();
  ASSERT_TRUE(std::holds_alternative<guest::Signal>(message));
  EXPECT_EQ(std::get<guest::Signal>(message).number, static_cast<uint32_t>(SIGTERM));
  end_payload({.signalled = true, .value = SIGTERM});
  EXPECT_EQ(outcome.get().exit_code, 143);
}

TEST_F(SessionTest, ASecondInterruptEndsTheVm) {
  start();
  run_payload();
  signal(SIGINT);
  EXPECT_TRUE(std::holds_alternative<guest::Signal>(hear()));
  signal(SIGINT);
  const Outcome end = outcome.get();
  EXPECT_EQ(end.exit_code, 130);
  EXPECT_THAT(end.message, HasSubstr("twice"));
}

TEST_F(SessionTest, AnInterruptWhileBootingEndsTheVm) {
  start();
  boot();
  signal(SIGINT);
  EXPECT_EQ(outcome.get().exit_code, 130);
}

TEST_F(SessionTest, AKernelPanicIsNamed) {
  start();
  boot();
  write_all(console_end.get(), "[ 1.0] Kernel panic - not syncing: No working init found.\r\n[ 1.1] CPU: 0\r\n");
  say(Ended{.reason = EndReason::kReset, .message = ""});
  lose_vm();
  const Outcome end = outcome.get();
  EXPECT_EQ(end.exit_code, 125);
  EXPECT_EQ(end.message, "the guest's kernel panicked: No working init found.");
}

TEST_F(SessionTest, AResetIsNotSuccess) {
  start();
  run_payload();
  write_all(stdout_stream.get(), "before");
  say(Ended{.reason = EndReason::kReset, .message = ""});
  lose_vm();
  const Outcome end = outcome.get();
  EXPECT_EQ(end.exit_code, 125);
  EXPECT_THAT(end.message, HasSubstr("reset"));
  EXPECT_EQ(read_all(user_out.get()), "before");
}

TEST_F(SessionTest, AnInternalErrorIsReported) {
  start();
  boot();
  say(Ended{.reason = EndReason::kInternalError, .message = "out of code cache"});
  lose_vm();
  EXPECT_EQ(outcome.get().message, "internal error in the VM: out of code cache");
}

TEST_F(SessionTest, AForbiddenCallIsNamed) {
  start();
  run_payload();
  say(Ended{.reason = EndReason::kForbiddenCall,
            .message = "it made the system call openat, which its sandbox forbids (thread vcpu0)"});
  lose_vm();
  const Outcome end = outcome.get();
  EXPECT_EQ(end.exit_code, 125);
  EXPECT_EQ(end.message,
            "the virtual machine monitor was stopped: it made the system call openat, which its sandbox forbids (thread vcpu0)");
}

TEST_F(SessionTest, AVmThatDiesSilentlyIsNoticed) {
  start();
  run_payload();
  lose_vm();
  const Outcome end = outcome.get();
  EXPECT_EQ(end.exit_code, 125);
  EXPECT_TRUE(end.vm_lost);
}

TEST_F(SessionTest, AConfigurationThatIsRefusedIsTheUsersToSee) {
  start();
  const Request configure = take_request();
  say(Reply{.id = configure.id, .error = Error{ErrorCode::kInvalidArgument, "'x' is not an arm64 Image"}});
  const Outcome end = outcome.get();
  EXPECT_EQ(end.exit_code, 125);
  EXPECT_EQ(end.message, "'x' is not an arm64 Image");
}

TEST_F(SessionTest, AFullDiskIsOurErrorNotThePayloads) {
  start(true, [](SessionConfig& config) { config.stdio[1].reset(::open("/dev/full", O_WRONLY | O_CLOEXEC)); });
  run_payload();
  write_all(stdout_stream.get(), "does not fit");
  const Outcome end = outcome.get();
  EXPECT_EQ(end.exit_code, 125);
  EXPECT_EQ(end.message, "cannot write standard output: No space left on device");
}

TEST_F(SessionTest, AReaderThatWentAwayReachesThePayload) {
  start();
  run_payload();
  user_out.reset();
  write_all(stdout_stream.get(), "unread");
  pollfd closed{.fd = stdout_stream.get(), .events = 0, .revents = 0};
  ASSERT_EQ(::poll(&closed, 1, -1), 1);
  EXPECT_EQ(::send(stdout_stream.get(), "x", 1, MSG_NOSIGNAL), -1);
  end_payload({.signalled = true, .value = SIGPIPE});
  EXPECT_EQ(outcome.get().exit_code, 141);
}

TEST_F(SessionTest, ADeadlineEndsTheVm) {
  start(true, [](SessionConfig& config) { config.timeout = std::chrono::milliseconds(1); });
  const Outcome end = outcome.get();
  EXPECT_EQ(end.exit_code, 125);
  EXPECT_THAT(end.message, HasSubstr("--timeout"));
}

TEST_F(SessionTest, AGuestThatTalksNonsenseIsRefused) {
  start();
  boot();
  control = connect(guest::kControlPort);
  write_all(control.get(), std::string(64, '\xff'));
  EXPECT_EQ(outcome.get().exit_code, 125);
}

TEST_F(SessionTest, AGuestThatSkipsStepsIsRefused) {
  start();
  boot();
  control = connect(guest::kControlPort);
  tell(guest::Exited{.value = 0});
  EXPECT_EQ(outcome.get().exit_code, 125);
}

TEST_F(SessionTest, StreamsNobodyAskedForAreClosed) {
  start();
  boot();
  UniqueFd stray = connect(4711);
  UniqueFd terminal = connect(guest::kTerminalPort);
  char byte;
  EXPECT_EQ(::read(stray.get(), &byte, 1), 0);
  EXPECT_EQ(::read(terminal.get(), &byte, 1), 0);
  signal(SIGTERM);
  EXPECT_EQ(outcome.get().exit_code, 143);
}

TEST_F(SessionTest, ARawVmOwnsTheConsole) {
  start(/*payload=*/false);
  boot();
  write_all(console_end.get(), "login: ");
  write_all(user_in.get(), "root\r");
  char buffer[8] = {};
  ASSERT_EQ(::read(console_end.get(), buffer, 5), 5);
  EXPECT_STREQ(buffer, "root\r");
  say(Ended{.reason = EndReason::kShutdown, .message = ""});
  lose_vm();
  const Outcome end = outcome.get();
  EXPECT_EQ(end.exit_code, 0);
  EXPECT_EQ(end.message, "");
  EXPECT_EQ(read_all(user_out.get()), "login: ");
}

TEST_F(SessionTest, ARawVmThatPanicsIsAnError) {
  start(/*payload=*/false);
  boot();
  write_all(console_end.get(), "Kernel panic - not syncing: Attempted to kill init!\n");
  say(Ended{.reason = EndReason::kReset, .message = ""});
  lose_vm();
  EXPECT_EQ(outcome.get().exit_code, 125);
}

// With a terminal the payload has one stream; the user's side is an ordinary pipe here, as a terminal needs no more from us.
TEST_F(SessionTest, ATerminalIsOneStreamInBothDirections) {
  start(true, [](SessionConfig& config) { config.payload_terminal = true; });
  boot();
  hello();
  UniqueFd terminal = connect(guest::kTerminalPort);
  tell(guest::Started{.pid = 2});
  write_all(user_in.get(), "\x03");
  char byte = 0;
  ASSERT_EQ(::read(terminal.get(), &byte, 1), 1);
  EXPECT_EQ(byte, 3);
  write_all(terminal.get(), "^C\r\n$ ");
  char shown[7] = {};
  for (size_t have = 0; have < 6;) {
    const ssize_t got = ::read(user_out.get(), shown + have, 6 - have);
    ASSERT_GT(got, 0);
    have += static_cast<size_t>(got);
  }
  write_all(user_in.get(), "\x03");  // the shell answered: it lives
  ASSERT_EQ(::read(terminal.get(), &byte, 1), 1);
  write_all(user_in.get(), "\x03");  // no answer
  EXPECT_EQ(outcome.get().exit_code, 130);
}

}  // namespace
}  // namespace adyton::cli
