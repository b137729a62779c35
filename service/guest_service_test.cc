#include "service/guest_service.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <csignal>
#include <future>
#include <thread>

#include "adyton/virtualmachineservice/IGuestAgent.h"
#include "adyton/virtualmachineservice/IVirtualMachineService.h"
#include "rpc/session.h"
#include "service/testing/recorder.h"

namespace adyton::service {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using virtualizationcommon::ErrorCode;
using virtualmachineservice::IGuestAgentStub;
using virtualmachineservice::IVirtualMachineService;

class Agent final : public IGuestAgentStub {
 public:
  explicit Agent(std::function<void()> on_shutdown) : on_shutdown_(std::move(on_shutdown)) {}
  rpc::Reply<> shutdownAsync() override {
    on_shutdown_();
    return {};
  }
  rpc::Reply<> trimAsync() override {
    trimmed.set_value();
    return {};
  }
  std::promise<void> trimmed;

 private:
  std::function<void()> on_shutdown_;
};

// The test is the guest.
class GuestServiceTest : public ::testing::Test {
 protected:
  GuestServiceTest() {
    ::signal(SIGPIPE, SIG_IGN);
    VmSpec spec;
    spec.name = "test";
    spec.machine.memory = 1 << 20;
    spec.machine.kernel = 0;
    spec.fds.emplace_back(::open("/dev/null", O_RDONLY | O_CLOEXEC));
    loop->call([&] {
      vm = std::make_shared<Vm>(*loop, ADYTON_FAKE_VMM, 2048, std::move(spec), Vm::Holdings{});
      EXPECT_TRUE(vm->observe(recorder));
      handler = guest_service(*loop, queues, *queues.make("janitor"), vm);
    });
    EXPECT_TRUE(loop->await<Outcome<>>([&](auto done) { vm->start(done); }));
  }
  ~GuestServiceTest() override {
    loop->call([&] {
      vm.reset();
      handler = nullptr;
    });
    queues.wait();  // what they still do is told to the loop
    loop.reset();
  }
  rpc::Connector connector() {
    return [this]() -> Result<UniqueFd> {
      int ends[2];
      if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) return fail_errno("socketpair");
      loop->call([&] { handler(UniqueFd(ends[0])); });
      return UniqueFd(ends[1]);
    };
  }
  std::shared_ptr<IVirtualMachineService> connect() {
    session = *rpc::Session::connect(connector(), {.outgoing_connections = 1, .incoming_connections = 1});
    return IVirtualMachineService::from_binder(*session->root());
  }

  CallQueues queues;
  std::unique_ptr<EventLoop> loop = *EventLoop::start();
  std::shared_ptr<Vm> vm;
  std::shared_ptr<testing::Recorder> recorder = std::make_shared<testing::Recorder>();
  Vm::StreamHandler handler;
  std::shared_ptr<rpc::Session> session;
};

TEST_F(GuestServiceTest, TheGuestTellsItsStates) {
  auto service = connect();
  ASSERT_TRUE(service->notifyPayloadStarted());
  ASSERT_TRUE(service->notifyPayloadReady());
  ASSERT_TRUE(service->notifyError(ErrorCode::PAYLOAD_CHANGED, "it is\nanother"));
  ASSERT_TRUE(service->notifyPayloadFinished(5));
  ASSERT_TRUE(service->notifyPayloadReady());
  recorder->wait_for("finished 5");
  EXPECT_THAT(recorder->events(), ElementsAre("started", "ready", "error 2: it is?another", "finished 5"));
  EXPECT_EQ(loop->call([&] { return vm->state(); }), VmState::kFinished);
}

TEST_F(GuestServiceTest, TheAgentIsCalled) {
  auto service = connect();
  auto agent = std::make_shared<Agent>([this] {
    loop->post([this] { vm->kill({DeathReason::kShutdown, "as the agent was asked"}, [](const Outcome<>&) {}); });
  });
  ASSERT_TRUE(service->registerGuestAgent(agent));
  EXPECT_FALSE(service->registerGuestAgent(nullptr));
  EXPECT_TRUE(loop->call([&] { return vm->trim(); }));
  agent->trimmed.get_future().get();
  EXPECT_TRUE(loop->await<Outcome<>>([&](auto done) { vm->stop(done); }));
  EXPECT_THAT(recorder->events(), Contains("died 3: as the agent was asked"));
}

TEST_F(GuestServiceTest, AnAgentThatHasGoneIsNoAgent) {
  auto service = connect();
  class Quiet final : public IGuestAgentStub {
    rpc::Reply<> shutdownAsync() override { return {}; }
    rpc::Reply<> trimAsync() override { return {}; }
  };
  ASSERT_TRUE(service->registerGuestAgent(std::make_shared<Quiet>()));
  EXPECT_TRUE(loop->call([&] { return vm->trim(); }));
  service.reset();
  session->shutdown_and_wait();
  session.reset();
  while (loop->call([&] { return vm->trim(); })) std::this_thread::yield();
  EXPECT_TRUE(loop->await<Outcome<>>([&](auto done) { vm->stop(done); }));
}

TEST_F(GuestServiceTest, AGuestHasFewConnections) {
  std::vector<UniqueFd> silent;
  for (int i = 0; i < 8; ++i) silent.push_back(*connector()());
  EXPECT_FALSE(rpc::Session::connect(connector(), {.outgoing_connections = 1}));
}

TEST_F(GuestServiceTest, ItsSessionEndsWithTheVm) {
  auto service = connect();
  std::promise<void> ended;
  ASSERT_TRUE(service->as_binder()->link_to_death([&] { ended.set_value(); }));
  loop->await<Outcome<>>([&](auto done) { vm->kill({DeathReason::kKilled, ""}, done); });
  loop->call([&] { handler = nullptr; });
  ended.get_future().get();
}

}  // namespace
}  // namespace adyton::service
