// The session of the guest's init, run on the host: socket pairs stand for vsock, /bin/sh for the payload, and this test for the host.
#include "guest/init/session.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <future>
#include <map>
#include <mutex>
#include <thread>

#include "guest/init/agent.h"

namespace adyton::guest {
namespace {

using ::testing::HasSubstr;

// Signals are blocked before any thread exists, as init does.
const bool kSignalsBlocked = [] {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGCHLD);
  sigaddset(&set, SIGPIPE);
  return ::sigprocmask(SIG_BLOCK, &set, nullptr) == 0;
}();

class HostSide {
 public:
  HostSide() {
    int ends[2];
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    control_.reset(ends[0]);
    guest_control_.reset(ends[1]);
    EXPECT_EQ(::fcntl(guest_control_.get(), F_SETFL, O_NONBLOCK), 0);
    EXPECT_EQ(::pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
    guest_agent_.reset(ends[0]);
    agent_.reset(ends[1]);
  }
  ~HostSide() {
    control_.reset();
    if (session_.valid()) session_.wait();
  }

  // Starts the session in a thread of its own and answers its Hello.
  void start(const ExecRequest& request) {
    SessionHooks hooks;
    hooks.connect = [this](uint32_t port) -> Result<UniqueFd> {
      int ends[2];
      if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) return fail_errno("socketpair");
      ::fcntl(ends[1], F_SETFL, O_NONBLOCK);
      const std::lock_guard guard(mutex_);
      streams_[port].reset(ends[0]);
      return UniqueFd(ends[1]);
    };
    hooks.prepare = [this](const ExecRequest&) -> Result<void> {
      if (!prepare_error_.empty()) return fail(ErrorCode::kNotFound, prepare_error_);
      return {};
    };
    hooks.kill_everything = [](pid_t payload) { ::kill(-payload, SIGKILL); };
    hooks.set_clock = [this](uint64_t wall_clock_ns) { clock_.set_value(wall_clock_ns); };
    hooks.start_agent = [this] { return std::move(guest_agent_); };
    hooks.grace_ns = grace_ns_;
    session_ = std::async(std::launch::async, [this, hooks = std::move(hooks)]() mutable {
      Hello hello;
      hello.kernel_release = "test";
      return Session(std::move(guest_control_), std::move(hooks)).run(hello);
    });
    EXPECT_TRUE(std::holds_alternative<Hello>(receive()));
    send(request);
  }

  void set_grace(std::chrono::nanoseconds grace) { grace_ns_ = static_cast<uint64_t>(grace.count()); }
  void agent_says(char what) { ASSERT_EQ(::write(agent_.get(), &what, 1), 1); }
  void agent_dies() { agent_.reset(); }
  uint64_t wait_for_clock() { return clock_.get_future().get(); }

  void send(const Message& message) {
    const auto bytes = encode(message);
    ASSERT_TRUE(bytes) << bytes.error().message;
    ASSERT_EQ(::send(control_.get(), bytes->data(), bytes->size(), MSG_NOSIGNAL), static_cast<ssize_t>(bytes->size()));
  }

  Message receive() {
    for (;;) {
      auto message = reader_.next();
      if (!message) {
        ADD_FAILURE() << message.error().message;
        return Kill{};
      }
      if (*message) return **message;
      uint8_t chunk[4096];
      const ssize_t size = ::read(control_.get(), chunk, sizeof chunk);
      if (size <= 0) {
        ADD_FAILURE() << "the guest closed the control connection";
        return Kill{};
      }
      reader_.append(std::span(chunk, static_cast<size_t>(size)));
    }
  }

  // The host's end of a stream. Streams exist once the first byte of the next message or stream can be expected, so wait for it.
  int stream(uint32_t port) {
    for (;;) {
      {
        const std::lock_guard guard(mutex_);
        if (const auto found = streams_.find(port); found != streams_.end()) return found->second.get();
      }
      std::this_thread::yield();
    }
  }
  void close_stream(uint32_t port) {
    stream(port);
    const std::lock_guard guard(mutex_);
    streams_[port].reset();
  }

  std::string read_to_end(uint32_t port) {
    std::string text;
    char chunk[65536];
    const int fd = stream(port);
    for (;;) {
      const ssize_t size = ::read(fd, chunk, sizeof chunk);
      if (size <= 0) return text;
      text.append(chunk, static_cast<size_t>(size));
    }
  }
  // Reads until `text` has been seen.
  std::string read_until(uint32_t port, std::string_view text) {
    std::string seen;
    char byte;
    while (seen.find(text) == std::string::npos && ::read(stream(port), &byte, 1) == 1) seen += byte;
    return seen;
  }
  void write(uint32_t port, std::string_view text) {
    ASSERT_EQ(::send(stream(port), text.data(), text.size(), MSG_NOSIGNAL), static_cast<ssize_t>(text.size()));
  }
  void end_input() { ::shutdown(stream(kStdinPort), SHUT_WR); }

  Result<void> finish() {
    control_.reset();
    return session_.get();
  }
  void fail_preparation(std::string why) { prepare_error_ = std::move(why); }
  void drop_control() { control_.reset(); }
  std::future<Result<void>>& session() { return session_; }

 private:
  UniqueFd control_;
  UniqueFd guest_control_;
  UniqueFd agent_;
  UniqueFd guest_agent_;
  std::promise<uint64_t> clock_;
  uint64_t grace_ns_ = SessionHooks().grace_ns;
  MessageReader reader_;
  std::mutex mutex_;
  std::map<uint32_t, UniqueFd> streams_;
  std::string prepare_error_;
  std::future<Result<void>> session_;
};

ExecRequest shell(const std::string& script) {
  ExecRequest request;
  request.program = "/bin/sh";
  request.argv = {"sh", "-c", script};
  request.uid = ::getuid();
  request.gid = ::getgid();
  return request;
}

TEST(Session, StreamsAreSeparateAndTheExitCodeArrivesAfterThem) {
  HostSide host;
  host.start(shell("cat; echo oops >&2; exit 7"));
  EXPECT_TRUE(std::holds_alternative<Started>(host.receive()));
  host.write(kStdinPort, "in and out");
  host.end_input();
  EXPECT_EQ(host.read_to_end(kStdoutPort), "in and out");
  EXPECT_EQ(host.read_to_end(kStderrPort), "oops\n");
  EXPECT_EQ(host.receive(), Message(Exited{false, 7, false}));
  EXPECT_TRUE(host.finish());
}

TEST(Session, ManyMegabytesArriveIntactInBothDirections) {
  HostSide host;
  host.start(shell("cat"));
  host.receive();
  std::string sent(size_t{32} << 20, '\0');
  uint64_t state = 1;
  for (char& byte : sent) byte = static_cast<char>((state = state * 6364136223846793005u + 1442695040888963407u) >> 56);
  std::thread writer([&] {
    for (size_t begin = 0; begin < sent.size();) {
      const ssize_t size = ::send(host.stream(kStdinPort), sent.data() + begin, sent.size() - begin, MSG_NOSIGNAL);
      if (size <= 0) break;
      begin += static_cast<size_t>(size);
    }
    host.end_input();
  });
  const std::string received = host.read_to_end(kStdoutPort);
  writer.join();
  EXPECT_TRUE(received == sent) << received.size() << " of " << sent.size();
  EXPECT_EQ(host.receive(), Message(Exited{false, 0, false}));
  EXPECT_TRUE(host.finish());
}

TEST(Session, SignalsReachTheProcessGroup) {
  HostSide host;
  // A busy loop: a shell that is about to wait for a child would run the trap only after it.
  host.start(shell("trap 'echo caught; exit 3' INT; echo ready; while :; do :; done"));
  host.receive();
  EXPECT_EQ(host.read_until(kStdoutPort, "ready\n"), "ready\n");
  host.send(Signal{SIGINT});
  EXPECT_EQ(host.read_to_end(kStdoutPort), "caught\n");
  EXPECT_EQ(host.receive(), Message(Exited{false, 3, false}));
}

TEST(Session, KillEndsThePayload) {
  HostSide host;
  host.start(shell("trap '' INT TERM; echo ready; while :; do sleep 100; done"));
  host.receive();
  host.read_until(kStdoutPort, "ready\n");
  host.send(Kill{});
  EXPECT_EQ(host.receive(), Message(Exited{true, SIGKILL, false}));
}

TEST(Session, DeathBySignalIsReported) {
  HostSide host;
  host.start(shell("kill -TERM $$"));
  host.receive();
  EXPECT_EQ(host.receive(), Message(Exited{true, SIGTERM, false}));
}

TEST(Session, WhatThePayloadLeavesRunningEndsWithIt) {
  HostSide host;
  host.start(shell("sleep 1000 & echo done"));
  host.receive();
  EXPECT_EQ(host.read_to_end(kStdoutPort), "done\n");  // though sleep had the pipe open
  EXPECT_EQ(host.receive(), Message(Exited{false, 0, false}));
}

TEST(Session, AHostThatStopsReadingBreaksThePipe) {
  HostSide host;
  host.start(shell("yes; exit $?"));
  host.receive();
  host.read_until(kStdoutPort, "y\n");
  host.close_stream(kStdoutPort);
  const Message last = host.receive();
  ASSERT_TRUE(std::holds_alternative<Exited>(last));
  EXPECT_NE(std::get<Exited>(last).exit_code(), 0);
}

TEST(Session, APayloadThatStopsReadingEndsTheInputStream) {
  HostSide host;
  host.start(shell("exec 0<&-; echo closed; while :; do sleep 100; done"));
  host.receive();
  host.read_until(kStdoutPort, "closed\n");
  pollfd entry{host.stream(kStdinPort), POLLRDHUP, 0};
  const std::string data(4096, 'x');
  // The guest stops receiving; a writer here sees EPIPE, at the latest when the socket's buffer is full.
  for (;;) {
    const ssize_t size = ::send(entry.fd, data.data(), data.size(), MSG_NOSIGNAL);
    if (size < 0) break;
  }
  EXPECT_EQ(errno, EPIPE);
  host.send(Kill{});
  EXPECT_EQ(host.receive(), Message(Exited{true, SIGKILL, false}));
}

TEST(Session, LosingTheHostEndsThePayload) {
  HostSide host;
  host.start(shell("echo $$; while :; do sleep 100; done"));
  host.receive();
  const pid_t pid = static_cast<pid_t>(std::stoi(host.read_until(kStdoutPort, "\n")));
  host.drop_control();
  const auto result = host.session().get();
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, ErrorCode::kUnavailable);
  ASSERT_EQ(::waitpid(pid, nullptr, 0), pid);
}

TEST(Session, EnvironmentAndDirectoryAreTheRequests) {
  HostSide host;
  ExecRequest request = shell("pwd; echo \"$A|$HOME|$PATH\"");
  request.program = "sh";  // through PATH
  request.env = {"A=b c", "PATH=/nowhere:/usr/bin:/bin"};
  request.workdir = "/usr";
  host.start(request);
  host.receive();
  EXPECT_EQ(host.read_to_end(kStdoutPort), std::string("/usr\nb c|") + (::getuid() == 0 ? "/root" : "/") + "|/nowhere:/usr/bin:/bin\n");
}

ExecFailed refused(const ExecRequest& request) {
  HostSide host;
  host.start(request);
  const Message message = host.receive();
  EXPECT_TRUE(std::holds_alternative<ExecFailed>(message));
  EXPECT_TRUE(host.finish());
  return std::holds_alternative<ExecFailed>(message) ? std::get<ExecFailed>(message) : ExecFailed{};
}

TEST(Session, SaysWhyThePayloadWasNotExecuted) {
  ExecRequest request = shell("");
  request.program = "/no/such/program";
  EXPECT_EQ(refused(request).exit_code, 127u);
  request.program = "surely-no-such-program";
  EXPECT_EQ(refused(request).exit_code, 127u);
  request.program = "/etc/passwd";
  EXPECT_EQ(refused(request).exit_code, 126u);
  request.program = "/";
  EXPECT_EQ(refused(request).exit_code, 126u);
  request = shell("");
  request.workdir = "/no/such/directory";
  const ExecFailed failure = refused(request);
  EXPECT_EQ(failure.exit_code, 125u);
  EXPECT_THAT(failure.message, HasSubstr("/no/such/directory"));
}

TEST(Session, AFailedPreparationIsOurError) {
  HostSide host;
  host.fail_preparation("no disk");
  host.start(shell("true"));
  EXPECT_EQ(host.receive(), Message(ExecFailed{0, 125, "no disk"}));
  EXPECT_TRUE(host.finish());
}

TEST(Session, ATerminalHasASizeAndTakesControlCharacters) {
  HostSide host;
  ExecRequest request = shell("stty -echo; stty size; test -t 0 && test -t 1 && test -t 2 && echo tty $TERM; cat; stty size; trap 'echo int; exit' INT; echo go; while :; do :; done");
  request.terminal = true;
  request.rows = 33;
  request.columns = 99;
  host.start(request);
  host.receive();
  EXPECT_EQ(host.read_until(kTerminalPort, "tty linux\r\n"), "33 99\r\ntty linux\r\n");
  host.send(WindowSize{44, 111});
  host.write(kTerminalPort, "line\n\x04");  // ^D ends cat
  EXPECT_EQ(host.read_until(kTerminalPort, "go\r\n"), "line\r\n44 111\r\ngo\r\n");
  host.write(kTerminalPort, "\x03");
  EXPECT_THAT(host.read_to_end(kTerminalPort), HasSubstr("int\r\n"));
  EXPECT_TRUE(std::holds_alternative<Exited>(host.receive()));
}

TEST(Session, EndOfTheHostsInputIsEndOfFileOnTheTerminal) {
  HostSide host;
  ExecRequest request = shell("cat; echo end");
  request.terminal = true;
  host.start(request);
  host.receive();
  ::shutdown(host.stream(kTerminalPort), SHUT_WR);
  EXPECT_EQ(host.read_to_end(kTerminalPort), "end\r\n");
  EXPECT_EQ(host.receive(), Message(Exited{false, 0, false}));
}

TEST(Session, TheAgentEndsThePayloadInOrder) {
  HostSide host;
  host.start(shell("trap 'echo last words; exit 5' TERM; echo ready; while :; do :; done"));
  host.receive();
  host.read_until(kStdoutPort, "ready\n");
  host.agent_says('?');  // is nothing that init knows
  host.agent_says(kAgentShutdown);
  EXPECT_EQ(host.read_to_end(kStdoutPort), "last words\n");
  EXPECT_EQ(host.receive(), Message(Exited{false, 5, false}));
  EXPECT_TRUE(host.finish());
}

TEST(Session, APayloadThatDoesNotEndIsKilledAfterAWhile) {
  HostSide host;
  host.set_grace(std::chrono::milliseconds(50));
  host.start(shell("trap '' TERM; echo ready; while :; do sleep 100; done"));
  host.receive();
  host.read_until(kStdoutPort, "ready\n");
  host.agent_says(kAgentShutdown);
  EXPECT_EQ(host.receive(), Message(Exited{true, SIGKILL, false}));
}

TEST(Session, TheHostSaysHowLongThePayloadHasToEnd) {
  HostSide host;
  host.start(shell("trap 'echo asked' TERM; echo ready; while :; do sleep 0.01; done"));
  host.receive();
  host.read_until(kStdoutPort, "ready\n");
  host.send(End{.grace_ms = UINT32_MAX});
  host.read_until(kStdoutPort, "asked\n");
  host.send(End{.grace_ms = 20});
  host.send(End{.grace_ms = 4'000'000});  // does not make it longer again
  EXPECT_EQ(host.read_to_end(kStdoutPort), "") << "it is asked once";
  EXPECT_EQ(host.receive(), Message(Exited{true, SIGKILL, false}));
}

TEST(Session, APayloadThatEndsInItsTimeHasItsOwnExitCode) {
  HostSide host;
  host.start(shell("trap 'echo last words; exit 5' TERM; echo ready; while :; do :; done"));
  host.receive();
  host.read_until(kStdoutPort, "ready\n");
  host.send(End{.grace_ms = 3'600'000});
  EXPECT_EQ(host.read_to_end(kStdoutPort), "last words\n");
  EXPECT_EQ(host.receive(), Message(Exited{false, 5, false}));
}

TEST(Session, AShellAtATerminalEndsToo) {
  HostSide host;
  host.set_grace(std::chrono::hours(1));
  ExecRequest request = shell("trap '' TERM; trap 'echo bye; exit 0' HUP; echo ready; while :; do :; done");
  request.terminal = true;
  host.start(request);
  host.receive();
  host.read_until(kTerminalPort, "ready\r\n");
  host.agent_says(kAgentShutdown);
  EXPECT_THAT(host.read_to_end(kTerminalPort), HasSubstr("bye"));
  EXPECT_EQ(host.receive(), Message(Exited{false, 0, false}));
}

TEST(Session, TheAgentsEndMeansNothing) {
  HostSide host;
  host.start(shell("cat"));
  host.receive();
  host.agent_dies();
  host.write(kStdinPort, "still here");
  host.end_input();
  EXPECT_EQ(host.read_to_end(kStdoutPort), "still here");
  EXPECT_EQ(host.receive(), Message(Exited{false, 0, false}));
}

TEST(Session, TheHostSetsTheClock) {
  HostSide host;
  host.start(shell("cat"));
  host.receive();
  host.send(SetClock{.wall_clock_ns = 1234});
  EXPECT_EQ(host.wait_for_clock(), 1234u);
  host.end_input();
  EXPECT_EQ(host.receive(), Message(Exited{false, 0, false}));
}

TEST(Session, GarbageFromTheHostEndsTheSession) {
  HostSide host;
  host.start(shell("while :; do sleep 100; done"));
  host.receive();
  host.send(Hello{});
  const auto result = host.session().get();
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, ErrorCode::kCorrupt);
  while (::waitpid(-1, nullptr, WNOHANG) > 0) continue;
}

}  // namespace
}  // namespace adyton::guest
