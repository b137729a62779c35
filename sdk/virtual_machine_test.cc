// The library against a service that does what the test says, over a real socket.
#include "adyton/virtual_machine.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include <condition_variable>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <future>

#include "adyton/virtual_machine_manager.h"
#include "rpc/server.h"
#include "sdk/conversion.h"
#include "sdk/manager_impl.h"
#include "sdk/testing/fake_service.h"

namespace adyton::sdk {
namespace {

using ::testing::ElementsAre;
using testing::FakeVm;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::ServedFake;
using virtualizationcommon::DeathReason;

constexpr auto kPatience = std::chrono::seconds(20);

// Writes down what happens, as "ready" or "stopped shutdown: why".
class Recorder : public VirtualMachineCallback {
 public:
  void onPayloadStarted(VirtualMachine& vm) override { note("started " + vm.getName()); }
  void onPayloadReady(VirtualMachine&) override { note("ready"); }
  void onPayloadFinished(VirtualMachine&, int exit_code) override { note("finished " + std::to_string(exit_code)); }
  void onError(VirtualMachine&, VmErrorCode code, const std::string& message) override {
    note("error " + std::to_string(static_cast<int>(code)) + " " + message);
  }
  void onStopped(VirtualMachine&, StopReason reason, const std::string& message) override {
    note("stopped " + std::string(to_string(reason)) + ": " + message);
  }

  std::vector<std::string> wait_for(size_t count) {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, kPatience, [&] { return events_.size() >= count; });
    return events_;
  }

 private:
  void note(std::string event) {
    const std::lock_guard lock(mutex_);
    events_.push_back(std::move(event));
    changed_.notify_all();
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::string> events_;
};

class VirtualMachineTest : public ::testing::Test {
 protected:
  VirtualMachineTest() {
    auto connected = VirtualMachineManager::connect({.runtime_directory = fake.directory(), .start_service = false});
    if (!connected) {
      ADD_FAILURE() << connected.error().message;
      std::abort();
    }
    manager = std::move(*connected);
    kernel = fake.directory() + "/Image";
    std::ofstream(kernel) << "kernel";
  }

  [[nodiscard]] VirtualMachineConfig::Builder builder() const {
    return VirtualMachineConfig::Builder().setKernel(kernel).setMemoryBytes(1 << 20).setIsolation(IsolationLevel::kNone);
  }
  [[nodiscard]] VirtualMachineConfig config() const { return *builder().build(); }

  ServedFake fake;
  std::string kernel;
  std::shared_ptr<VirtualMachineManager> manager;
};

// ---- life ----------------------------------------------------------------------------------------------------------------

TEST_F(VirtualMachineTest, LivesFromRunToItsEnd) {
  auto vm = *manager->createTemporary(config(), "one");
  auto events = std::make_shared<Recorder>();
  vm->setCallback(events);
  EXPECT_EQ(*vm->getStatus(), VmStatus::kStopped);
  auto started = vm->run();
  ASSERT_TRUE(started) << started.error().message;
  EXPECT_EQ(*vm->getStatus(), VmStatus::kRunning);
  auto theirs = fake.service().last_vm();
  EXPECT_TRUE(theirs->has_kernel);
  EXPECT_FALSE(theirs->app);
  EXPECT_EQ(theirs->params, "panic=-1");
  EXPECT_EQ(theirs->memory, 1 << 20);
  EXPECT_EQ(vm->run().error().code, ErrorCode::kUnavailable) << "it runs already";
  EXPECT_FALSE(vm->waitForStop(std::chrono::milliseconds(1)));
  theirs->say_ready();
  theirs->say_error("oh");
  theirs->finish_payload(3);
  theirs->die(DeathReason::SHUTDOWN, "it powered off");
  EXPECT_THAT(events->wait_for(5),
              ElementsAre("started one", "ready", "error 2 oh", "finished 3", "stopped shutdown: it powered off"));
  const auto stopped = vm->waitForStop();
  ASSERT_TRUE(stopped);
  EXPECT_EQ(stopped->reason, StopReason::kShutdown);
  EXPECT_EQ(vm->getPayloadExitCode(), 3);
  EXPECT_EQ(*vm->getStatus(), VmStatus::kStopped);
  EXPECT_EQ(vm->getInfo()->state, VmState::kDead);
  EXPECT_EQ(vm->stop().error().code, ErrorCode::kUnavailable);
}

TEST_F(VirtualMachineTest, WaitsUntilThePayloadIsReady) {
  auto vm = *manager->createTemporary(config(), "soon");
  EXPECT_EQ(vm->waitForReady().error().message, "the virtual machine 'soon' has not been started");
  ASSERT_TRUE(vm->run());
  EXPECT_EQ(vm->waitForReady(std::chrono::milliseconds(1)).error().message, "the payload of 'soon' is not ready after 1 ms");
  auto waiting = std::async(std::launch::async, [&] { return vm->waitForReady(); });
  fake.service().last_vm()->say_ready();
  EXPECT_TRUE(waiting.get());
  EXPECT_TRUE(vm->waitForReady());
  // Somebody who comes later.
  auto found = *manager->get("soon");
  ASSERT_TRUE(found);
  EXPECT_TRUE(found->waitForReady(kPatience));
  fake.service().last_vm()->finish_payload(4);
  EXPECT_EQ(found->waitForReady(kPatience).error().message, "the payload of 'soon' is not ready: it ended with exit code 4");
}

TEST_F(VirtualMachineTest, AVmThatEndsIsNotWaitedFor) {
  auto vm = *manager->createTemporary(config(), "never");
  ASSERT_TRUE(vm->run());
  auto waiting = std::async(std::launch::async, [&] { return vm->waitForReady(); });
  fake.service().last_vm()->die(DeathReason::CRASH, "the kernel panicked");
  EXPECT_EQ(waiting.get().error().message, "the payload of 'never' is not ready: the kernel panicked");
}

TEST_F(VirtualMachineTest, MayBeRunAgain) {
  auto vm = *manager->createTemporary(config(), "again");
  auto events = std::make_shared<Recorder>();
  vm->setCallback(events);
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(vm->run());
    ASSERT_TRUE(vm->stop());
    EXPECT_EQ(vm->waitForStop()->reason, StopReason::kKilled);
  }
  EXPECT_EQ(events->wait_for(6).size(), 6u);
}

TEST_F(VirtualMachineTest, WhoStopsItMaySayHowLongItHas) {
  using namespace std::chrono_literals;
  auto vm = *manager->createTemporary(config());
  EXPECT_EQ(vm->stop(1s).error().code, ErrorCode::kUnavailable) << "it does not run";
  for (const auto& [patience, told] :
       {std::pair(std::chrono::milliseconds(90s), 90'000), {0ms, 0}, {-1ms, 0}, {100h * 24 * 365, INT32_MAX}}) {
    ASSERT_TRUE(vm->run());
    ASSERT_TRUE(vm->stop(patience));
    EXPECT_EQ(fake.service().last_vm()->patience, std::vector<int32_t>{told});
  }
}

TEST_F(VirtualMachineTest, ARunThatFailsTellsNobodyButTheCaller) {
  auto vm = *manager->createTemporary(config());
  auto events = std::make_shared<Recorder>();
  vm->setCallback(events);
  fake.service().fail_next_start("'Image' is not an arm64 Image");
  const auto started = vm->run();
  ASSERT_FALSE(started);
  EXPECT_EQ(started.error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(started.error().message, "'Image' is not an arm64 Image");
  EXPECT_EQ(*vm->getStatus(), VmStatus::kStopped);
  ASSERT_TRUE(vm->run());
  EXPECT_EQ(events->wait_for(1).front().substr(0, 7), "started");
}

TEST_F(VirtualMachineTest, ThePayloadsFaultHasAnExitCode) {
  auto missing =
      *manager->createTemporary(*VirtualMachineConfig::Builder().setPayload("/nonexistent/app").setProtectedVm(false).build());
  EXPECT_FALSE(missing->run());
  EXPECT_EQ(missing->getPayloadExitCode(), 127);
  auto foreign =
      *manager->createTemporary(*VirtualMachineConfig::Builder().setPayload("/proc/self/exe").setProtectedVm(false).build());
  EXPECT_FALSE(foreign->run());
  EXPECT_EQ(foreign->getPayloadExitCode(), 126);
}

TEST_F(VirtualMachineTest, EndsWithItsLastReference) {
  auto vm = *manager->createTemporary(config());
  ASSERT_TRUE(vm->run());
  auto theirs = fake.service().last_vm();
  EXPECT_TRUE(theirs->alive());
  vm.reset();
  while (theirs->alive()) std::this_thread::yield();  // an event that is under way may hold the last reference
}

TEST_F(VirtualMachineTest, ADetachedOneStays) {
  auto vm = *manager->createTemporary(config());
  ASSERT_TRUE(vm->run({.detached = true}));
  auto theirs = fake.service().last_vm();
  EXPECT_TRUE(theirs->detached);
  vm.reset();
  EXPECT_TRUE(theirs->alive());
}

TEST_F(VirtualMachineTest, MayLoseItsLastReferenceInACallback) {
  auto vm = *manager->createTemporary(config());
  class Dropper : public VirtualMachineCallback {
   public:
    explicit Dropper(std::shared_ptr<VirtualMachine>& kept) : kept_(kept) {}
    void onPayloadReady(VirtualMachine&) override {
      kept_.reset();
      done.set_value();
    }
    std::promise<void> done;

   private:
    std::shared_ptr<VirtualMachine>& kept_;
  };
  auto dropper = std::make_shared<Dropper>(vm);
  vm->setCallback(dropper);
  ASSERT_TRUE(vm->run());
  auto theirs = fake.service().last_vm();
  theirs->say_ready();
  ASSERT_EQ(dropper->done.get_future().wait_for(kPatience), std::future_status::ready);
  while (theirs->alive()) std::this_thread::yield();  // close() is under way on the library's thread
}

TEST_F(VirtualMachineTest, TheServicesEndIsItsEnd) {
  auto vm = *manager->createTemporary(config());
  auto events = std::make_shared<Recorder>();
  vm->setCallback(events);
  ASSERT_TRUE(vm->run());
  fake.shut_down();
  const auto stopped = vm->waitForStop(kPatience);
  ASSERT_TRUE(stopped);
  EXPECT_EQ(stopped->reason, StopReason::kVirtualizationServiceDied);
  EXPECT_THAT(events->wait_for(2).back(), HasSubstr("stopped service died"));
  const auto again = vm->run();
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().code, ErrorCode::kUnavailable);
  EXPECT_EQ(manager->capabilities().error().code, ErrorCode::kUnavailable);
}

TEST_F(VirtualMachineTest, EventsRunWhereTheProgramWants) {
  auto vm = *manager->createTemporary(config());
  auto events = std::make_shared<Recorder>();
  std::mutex mutex;
  std::vector<std::function<void()>> tasks;
  std::condition_variable changed;
  vm->setCallback(events, [&](std::function<void()> task) {
    const std::lock_guard lock(mutex);
    tasks.push_back(std::move(task));
    changed.notify_all();
  });
  ASSERT_TRUE(vm->run());
  fake.service().last_vm()->say_ready();
  std::unique_lock lock(mutex);
  ASSERT_TRUE(changed.wait_for(lock, kPatience, [&] { return tasks.size() == 2; }));
  EXPECT_THAT(events->wait_for(0), IsEmpty());
  for (auto& task : std::exchange(tasks, {})) task();
  EXPECT_EQ(events->wait_for(2).size(), 2u);
  lock.unlock();
  vm->clearCallback();
  ASSERT_TRUE(vm->stop());
  EXPECT_EQ(events->wait_for(2).size(), 2u);
}

// ---- records -------------------------------------------------------------------------------------------------------------

TEST_F(VirtualMachineTest, APersistentVmIsOneObject) {
  auto vm = *manager->create("kept", config());
  EXPECT_EQ(*manager->get("kept"), vm);
  EXPECT_EQ(*manager->getOrCreate("kept", *builder().setMemoryBytes(2 << 20).build()), vm);
  EXPECT_EQ(vm->getConfig()->getMemoryBytes(), 1u << 20) << "getOrCreate() leaves an existing one alone";
  EXPECT_EQ(manager->create("kept", config()).error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(*manager->get("absent"), nullptr);
  EXPECT_THAT(*manager->listRecords(), ElementsAre("kept"));
  EXPECT_FALSE(manager->create("a/b", config()));
  EXPECT_FALSE(manager->create("", config()));
  EXPECT_FALSE(manager->create("..", config()));
}

TEST_F(VirtualMachineTest, ADeletedVmIsGone) {
  auto vm = *manager->create("short", config());
  ASSERT_TRUE(vm->run());
  EXPECT_TRUE(fake.service().last_vm()->persistent);
  EXPECT_EQ(manager->deleteVm("short").error().code, ErrorCode::kUnavailable) << "it runs";
  ASSERT_TRUE(vm->stop());
  ASSERT_TRUE(manager->deleteVm("short"));
  EXPECT_EQ(*vm->getStatus(), VmStatus::kDeleted);
  EXPECT_FALSE(vm->run());
  EXPECT_FALSE(vm->getConfig());
  EXPECT_EQ(manager->deleteVm("short").error().code, ErrorCode::kNotFound);
  EXPECT_EQ(*manager->get("short"), nullptr);
  auto anew = *manager->create("short", config());
  EXPECT_NE(anew, vm);
  EXPECT_TRUE(anew->run());
}

TEST_F(VirtualMachineTest, TheConfigurationOfAStoppedOneMayChange) {
  auto vm = *manager->create("changed", config());
  const auto larger = *builder().setMemoryBytes(3 << 20).build();
  const auto old = vm->setConfig(larger);
  ASSERT_TRUE(old) << old.error().message;
  EXPECT_EQ(old->getMemoryBytes(), 1u << 20);
  EXPECT_EQ(vm->getConfig()->getMemoryBytes(), 3u << 20);
  EXPECT_EQ(vm->setConfig(*builder().setIsolation(IsolationLevel::kProcess).build()).error().code, ErrorCode::kInvalidArgument);
  ASSERT_TRUE(vm->run());
  EXPECT_EQ(fake.service().last_vm()->memory, 3 << 20);
  EXPECT_EQ(vm->setConfig(larger).error().code, ErrorCode::kUnavailable);
}

TEST_F(VirtualMachineTest, AnotherProgramSeesItRun) {
  auto vm = *manager->create("shared", config());
  auto other = *VirtualMachineManager::connect({.runtime_directory = fake.directory(), .start_service = false});
  auto theirs = *other->get("shared");
  ASSERT_TRUE(theirs);
  EXPECT_EQ(*theirs->getStatus(), VmStatus::kStopped);
  ASSERT_TRUE(vm->run());
  EXPECT_EQ(*theirs->getStatus(), VmStatus::kRunning);
  EXPECT_EQ(theirs->getInfo()->name, "shared");
  // It watches, and owns nothing.
  auto also = *other->get("shared");
  EXPECT_EQ(also, theirs);
  const auto running = fake.service().last_vm();
  EXPECT_EQ(running->callbacks(), 2u);
  theirs.reset();
  also.reset();
  while (running->callbacks() != 1) std::this_thread::yield();  // the service is told, and does not answer
  EXPECT_EQ(*vm->getStatus(), VmStatus::kRunning);
  auto again = *other->get("shared");
  ASSERT_TRUE(again->stop());
  EXPECT_EQ(vm->waitForStop(kPatience)->reason, StopReason::kKilled);
}

TEST_F(VirtualMachineTest, ATemporaryVmIsFoundByItsNameWhileItRuns) {
  auto vm = *manager->createTemporary(config(), "fleeting");
  EXPECT_EQ(*manager->get("fleeting"), nullptr);
  ASSERT_TRUE(vm->run());
  auto found = *manager->get("fleeting");
  ASSERT_TRUE(found);
  EXPECT_EQ(found->getConfig().error().code, ErrorCode::kUnsupported);
  EXPECT_EQ(manager->listRunning()->at(0).name, "fleeting");
  ASSERT_TRUE(found->kill());
  EXPECT_EQ(vm->waitForStop(kPatience)->message, "it was killed");
  EXPECT_FALSE(found->run());
  EXPECT_THAT(*manager->listRunning(), IsEmpty());
}

TEST_F(VirtualMachineTest, ADescriptorMakesAnotherOfItsKind) {
  auto vm = *manager->create("original", config());
  auto descriptor = vm->toDescriptor();
  ASSERT_TRUE(descriptor) << descriptor.error().message;
  auto copy = manager->importFromDescriptor("copy", std::move(*descriptor));
  ASSERT_TRUE(copy) << copy.error().message;
  EXPECT_EQ((*copy)->getConfig()->getKernel(), kernel);
  EXPECT_THAT(*manager->listRecords(), ElementsAre("copy", "original"));
  EXPECT_FALSE((*manager->createTemporary(config()))->toDescriptor());
}

// ---- streams -------------------------------------------------------------------------------------------------------------

std::string read_some(int fd) {
  char buffer[64];
  const ssize_t got = ::read(fd, buffer, sizeof(buffer));
  return got > 0 ? std::string(buffer, static_cast<size_t>(got)) : "";
}

TEST_F(VirtualMachineTest, CapturesPassARingToTheVmAndItsWakesBack) {
  auto vm = *manager->createTemporary(*builder().build());
  const UniqueFd ring(::memfd_create("ring", MFD_CLOEXEC));
  ASSERT_EQ(::write(ring.get(), "ring", 4), 4);
  EXPECT_FALSE(vm->captureVsock(ring, {})) << "it does not run";
  ASSERT_TRUE(vm->run());
  auto wake = vm->captureVsock(ring, {.ports = {5, 4294967295}, .maxPayload = 96});
  ASSERT_TRUE(wake) << wake.error().message;
  auto capture = fake.service().last_vm()->take_capture();
  ASSERT_TRUE(capture);
  EXPECT_EQ(capture->filter.ports, (std::vector<int32_t>{5, -1}));
  EXPECT_EQ(capture->filter.maxPayload, 96);
  char bytes[4];
  ASSERT_EQ(::pread(capture->ring.get(), bytes, 4, 0), 4);
  EXPECT_EQ(std::string(bytes, 4), "ring");
  ASSERT_EQ(::write(capture->wake.get(), "w", 1), 1);
  EXPECT_EQ(read_some(wake->get()), "w");
}

TEST_F(VirtualMachineTest, CapturesMayBeginBeforeItRuns) {
  auto vm = *manager->createTemporary(*builder().build());
  const UniqueFd ring(::memfd_create("ring", MFD_CLOEXEC));
  VirtualMachine::RunOptions options;
  options.before_start = [](VirtualMachine&) -> Result<void> { return fail(ErrorCode::kUnavailable, "no wish to"); };
  EXPECT_EQ(vm->run(std::move(options)).error().message, "no wish to");
  EXPECT_EQ(*vm->getStatus(), VmStatus::kStopped);
  EXPECT_FALSE(vm->getInfo()) << "it has not been started";
  options = {};
  options.before_start = [&](VirtualMachine& same) -> Result<void> {
    EXPECT_EQ(&same, vm.get());
    EXPECT_TRUE(fake.service().last_vm()->prepared);
    EXPECT_NE(same.getInfo()->state, VmState::kStarted);
    TRY(same.captureVsock(ring, {}));
    return {};
  };
  const auto run = vm->run(std::move(options));
  ASSERT_TRUE(run) << run.error().message;
  EXPECT_TRUE(fake.service().last_vm()->take_capture());
  EXPECT_EQ(vm->getInfo()->state, VmState::kStarted);
}

TEST_F(VirtualMachineTest, DebuggersGetASocket) {
  const auto null = [] { return UniqueFd(::open("/dev/null", O_RDWR | O_CLOEXEC)); };
  auto vm = *manager->createTemporary(*builder().build());
  EXPECT_FALSE(vm->attachDebugger(null())) << "it does not run";
  VirtualMachine::RunOptions options;
  options.debugger = null();
  options.wait_for_debugger = true;
  ASSERT_TRUE(vm->run(std::move(options)));
  EXPECT_TRUE(vm->attachDebugger(null()));
  EXPECT_EQ(fake.service().last_vm()->debuggers, (std::vector<bool>{true, false}));
}

TEST_F(VirtualMachineTest, TracesPassTheirRingsToTheVm) {
  auto vm = *manager->createTemporary(*builder().build());
  const UniqueFd rings(::memfd_create("rings", MFD_CLOEXEC));
  ASSERT_EQ(::write(rings.get(), "rings", 5), 5);
  EXPECT_FALSE(vm->trace(rings, 3, 5)) << "it does not run";
  EXPECT_FALSE(vm->getBootPhases()) << "it has not run";
  ASSERT_TRUE(vm->run());
  const auto sources = vm->getTraceSources();
  ASSERT_TRUE(sources) << sources.error().message;
  EXPECT_EQ(sources->vcpus, 2u);
  EXPECT_EQ(sources->devices, (std::vector<std::string>{"virtio-rng"}));
  const auto back = vm->trace(rings, 3, 5);
  ASSERT_TRUE(back) << back.error().message;
  char bytes[5];
  ASSERT_EQ(::pread(back->get(), bytes, 5, 0), 5);
  EXPECT_EQ(std::string(bytes, 5), "rings");
  const auto calls = vm->traceCalls(rings);
  ASSERT_TRUE(calls) << calls.error().message;
  const auto phases = vm->getBootPhases();
  ASSERT_TRUE(phases) << phases.error().message;
  ASSERT_EQ(phases->size(), 1u);
  EXPECT_EQ((*phases)[0].name, "spawn");
  EXPECT_EQ((*phases)[0].end - (*phases)[0].begin, std::chrono::nanoseconds(2));
}

TEST_F(VirtualMachineTest, StreamsGoBothWays) {
  auto vm = *manager->createTemporary(
      *builder().setDebugLevel(DebugLevel::kFull).setVmOutputCaptured(true).setVmConsoleInputSupported(true).build());
  std::promise<UniqueFd> accepted;
  EXPECT_FALSE(vm->listenVsock(1023, [](UniqueFd) {}));
  ASSERT_TRUE(vm->listenVsock(3000, [&](UniqueFd stream) { accepted.set_value(std::move(stream)); }));
  EXPECT_FALSE(vm->connectVsock(2000)) << "it does not run";
  ASSERT_TRUE(vm->run());
  auto theirs = fake.service().last_vm();
  std::promise<UniqueFd> late;
  ASSERT_TRUE(vm->listenVsock(3001, [&](UniqueFd stream) { late.set_value(std::move(stream)); }));
  UniqueFd late_guest = theirs->connect_from_guest(3001);
  auto late_future = late.get_future();
  ASSERT_EQ(late_future.wait_for(kPatience), std::future_status::ready);

  ASSERT_TRUE(vm->connectVsock(2000, VsockType::kSeqpacket));
  EXPECT_EQ(theirs->types, std::vector{virtualizationservice::VsockType::SEQPACKET});
  (void)theirs->take_guest_end();
  auto ours = vm->connectVsock(2000);
  ASSERT_TRUE(ours);
  ASSERT_EQ(::write(ours->get(), "ping", 4), 4);
  EXPECT_EQ(read_some(theirs->take_guest_end().get()), "ping");
  EXPECT_EQ(vm->connectVsock(4711).error().message, "nobody listens on port 4711");

  UniqueFd guest = theirs->connect_from_guest(3000);
  auto future = accepted.get_future();
  ASSERT_EQ(future.wait_for(kPatience), std::future_status::ready);
  UniqueFd host = future.get();
  ASSERT_EQ(::write(host.get(), "pong", 4), 4);
  EXPECT_EQ(read_some(guest.get()), "pong");

  auto console = vm->getConsoleOutput();
  ASSERT_TRUE(console) << console.error().message;
  UniqueFd console_end = theirs->take_console();
  ASSERT_EQ(::write(console_end.get(), "boot", 4), 4);
  EXPECT_EQ(read_some(console->get()), "boot");
  auto keys = vm->getConsoleInput();
  ASSERT_TRUE(keys);
  ASSERT_EQ(::write(keys->get(), "ls\r", 3), 3);
  EXPECT_EQ(read_some(theirs->take_console().get()), "ls\r");
  EXPECT_TRUE(vm->getLogOutput());

  EXPECT_TRUE(vm->signalPayload(15));
  EXPECT_TRUE(vm->setTerminalSize({.rows = 10, .columns = 20}));
  EXPECT_THAT(theirs->signals, ElementsAre(15));
  EXPECT_THAT(theirs->sizes, ElementsAre(std::pair(10, 20)));
  ASSERT_TRUE(vm->suspend());
  EXPECT_TRUE(vm->getInfo()->suspended);
  ASSERT_TRUE(vm->resume());
  EXPECT_FALSE(vm->getInfo()->suspended);
  EXPECT_EQ(*vm->getMemoryBalloon(), 1u << 20);
}

TEST_F(VirtualMachineTest, OutputThatIsNotCapturedCannotBeRead) {
  auto vm = *manager->createTemporary(config());
  EXPECT_EQ(vm->getConsoleOutput().error().code, ErrorCode::kUnavailable);
  ASSERT_TRUE(vm->run());
  EXPECT_EQ(vm->getConsoleOutput().error().code, ErrorCode::kPermission);
  EXPECT_EQ(vm->getLogOutput().error().code, ErrorCode::kPermission);
  EXPECT_EQ(vm->getConsoleInput().error().code, ErrorCode::kPermission);
}

TEST_F(VirtualMachineTest, AServerInTheGuestIsCalled) {
  auto vm = *manager->createTemporary(config());
  ASSERT_TRUE(vm->run());
  auto theirs = fake.service().last_vm();
  rpc::Server guest({.max_threads = 2});
  auto root = std::make_shared<testing::FakeService>();
  guest.set_root(root);
  // The guest takes each connection as it comes.
  std::atomic<bool> done = false;
  std::thread acceptor([&] {
    while (!done) {
      if (UniqueFd end = theirs->take_guest_end(); end.valid()) (void)guest.add_connection(std::move(end));
      std::this_thread::yield();
    }
  });
  const auto binder = vm->connectToVsockServer(5555);
  ASSERT_TRUE(binder) << binder.error().message;
  auto service = testing::aidl::IVirtualizationService::from_binder(*binder);
  ASSERT_TRUE(service);
  EXPECT_EQ(service->getResourceUsage()->maxVms, 64);
  done = true;
  acceptor.join();
}

// ---- what the machine can do ---------------------------------------------------------------------------------------------

TEST_F(VirtualMachineTest, CapabilitiesSayWhatIsMissingAndWhy) {
  auto& given = fake.service().capabilities;
  given.version = "1.2";
  given.capabilities = Capabilities::kNonProtectedVm;
  given.isolation.resize(2);
  given.isolation[0].available = true;
  given.isolation[1].level = testing::aidl::IsolationLevel::PROCESS;
  given.isolation[1].reason = "no memfd_secret";
  const auto capabilities = manager->capabilities();
  ASSERT_TRUE(capabilities);
  EXPECT_EQ(capabilities->service_version, "1.2");
  EXPECT_FALSE(capabilities->protectedVmSupported());
  EXPECT_TRUE(capabilities->nonProtectedVmSupported());
  EXPECT_EQ(capabilities->whyNot(IsolationLevel::kNone), "");
  EXPECT_EQ(capabilities->whyNot(IsolationLevel::kProcess), "no memfd_secret");
  EXPECT_NE(capabilities->whyNot(IsolationLevel::kHypervisor), "");
  EXPECT_EQ(manager->resourceUsage()->max_vms, 64);
}

TEST(Manager, SaysWhatItTriedWhenThereIsNoService) {
  ServedFake folder;
  const std::string empty = folder.directory() + "/none";
  const auto without = VirtualMachineManager::connect({.runtime_directory = empty, .start_service = false});
  ASSERT_FALSE(without);
  EXPECT_EQ(without.error().code, ErrorCode::kUnavailable);
  EXPECT_THAT(without.error().message, HasSubstr(empty));
  EXPECT_FALSE(std::filesystem::exists(empty));
}

TEST(Manager, RefusesAFolderThatOthersMayEnter) {
  ServedFake folder;
  std::filesystem::permissions(folder.directory(), std::filesystem::perms::all);
  const auto open = VirtualMachineManager::connect({.runtime_directory = folder.directory(), .start_service = false});
  ASSERT_FALSE(open);
  EXPECT_EQ(open.error().code, ErrorCode::kPermission);
}

}  // namespace
}  // namespace adyton::sdk
