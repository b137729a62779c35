#include "vmm/control/server.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <thread>

namespace adyton::vmm::control {
namespace {

// A VM that only records what it is told.
class FakeFactory final : public VmFactory {
 public:
  class Vm final : public ControlledVm {
   public:
    explicit Vm(FakeFactory& factory) : factory_(factory) {}
    ~Vm() override { factory_.destroyed = true; }
    Result<void> start() override {
      if (factory_.fail_start) return fail(ErrorCode::kExhausted, "no threads left");
      factory_.on_start(*factory_.observer);
      return {};
    }
    Result<UniqueFd> capture(UniqueFd ring, const Capture& what) override {
      if (what.ports.empty()) return fail(ErrorCode::kExhausted, "too many captures");
      return ring;
    }
    Result<void> attach_debugger(UniqueFd, bool hold) override {
      if (!factory_.debuggable) return ControlledVm::attach_debugger({}, hold);
      factory_.debuggers.push_back(hold);
      return {};
    }
    Result<UniqueFd> trace(UniqueFd rings, const Trace& what) override {
      if (what.ring_count != 2) return fail(ErrorCode::kInvalidArgument, "two rings");
      return rings;
    }
    Result<UniqueFd> connect(uint32_t port, VsockType type) override {
      factory_.connected_type = type;
      if (port != 80) return fail(ErrorCode::kUnavailable, "nobody listens");
      return UniqueFd(::open("/dev/null", O_RDWR | O_CLOEXEC));
    }
    void set_balloon(uint64_t bytes) override { factory_.balloon = bytes; }
    [[nodiscard]] Statistics statistics() const override { return {.vm_names = {"code_bytes"}, .vm = {42}}; }
    Result<void> listen(uint32_t port, VsockType) override {
      if (port == 1024) return fail(ErrorCode::kInvalidArgument, "the port has a listener already");
      factory_.calls.push_back("listen " + std::to_string(port));
      return {};
    }
    Result<void> suspend() override {
      factory_.calls.emplace_back("suspend");
      return {};
    }
    Result<void> resume() override {
      factory_.calls.emplace_back("resume");
      return {};
    }

    void connect_hybrid(uint32_t port, UniqueFd socket) override {
      factory_.hybrid_port = port;
      factory_.given = std::move(socket);
    }
    void answer(uint32_t question, UniqueFd socket) override {
      factory_.answered.push_back(question);
      factory_.given = std::move(socket);
    }

   private:
    FakeFactory& factory_;
  };

  Description describe() override { return {.backend = "fake", .isolation = "none"}; }
  Result<std::unique_ptr<ControlledVm>> create(const Configure& c, std::vector<UniqueFd> fds, VmObserver& o) override {
    if (c.memory > (1ull << 30)) return fail(ErrorCode::kExhausted, "too much memory");
    configuration = c;
    fd_count = fds.size();
    observer = &o;
    return std::make_unique<Vm>(*this);
  }

  Configure configuration;
  size_t fd_count = 0;
  VmObserver* observer = nullptr;
  bool debuggable = true;
  std::vector<bool> debuggers;  // hold
  std::function<void(VmObserver&)> on_start = [](VmObserver&) {};
  bool fail_start = false;
  bool destroyed = false;
  VsockType connected_type = VsockType::kStream;
  uint32_t hybrid_port = 0;
  uint64_t balloon = 0;
  std::vector<uint32_t> answered;
  UniqueFd given;
  std::vector<std::string> calls;
};

class ControlServerTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto sockets = *Socket::pair();
    client = std::move(sockets.first);
    server = std::make_unique<Server>(std::move(sockets.second), factory);
    thread = std::thread([this] {
      outcome = server->run();
      server.reset();
    });
  }
  void TearDown() override {
    client.take().reset();
    if (thread.joinable()) thread.join();
  }

  void send(Request request, std::span<const int> fds = {}) { ASSERT_TRUE(client.send(*encode(request), fds)); }
  Event receive(std::vector<UniqueFd>* fds = nullptr) {
    auto packet = client.receive();
    if (!packet) {
      ADD_FAILURE() << packet.error().message;
      return Ended{};
    }
    auto event = decode_event(packet->text, packet->fds.size());
    EXPECT_TRUE(event);
    if (fds != nullptr) *fds = std::move(packet->fds);
    return event ? *event : Event(Ended{});
  }
  Reply receive_reply(std::vector<UniqueFd>* fds = nullptr) {
    const Event event = receive(fds);
    if (const auto* reply = std::get_if<Reply>(&event)) return *reply;
    ADD_FAILURE() << "not a reply";
    return {};
  }
  void configure(uint64_t memory = 64 << 20) {
    UniqueFd null(::open("/dev/null", O_RDWR | O_CLOEXEC));
    const int fds[] = {null.get(), null.get()};
    send({.id = 1, .body = Configure{.cpus = 2, .memory = memory, .kernel = 0, .console_output = 1, .listen_ports = {1024}}},
         fds);
  }

  FakeFactory factory;
  Socket client;
  std::unique_ptr<Server> server;
  std::thread thread;
  Result<void> outcome;
};

TEST_F(ControlServerTest, ConfiguresStartsAndReportsTheEnd) {
  factory.on_start = [](VmObserver& observer) { observer.ended(EndReason::kShutdown, "bye"); };
  configure();
  EXPECT_FALSE(receive_reply().error);
  EXPECT_EQ(factory.configuration.cpus, 2u);
  EXPECT_EQ(factory.fd_count, 2u);
  send({.id = 2, .body = Start{}});
  const Reply started = receive_reply();
  EXPECT_EQ(started.id, 2u);
  EXPECT_FALSE(started.error);
  const Event end = receive();
  ASSERT_TRUE(std::holds_alternative<Ended>(end));
  EXPECT_EQ(std::get<Ended>(end).reason, EndReason::kShutdown);
  EXPECT_EQ(std::get<Ended>(end).message, "bye");
  thread.join();
  EXPECT_TRUE(outcome);
  EXPECT_TRUE(factory.destroyed);
}

TEST_F(ControlServerTest, TellsWhatItHasDoneOnceItIsConfigured) {
  send({.id = 5, .body = ReadStatistics{}});
  EXPECT_TRUE(receive_reply().error);
  configure();
  EXPECT_FALSE(receive_reply().error);
  send({.id = 6, .body = ReadStatistics{}});
  const Event event = receive();
  ASSERT_TRUE(std::holds_alternative<Statistics>(event));
  EXPECT_EQ(std::get<Statistics>(event).id, 6u);
  EXPECT_EQ(std::get<Statistics>(event).vm, std::vector<uint64_t>{42});
}

TEST_F(ControlServerTest, DescribesItselfAtAnyTime) {
  send({.id = 5, .body = Describe{}});
  const Event event = receive();
  ASSERT_TRUE(std::holds_alternative<Description>(event));
  EXPECT_EQ(std::get<Description>(event).id, 5u);
  EXPECT_EQ(std::get<Description>(event).backend, "fake");
  configure();
  EXPECT_FALSE(receive_reply().error);
}

TEST_F(ControlServerTest, AConfigurationThatFailsLeavesTheServerReady) {
  configure(2ull << 30);
  const Reply refused = receive_reply();
  ASSERT_TRUE(refused.error);
  EXPECT_EQ(refused.error->code, ErrorCode::kExhausted);
  EXPECT_EQ(refused.error->message, "too much memory");
  configure();
  EXPECT_FALSE(receive_reply().error);
}

// The descriptors of a packet that find no room are lost, but not the VM.
TEST_F(ControlServerTest, WithoutDescriptorsARequestFailsAndNoMore) {
  send({.id = 5, .body = Describe{}});
  (void)receive();  // it has made what it needs itself
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
  const UniqueFd null(::open("/dev/null", O_RDWR | O_CLOEXEC));
  const int fds[] = {null.get(), null.get()};
  rlimit few = before;
  few.rlim_cur = static_cast<rlim_t>(null.get()) + 1;
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &few), 0);
  send({.id = 1, .body = Configure{.cpus = 2, .memory = 64 << 20, .kernel = 0, .console_output = 1}}, fds);
  const Reply refused = receive_reply();
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);
  EXPECT_EQ(refused.id, 1u);
  ASSERT_TRUE(refused.error);
  EXPECT_EQ(refused.error->code, ErrorCode::kExhausted);
  EXPECT_NE(refused.error->message.find("descriptors"), std::string::npos);
  configure();
  EXPECT_FALSE(receive_reply().error);
}

TEST_F(ControlServerTest, RequestsOutOfOrderAreRefused) {
  send({.id = 1, .body = Start{}});
  EXPECT_TRUE(receive_reply().error);
  send({.id = 2, .body = Connect{.port = 80}});
  EXPECT_TRUE(receive_reply().error);
  const int input = 0;
  send({.id = 9, .body = Capture{.ring = 0, .ports = {7}}}, std::span(&input, 1));
  EXPECT_TRUE(receive_reply().error);
  send({.id = 10, .body = Trace{.rings = 0, .ring_count = 2, .categories = 1}}, std::span(&input, 1));
  EXPECT_TRUE(receive_reply().error);
  configure();
  EXPECT_FALSE(receive_reply().error);
  configure();
  EXPECT_TRUE(receive_reply().error);
  send({.id = 3, .body = Start{}});
  EXPECT_FALSE(receive_reply().error);
  send({.id = 4, .body = Start{}});
  EXPECT_TRUE(receive_reply().error);
}

TEST_F(ControlServerTest, StreamsPassInBothDirections) {
  configure();
  (void)receive_reply();
  factory.on_start = [](VmObserver& observer) {
    int ends[2];
    ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    UniqueFd guest(ends[0]);
    observer.accepted({.port = 1024}, UniqueFd(ends[1]));
    ASSERT_EQ(::write(guest.get(), "hi", 2), 2);
  };
  send({.id = 2, .body = Start{}});
  (void)receive_reply();
  std::vector<UniqueFd> fds;
  const Event event = receive(&fds);
  ASSERT_TRUE(std::holds_alternative<Accepted>(event));
  EXPECT_EQ(std::get<Accepted>(event).port, 1024u);
  ASSERT_EQ(fds.size(), 1u);
  char bytes[3] = {};
  EXPECT_EQ(::read(fds[0].get(), bytes, 2), 2);
  EXPECT_STREQ(bytes, "hi");
  send({.id = 3, .body = Connect{.port = 80}});
  EXPECT_FALSE(receive_reply(&fds).error);
  EXPECT_EQ(fds.size(), 1u);
  send({.id = 4, .body = Connect{.port = 81}});
  EXPECT_EQ(receive_reply(&fds).error->code, ErrorCode::kUnavailable);
  EXPECT_TRUE(fds.empty());
  const int input = 0;
  send({.id = 5, .body = Capture{.ring = 0, .ports = {7}}}, std::span(&input, 1));
  EXPECT_FALSE(receive_reply(&fds).error);
  EXPECT_EQ(fds.size(), 1u);
  send({.id = 6, .body = Capture{.ring = 0, .ports = {}}}, std::span(&input, 1));
  EXPECT_EQ(receive_reply(&fds).error->message, "too many captures");
  send({.id = 7, .body = Trace{.rings = 0, .ring_count = 2, .categories = 1}}, std::span(&input, 1));
  EXPECT_FALSE(receive_reply(&fds).error);
  EXPECT_EQ(fds.size(), 1u);
  send({.id = 8, .body = Trace{.rings = 0, .ring_count = 3, .categories = 1}}, std::span(&input, 1));
  EXPECT_EQ(receive_reply(&fds).error->message, "two rings");
}

TEST_F(ControlServerTest, DebuggersAttachOnceTheVmIsConfigured) {
  const int input = 0;
  send({.id = 1, .body = AttachDebugger{}}, std::span(&input, 1));
  EXPECT_EQ(receive_reply().error->message, "the VM is not configured");
  configure();
  (void)receive_reply();
  send({.id = 2, .body = AttachDebugger{.hold = true}}, std::span(&input, 1));
  EXPECT_FALSE(receive_reply().error);
  send({.id = 3, .body = Start{}});
  (void)receive_reply();
  send({.id = 4, .body = AttachDebugger{.hold = true}}, std::span(&input, 1));
  EXPECT_NE(receive_reply().error->message.find("runs already"), std::string::npos);
  send({.id = 5, .body = AttachDebugger{}}, std::span(&input, 1));
  EXPECT_FALSE(receive_reply().error);
  factory.debuggable = false;
  send({.id = 6, .body = AttachDebugger{}}, std::span(&input, 1));
  EXPECT_EQ(receive_reply().error->code, ErrorCode::kUnsupported);
  EXPECT_EQ(factory.debuggers, (std::vector<bool>{true, false}));
}

TEST_F(ControlServerTest, SocketsOfTheClientBecomeEndsOfConnections) {
  configure();
  (void)receive_reply();
  factory.on_start = [](VmObserver& observer) { observer.asked({.question = 7, .port = 5000, .type = VsockType::kSeqpacket}); };
  const UniqueFd null(::open("/dev/null", O_RDWR | O_CLOEXEC));
  const int fd = null.get();
  send({.id = 2, .body = Answer{.question = 1}});  // nothing runs that could have asked
  EXPECT_FALSE(receive_reply().error);
  EXPECT_TRUE(factory.answered.empty());
  send({.id = 3, .body = Start{}});
  (void)receive_reply();
  const Event event = receive();
  ASSERT_TRUE(std::holds_alternative<Asked>(event));
  EXPECT_EQ(std::get<Asked>(event).port, 5000u);
  send({.id = 4, .body = Answer{.question = 7, .socket = 0}}, std::span(&fd, 1));
  EXPECT_FALSE(receive_reply().error);
  EXPECT_TRUE(factory.given.valid());
  send({.id = 5, .body = Answer{.question = 8}});
  EXPECT_FALSE(receive_reply().error);
  EXPECT_FALSE(factory.given.valid());
  EXPECT_EQ(factory.answered, (std::vector<uint32_t>{7, 8}));
  send({.id = 6, .body = Connect{.port = 99, .socket = 0}}, std::span(&fd, 1));
  std::vector<UniqueFd> fds;
  EXPECT_FALSE(receive_reply(&fds).error);
  EXPECT_TRUE(fds.empty());
  EXPECT_EQ(factory.hybrid_port, 99u);
  EXPECT_TRUE(factory.given.valid());
  send({.id = 7, .body = Connect{.port = 80, .type = VsockType::kSeqpacket}});
  EXPECT_FALSE(receive_reply(&fds).error);
  EXPECT_EQ(factory.connected_type, VsockType::kSeqpacket);
}

TEST_F(ControlServerTest, ListensOnFurtherPorts) {
  send({.id = 1, .body = Listen{.port = 7}});
  EXPECT_TRUE(receive_reply().error);
  configure();
  EXPECT_FALSE(receive_reply().error);
  send({.id = 2, .body = Listen{.port = 7}});
  EXPECT_FALSE(receive_reply().error);
  send({.id = 3, .body = Listen{.port = 1024}});
  EXPECT_EQ(receive_reply().error->message, "the port has a listener already");
  EXPECT_EQ(factory.calls, std::vector<std::string>{"listen 7"});
}

TEST_F(ControlServerTest, SuspendsAndResumesWhatRuns) {
  configure();
  EXPECT_FALSE(receive_reply().error);
  send({.id = 2, .body = Suspend{}});
  EXPECT_TRUE(receive_reply().error);
  send({.id = 3, .body = Start{}});
  EXPECT_FALSE(receive_reply().error);
  send({.id = 4, .body = Suspend{}});
  EXPECT_FALSE(receive_reply().error);
  send({.id = 5, .body = Resume{}});
  EXPECT_FALSE(receive_reply().error);
  EXPECT_EQ(factory.calls, (std::vector<std::string>{"suspend", "resume"}));
}

TEST_F(ControlServerTest, StopEndsTheVm) {
  configure();
  (void)receive_reply();
  send({.id = 2, .body = Start{}});
  (void)receive_reply();
  send({.id = 3, .body = Stop{}});
  EXPECT_EQ(receive_reply().id, 3u);
  const Event end = receive();
  ASSERT_TRUE(std::holds_alternative<Ended>(end));
  EXPECT_EQ(std::get<Ended>(end).reason, EndReason::kStopped);
  thread.join();
  EXPECT_TRUE(factory.destroyed);
}

TEST_F(ControlServerTest, AStartThatFailsEndsTheVmWithTheReason) {
  factory.fail_start = true;
  configure();
  (void)receive_reply();
  send({.id = 2, .body = Start{}});
  (void)receive_reply();
  const Event end = receive();
  ASSERT_TRUE(std::holds_alternative<Ended>(end));
  EXPECT_EQ(std::get<Ended>(end).reason, EndReason::kInternalError);
  EXPECT_EQ(std::get<Ended>(end).message, "no threads left");
}

TEST_F(ControlServerTest, AClientThatIsGoneEndsTheVm) {
  configure();
  (void)receive_reply();
  send({.id = 2, .body = Start{}});
  (void)receive_reply();
  client.take().reset();
  thread.join();
  EXPECT_TRUE(outcome);
  EXPECT_TRUE(factory.destroyed);
}

TEST_F(ControlServerTest, GarbageEndsTheVmWithAnError) {
  configure();
  (void)receive_reply();
  ASSERT_TRUE(client.send("rubbish"));
  thread.join();
  ASSERT_FALSE(outcome);
  EXPECT_EQ(outcome.error().code, ErrorCode::kCorrupt);
  EXPECT_TRUE(factory.destroyed);
}

TEST_F(ControlServerTest, TheBalloonIsOfAConfiguredVm) {
  send({.id = 1, .body = SetBalloon{.bytes = 4096}});
  EXPECT_TRUE(receive_reply().error);
  const UniqueFd output(::open("/dev/null", O_RDWR | O_CLOEXEC));
  const int fd = output.get();
  send({.id = 2, .body = Configure{.memory = 1 << 28, .kernel = 0, .console_output = 0}}, std::span(&fd, 1));
  EXPECT_FALSE(receive_reply().error);
  send({.id = 3, .body = SetBalloon{.bytes = 1 << 20}});
  EXPECT_FALSE(receive_reply().error);
  EXPECT_EQ(factory.balloon, 1u << 20);
}

}  // namespace
}  // namespace adyton::vmm::control
