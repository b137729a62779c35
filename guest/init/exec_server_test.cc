// The exec server on the host: Unix sockets in the abstract name space stand for vsock ports, and this test for the host.
#include "guest/init/exec_server.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <functional>

#include "guest/exec_protocol.h"

namespace adyton::guest {
namespace {

using ::testing::ElementsAre;

sockaddr_un address_of(pid_t owner, uint32_t port) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::string name = fmt::format("adyton-exec-test-{}-{}", owner, port);
  name.copy(address.sun_path + 1, sizeof address.sun_path - 2);
  return address;
}

Result<Listener> listen_on(pid_t owner, uint32_t port) {
  Listener listener{UniqueFd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)), port, {}};
  const sockaddr_un address = address_of(owner, port);
  if (::bind(listener.socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 || ::listen(listener.socket.get(), 8) != 0) {
    return fail_errno("listening");
  }
  return listener;
}

// The server in a process of its own; ports that it opens are its children's process ids.
class ExecServerTest : public ::testing::Test {
 protected:
  void SetUp() override {
    start([] {});
  }
  void TearDown() override { stop(); }

  // `first` runs in the server's process.
  void start(const std::function<void()>& first) {
    auto listener = listen_on(::getpid(), kExecPort);
    ASSERT_TRUE(listener) << listener.error().message;
    const pid_t owner = ::getpid();
    server_ = ::fork();
    ASSERT_GE(server_, 0);
    if (server_ == 0) {
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);
      sigset_t children;
      sigemptyset(&children);
      sigaddset(&children, SIGCHLD);
      ::sigprocmask(SIG_BLOCK, &children, nullptr);
      first();
      ExecServer(std::move(*listener), [owner] { return listen_on(owner, static_cast<uint32_t>(::getpid())); }, {"PLACE=guest", "KEPT=yes"}).run();
      ::_exit(0);
    }
  }
  void stop() {
    ::kill(server_, SIGKILL);
    ::waitpid(server_, nullptr, 0);
  }

  static UniqueFd connect(uint32_t port) {
    UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const sockaddr_un address = address_of(::getpid(), port);
    EXPECT_EQ(::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
    return fd;
  }

  pid_t server_ = -1;
};

class Conversation {
 public:
  explicit Conversation(UniqueFd control) : control_(std::move(control)) {}

  void send(const Message& message) {
    const auto bytes = encode(message);
    ASSERT_TRUE(bytes);
    ASSERT_EQ(::send(control_.get(), bytes->data(), bytes->size(), MSG_NOSIGNAL), static_cast<ssize_t>(bytes->size()));
  }
  template <typename T>
  T receive() {
    for (;;) {
      auto message = reader_.next();
      if (message && *message) {
        if (auto* wanted = std::get_if<T>(&**message)) return *wanted;
        ADD_FAILURE() << "another message";
        return {};
      }
      uint8_t bytes[4096];
      const ssize_t size = ::recv(control_.get(), bytes, sizeof bytes, 0);
      if (size <= 0 || !message) {
        ADD_FAILURE() << "the server closed the connection";
        return {};
      }
      reader_.append(std::span(bytes, static_cast<size_t>(size)));
    }
  }
  void close() { control_.reset(); }

 private:
  UniqueFd control_;
  MessageReader reader_;
};

std::string read_all(const UniqueFd& fd) {
  std::string text;
  char bytes[4096];
  for (ssize_t size; (size = ::read(fd.get(), bytes, sizeof bytes)) > 0;) text.append(bytes, static_cast<size_t>(size));
  return text;
}

ExecRequest shell(const std::string& script) {
  ExecRequest request;
  request.program = "/bin/sh";
  request.argv = {"sh", "-c", script};
  request.uid = ::getuid();
  request.gid = ::getgid();
  return request;
}

TEST_F(ExecServerTest, RunsAProgramWithStreamsThatTheHostConnects) {
  Conversation host(connect(kExecPort));
  const Hello hello = host.receive<Hello>();
  ASSERT_NE(hello.stream_port, 0u);
  ExecRequest request = shell("cat; echo $PLACE $KEPT >&2; exit 3");
  request.env = {"PLACE=here"};
  host.send(request);
  host.receive<Started>();
  UniqueFd in = connect(hello.stream_port), out = connect(hello.stream_port), err = connect(hello.stream_port);
  ASSERT_EQ(::write(in.get(), "hello", 5), 5);
  ::shutdown(in.get(), SHUT_WR);
  EXPECT_EQ(read_all(out), "hello");
  EXPECT_EQ(read_all(err), "here yes\n");
  EXPECT_EQ(host.receive<Exited>(), (Exited{false, 3, false}));
}

TEST_F(ExecServerTest, ServesManyAtOnce) {
  std::vector<Conversation> hosts;
  std::vector<Hello> hellos;
  for (int i = 0; i < 4; ++i) {
    hosts.emplace_back(connect(kExecPort));
    hellos.push_back(hosts.back().receive<Hello>());
  }
  for (size_t i = 4; i-- > 0;) {
    hosts[i].send(shell(fmt::format("exit {}", i)));
    hosts[i].receive<Started>();
    const UniqueFd in = connect(hellos[i].stream_port), out = connect(hellos[i].stream_port), err = connect(hellos[i].stream_port);
    EXPECT_EQ(hosts[i].receive<Exited>().value, i);
  }
}

TEST_F(ExecServerTest, SaysWhatCannotBeExecuted) {
  Conversation host(connect(kExecPort));
  host.receive<Hello>();
  ExecRequest request = shell("");
  request.program = "/nonexistent";
  host.send(request);
  EXPECT_EQ(host.receive<ExecFailed>().exit_code, static_cast<uint32_t>(kExitNotFound));
}

TEST_F(ExecServerTest, EndsTheProgramOfAHostThatLeaves) {
  Conversation host(connect(kExecPort));
  const Hello hello = host.receive<Hello>();
  host.send(shell("echo started; exec sleep 1000"));
  host.receive<Started>();
  const UniqueFd in = connect(hello.stream_port), out = connect(hello.stream_port), err = connect(hello.stream_port);
  char first;
  ASSERT_EQ(::read(out.get(), &first, 1), 1);
  host.close();
  EXPECT_EQ(read_all(out), "tarted\n");  // and its end: the program is gone
}

TEST_F(ExecServerTest, AReaderThatStopsHoldsUpItsOwnProgramAndNoOther) {
  Conversation stalled(connect(kExecPort));
  const Hello hello = stalled.receive<Hello>();
  stalled.send(shell("exec yes"));
  stalled.receive<Started>();
  const UniqueFd in = connect(hello.stream_port), out = connect(hello.stream_port), err = connect(hello.stream_port);
  char first;
  ASSERT_EQ(::read(out.get(), &first, 1), 1);  // and no more
  {
    Conversation other(connect(kExecPort));
    const Hello greeting = other.receive<Hello>();
    other.send(shell("head -c 1000000 /dev/zero"));
    other.receive<Started>();
    const UniqueFd its_in = connect(greeting.stream_port), its_out = connect(greeting.stream_port), its_err = connect(greeting.stream_port);
    EXPECT_EQ(read_all(its_out).size(), 1'000'000u);
    EXPECT_EQ(other.receive<Exited>().value, 0u);
  }
  stalled.close();
  EXPECT_LT(read_all(out).size(), size_t{4} << 20) << "more was kept for it than a pipe, a socket and a buffer hold";
}

// What the payload has used up for a while must not cost the VM its exec and cp for good.
TEST_F(ExecServerTest, GoesOnWhenThereIsADescriptorAgain) {
  stop();
  int ends[2];
  ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
  const UniqueFd words(ends[0]);
  UniqueFd writer(ends[1]);
  rlimit limit{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &limit), 0);
  start([&] {
    ::dup2(writer.get(), STDERR_FILENO);
    const rlimit one{1, limit.rlim_max};  // poll(2) needs that
    ::setrlimit(RLIMIT_NOFILE, &one);
  });
  writer.reset();
  Conversation host(connect(kExecPort));
  char first;
  ASSERT_EQ(::read(words.get(), &first, 1), 1);  // it has complained
  ASSERT_EQ(::prlimit(server_, RLIMIT_NOFILE, &limit, nullptr), 0);
  EXPECT_NE(host.receive<Hello>().stream_port, 0u);
}

// A copy is no program, but ends as one does.
TEST_F(ExecServerTest, ACopyWhoseReaderLeavesEnds) {
  Conversation host(connect(kExecPort));
  const Hello hello = host.receive<Hello>();
  ExecRequest request = shell("");
  request.operation = Operation::kSendTree;
  const std::string path = fmt::format("/proc/{}/exe", ::getpid());  // more than all that is on the way holds
  request.program = path;
  request.argv = {path, "follow"};
  host.send(request);
  host.receive<Started>();
  const UniqueFd in = connect(hello.stream_port);
  UniqueFd out = connect(hello.stream_port);
  const UniqueFd err = connect(hello.stream_port);
  char first;
  ASSERT_EQ(::read(out.get(), &first, 1), 1);
  out.reset();
  EXPECT_NE(host.receive<Exited>().exit_code(), 0);
}

TEST(WithDefaults, AddsWhatIsNotSet) {
  EXPECT_THAT(with_defaults({"A=1", "AB=2"}, {"A=3", "B=4"}), ElementsAre("A=1", "AB=2", "B=4"));
}

}  // namespace
}  // namespace adyton::guest
