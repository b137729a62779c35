#include "service/vm.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <condition_variable>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <future>

#include "base/temporary_directory.h"
#include "service/testing/recorder.h"
#include "service/testing/vm_fixture.h"

namespace adyton::service {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using testing::read_all;
using testing::read_exactly;
using testing::Recorder;
using testing::VmTest;

size_t open_fds() {
  const std::filesystem::directory_iterator fds("/proc/self/fd");
  return static_cast<size_t>(std::distance(begin(fds), end(fds)));
}

// ---- raw VMs ---------------------------------------------------------------------------------------------------------

TEST_F(VmTest, ARawVmRunsUntilItIsKilled) {
  make("");
  EXPECT_EQ(state(), VmState::kNotStarted);
  ASSERT_TRUE(start());
  EXPECT_EQ(state(), VmState::kStarted);
  const VmInfo info = loop->call([&] { return vm->info(); });
  EXPECT_GT(info.pid, 0);
  EXPECT_EQ(info.backend, "fake");
  EXPECT_GT(info.resident, 0u);
  EXPECT_EQ(start().error().problem, Problem::kWrongState);
  ASSERT_TRUE(kill());
  EXPECT_EQ(state(), VmState::kDead);
  EXPECT_EQ(::kill(info.pid, 0), -1);  // waited for: no zombie
  EXPECT_THAT(recorder->events(), ElementsAre("started", "died 1: killed"));
  EXPECT_GT(loop->call([&] { return vm->info(); }).peak_resident, 0u);
  EXPECT_EQ(budget->usage().vms, 0u);
  EXPECT_TRUE(kill());
  EXPECT_TRUE(stop());
  EXPECT_EQ(connect(5000).error().problem, Problem::kWrongState);
}

TEST_F(VmTest, OneThatWasNeverStartedDiesToo) {
  make("");
  ASSERT_TRUE(stop());
  EXPECT_THAT(recorder->events(), ElementsAre("died 1: the VM was stopped"));
  EXPECT_EQ(start().error().problem, Problem::kWrongState);
}

TEST_F(VmTest, WhatInitComplainsOfIsInTheLog) {
  make("console:[_1.0]_adyton-init:_the_clock_cannot_be_set", {"payload", "exit:0"});
  ASSERT_TRUE(start());
  recorder->wait_for_death();
  EXPECT_THAT(read_all(open_log().get()), HasSubstr("adyton-init: the clock cannot be set\n"));
  make("console:adyton-init:_says_a_kernel_of_the_user's_own");
  ASSERT_TRUE(start());
  ASSERT_TRUE(kill());
  EXPECT_EQ(read_all(open_log().get()), "");
}

TEST_F(VmTest, ARawVmIsStoppedAtOnce) {
  make("");
  ASSERT_TRUE(start());
  ASSERT_TRUE(stop());
  EXPECT_EQ(recorder->wait_for_death().reason, DeathReason::kKilled);
}

TEST_F(VmTest, WhoComesLateHearsOfTheDeath) {
  make("");
  ASSERT_TRUE(kill());
  auto late = std::make_shared<Recorder>();
  loop->call([&] { EXPECT_TRUE(vm->observe(late)); });
  EXPECT_THAT(late->events(), ElementsAre("died 1: killed"));
}

struct End {
  const char* script;
  DeathReason reason;
  const char* message;
};
class VmEndTest : public VmTest, public ::testing::WithParamInterface<End> {};

TEST_P(VmEndTest, IsExplained) {
  make(GetParam().script);
  (void)start();
  const Death death = recorder->wait_for_death();
  EXPECT_EQ(death.reason, GetParam().reason) << death.message;
  EXPECT_THAT(death.message, HasSubstr(GetParam().message));
  EXPECT_EQ(budget->usage().vms, 0u);
}

INSTANTIATE_TEST_SUITE_P(All, VmEndTest,
                         ::testing::Values(End{"at=run:shutdown", DeathReason::kShutdown, "powered off"},
                                           End{"at=run:reset", DeathReason::kReboot, "reset"},
                                           End{"at=run:crash", DeathReason::kCrash, "it did a strange thing"},
                                           End{"at=run:exit:7", DeathReason::kUnknown, "status 7: told to exit"},
                                           End{"at=run:signal:11", DeathReason::kKilled, "signal 11"},
                                           End{"at=run:signal:31", DeathReason::kKilled, "sandbox"},
                                           End{"at=run:garbage", DeathReason::kInfrastructureError, "no control message"},
                                           End{"at=run:close", DeathReason::kKilled, "signal 9"},
                                           End{"console:Kernel_panic_-_not_syncing:_oh_no at=run:reset", DeathReason::kCrash,
                                               "panicked: oh no"}));

class VmStartTest : public VmTest, public ::testing::WithParamInterface<End> {};

TEST_P(VmStartTest, IsRefusedWithAReason) {
  const std::string script = GetParam().script;
  if (script.starts_with("early ")) ::setenv("FAKE_VMM", script.substr(6).c_str(), 1);
  make(script, {}, {}, {.start = 200ms, .exit = 100ms});
  const auto refused = start();
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().error.message, HasSubstr(GetParam().message));
  EXPECT_EQ(state(), VmState::kDead);
  const Death death = recorder->wait_for_death();
  EXPECT_EQ(death.reason, GetParam().reason) << death.message;
  EXPECT_EQ(recorder->events().size(), 1u);
}

INSTANTIATE_TEST_SUITE_P(All, VmStartTest,
                         ::testing::Values(End{"at=configure:error", DeathReason::kStartFailed, "the kernel is not one"},
                                           End{"at=start:error", DeathReason::kStartFailed, "the kernel is not one"},
                                           End{"at=configure:hang", DeathReason::kStartFailed, "in time"},
                                           End{"at=start:hang", DeathReason::kStartFailed, "in time"},
                                           End{"at=configure:exit:1", DeathReason::kStartFailed, "status 1"},
                                           End{"at=start:exit:0", DeathReason::kStartFailed, "status 0"},
                                           End{"at=configure:signal:9", DeathReason::kKilled, "signal 9"},
                                           End{"at=start:garbage", DeathReason::kInfrastructureError, "no control message"},
                                           End{"early at=spawn:exit:3", DeathReason::kStartFailed, "status 3"},
                                           End{"early at=spawn:hang", DeathReason::kStartFailed, "in time"},
                                           End{"early at=spawn:close", DeathReason::kKilled, "signal 9"},
                                           End{"early at=describe:garbage", DeathReason::kInfrastructureError,
                                               "no control message"}));

TEST_F(VmTest, SaysWhenTheVmmIsMissing) {
  loop->call([&] {
    recorder = std::make_shared<Recorder>();
    VmSpec spec;
    spec.machine.kernel = 0;
    vm = std::make_shared<Vm>(*loop, "/no/such/adyton-vmm", 2048, std::move(spec), Vm::Holdings{});
    EXPECT_TRUE(vm->observe(recorder));
  });
  EXPECT_THAT(start().error().error.message, HasSubstr("/no/such/adyton-vmm"));
  EXPECT_EQ(recorder->wait_for_death().reason, DeathReason::kStartFailed);
}

TEST_F(VmTest, GivesNoLessIsolationThanAskedFor) {
  make("", {}, [](VmSpec& spec) { spec.isolation = IsolationLevel::kProcess; });
  EXPECT_THAT(start().error().error.message, HasSubstr("'none', not 'process'"));
}

// ---- console ---------------------------------------------------------------------------------------------------------

TEST_F(VmTest, TheConsoleIsReadAndTyped) {
  make("console:booted echo");
  ASSERT_TRUE(start());
  UniqueFd console = open_console();
  EXPECT_EQ(read_exactly(console.get(), 7), "booted\n");
  ASSERT_EQ(::write(console.get(), "ls", 2), 2);
  EXPECT_EQ(read_exactly(console.get(), 2), "ls");
  ASSERT_TRUE(kill());
  EXPECT_EQ(read_all(console.get()), "");
  EXPECT_EQ(read_all(open_console().get()), "booted\nls");
}

// ---- suspension ------------------------------------------------------------------------------------------------------

TEST_F(VmTest, IsSuspendedAndResumed) {
  make("", {"hello", "wait"});
  EXPECT_EQ(suspend().error().problem, Problem::kWrongState);
  ASSERT_TRUE(start());
  recorder->wait_for("started");
  ASSERT_TRUE(suspend());
  ASSERT_TRUE(suspend());
  EXPECT_TRUE(suspended());
  EXPECT_EQ(state(), VmState::kStarted);
  ASSERT_TRUE(resume());
  ASSERT_TRUE(resume());
  EXPECT_FALSE(suspended());
  const UniqueFd log = open_log();
  ASSERT_TRUE(stop());
  const std::string text = read_all(log.get());
  EXPECT_THAT(text, HasSubstr("clock set\n"));
  EXPECT_EQ(text.find("clock set"), text.rfind("clock set")) << "once";
  EXPECT_EQ(resume().error().problem, Problem::kWrongState);
}

TEST_F(VmTest, ASuspendedOneIsStoppedInOrder) {
  make("", {"hello", "wait"});
  ASSERT_TRUE(start());
  recorder->wait_for("started");
  ASSERT_TRUE(suspend());
  ASSERT_TRUE(stop());
  EXPECT_THAT(recorder->events(), ElementsAre("started", "finished 143", "died 3: the payload has ended"));
  EXPECT_FALSE(suspended());
}

TEST_F(VmTest, AVmmThatCannotSuspendSaysSo) {
  make("at=suspend:error");
  ASSERT_TRUE(start());
  EXPECT_THAT(suspend().error().error.message, HasSubstr("the kernel is not one"));
  EXPECT_FALSE(suspended());
}

TEST_F(VmTest, TimeToBootDoesNotRunOutWhileSuspended) {
  constexpr auto kTime = 2s;
  const auto change = [&](VmSpec& spec) { spec.boot_timeout = kTime; };
  make("", {"hello", "silent"}, change);
  ASSERT_TRUE(start());
  ASSERT_TRUE(suspend());
  auto other = vm;
  const auto first_recorder = recorder;
  // Another one with as much time, which begins later and runs out.
  make("", {"hello", "silent"}, change);
  ASSERT_TRUE(start());
  EXPECT_EQ(recorder->wait_for_death().reason, DeathReason::kHangup);
  std::swap(vm, other);
  EXPECT_TRUE(suspended());
  ASSERT_TRUE(resume());
  EXPECT_EQ(first_recorder->wait_for_death().reason, DeathReason::kHangup);
  loop->call([&] { other.reset(); });
}

// ---- payloads --------------------------------------------------------------------------------------------------------

TEST_F(VmTest, APayloadStartsAndFinishes) {
  make("", {"hello", "exit:7"});
  ASSERT_TRUE(start());
  EXPECT_EQ(recorder->wait_for_death().reason, DeathReason::kShutdown);
  EXPECT_THAT(recorder->events(), ElementsAre("started", "finished 7", "died 3: the payload has ended"));
  EXPECT_EQ(loop->call([&] { return vm->info(); }).payload_exit_code, 7);
  UniqueFd log = open_log();
  const std::string text = read_all(log.get());
  EXPECT_THAT(text, HasSubstr("to stdout\n"));
  EXPECT_THAT(text, HasSubstr("to stderr\n"));
}

TEST_F(VmTest, ATerminalsOutputIsLoggedToo) {
  make("", {"hello", "exit:0"}, [](VmSpec& spec) { spec.payload->terminal = true; });
  ASSERT_TRUE(start());
  recorder->wait_for_death();
  EXPECT_EQ(read_all(open_log().get()), "to stdout\n");
}

TEST_F(VmTest, AClientMayOwnTheStreams) {
  make("", {"hello", "cat"});
  std::promise<UniqueFd> in, out, err;
  ASSERT_TRUE(listen(guest::kStdinPort, [&](UniqueFd stream) { in.set_value(std::move(stream)); }));
  ASSERT_TRUE(listen(guest::kStdoutPort, [&](UniqueFd stream) { out.set_value(std::move(stream)); }));
  ASSERT_TRUE(listen(guest::kStderrPort, [&](UniqueFd stream) { err.set_value(std::move(stream)); }));
  ASSERT_TRUE(start());
  UniqueFd stdin_stream = in.get_future().get();
  ASSERT_EQ(::write(stdin_stream.get(), "meow", 4), 4);
  stdin_stream.reset();
  recorder->wait_for("finished 0");
  EXPECT_EQ(state(), VmState::kFinished);  // and stays so until the client has read everything
  EXPECT_EQ(read_all(out.get_future().get().get()), "to stdout\nmeow");
  EXPECT_EQ(read_all(err.get_future().get().get()), "to stderr\n");
  ASSERT_TRUE(stop());
  EXPECT_EQ(recorder->wait_for_death().reason, DeathReason::kShutdown);
  EXPECT_EQ(read_all(open_log().get()), "");
}

TEST_F(VmTest, AClientThatLeavesItsStreamsHoldsNothingUp) {
  make("", {"hello", "exit:0"});
  ASSERT_TRUE(listen(guest::kStdoutPort));
  ASSERT_TRUE(start());
  recorder->wait_for("finished 0");
  loop->call([&] { vm->unlisten(guest::kStdoutPort); });
  EXPECT_EQ(recorder->wait_for_death().reason, DeathReason::kShutdown);
}

TEST_F(VmTest, AVmThatWritesDisksPowersOffByItself) {
  make("", {"hello", "exit:0"}, [](VmSpec& spec) {
    spec.fds.emplace_back(::open("/dev/null", O_RDWR | O_CLOEXEC));
    spec.machine.disks.push_back({.fd = 1, .read_only = false, .serial = "disk"});
  });
  ASSERT_TRUE(start());
  const Death death = recorder->wait_for_death();
  EXPECT_EQ(death.reason, DeathReason::kShutdown);
  EXPECT_EQ(death.message, "the guest powered off");
}

TEST_F(VmTest, StopEndsThePayloadInOrder) {
  make("", {"hello", "wait"});
  ASSERT_TRUE(start());
  recorder->wait_for("started");
  ASSERT_TRUE(stop());
  EXPECT_THAT(recorder->events(), ElementsAre("started", "finished 143", "died 3: the payload has ended"));
}

TEST_F(VmTest, StopPullsThePlugOfAPayloadThatDoesNotListen) {
  make("", {"hello", "stubborn"}, {}, {.stop = 50ms});
  ASSERT_TRUE(start());
  recorder->wait_for("started");
  ASSERT_TRUE(stop());
  EXPECT_THAT(recorder->events(), ElementsAre("started", "died 1: the VM was stopped"));
}

TEST_F(VmTest, WhoStopsItMaySayHowLongThePayloadHas) {
  for (const auto& [payload, code] : {std::pair("wait", "finished 143"), {"deaf", "finished 137"}}) {
    make("", {"hello", payload});
    ASSERT_TRUE(start());
    recorder->wait_for("started");
    const UniqueFd log = open_log();
    ASSERT_TRUE(stop(1h));
    EXPECT_THAT(recorder->events(), ElementsAre("started", code, "died 3: the payload has ended"));
    EXPECT_THAT(read_all(log.get()), HasSubstr("has 3600000 ms to end\n"));
  }
}

TEST_F(VmTest, AVmThatHasNoTimeToStopIsAskedNothing) {
  make("", {"hello", "wait"});
  ASSERT_TRUE(start());
  recorder->wait_for("started");
  const UniqueFd log = open_log();
  ASSERT_TRUE(stop(0ms));
  EXPECT_THAT(recorder->events(), ElementsAre("started", "died 1: the VM was stopped"));
  EXPECT_THAT(read_all(log.get()), Not(HasSubstr("to end")));
}

TEST_F(VmTest, OfSeveralWhoStopItTheLeastPatientIsHeard) {
  make("", {"hello", "stubborn"}, {}, {.stop = 50ms, .last = 0ms});
  ASSERT_TRUE(start());
  recorder->wait_for("started");
  const UniqueFd log = open_log();
  std::promise<void> first, second;
  loop->call([&] {
    vm->stop([&](const Outcome<>&) { first.set_value(); }, 10h);
    vm->stop([&](const Outcome<>&) { second.set_value(); }, 20h);
  });
  ASSERT_TRUE(stop());
  first.get_future().wait();
  second.get_future().wait();
  EXPECT_THAT(recorder->events(), ElementsAre("started", "died 1: the VM was stopped"));
  const std::string text = read_all(log.get());
  EXPECT_THAT(text, HasSubstr("has 36000000 ms to end\n"));
  EXPECT_THAT(text, Not(HasSubstr("has 72000000 ms")));
}

TEST_F(VmTest, SignalsAndWindowSizesReachThePayload) {
  make("", {"hello", "wait"}, [](VmSpec& spec) { spec.payload->terminal = true; });
  EXPECT_EQ(loop->call([&] { return vm->signal(SIGTERM).error().problem; }), Problem::kWrongState);
  ASSERT_TRUE(start());
  recorder->wait_for("started");
  loop->call([&] {
    EXPECT_FALSE(vm->signal(0));
    EXPECT_FALSE(vm->signal(65));
    EXPECT_TRUE(vm->set_terminal_size(40, 120));
    EXPECT_TRUE(vm->signal(SIGINT));
  });
  recorder->wait_for("finished 130");
  recorder->wait_for_death();
  EXPECT_THAT(read_all(open_log().get()), HasSubstr("40x120"));
}

TEST_F(VmTest, APayloadThatDoesNotStartInTimeIsKilled) {
  make("", {"hello", "silent"}, [](VmSpec& spec) { spec.boot_timeout = 50ms; });
  ASSERT_TRUE(start());
  const Death death = recorder->wait_for_death();
  EXPECT_EQ(death.reason, DeathReason::kHangup);
  EXPECT_THAT(recorder->events(), ElementsAre("died 16: the payload did not start within 50 ms"));
}

TEST_F(VmTest, APayloadThatCannotBeExecutedIsAnError) {
  make("", {"hello", "missing"});
  ASSERT_TRUE(start());
  EXPECT_EQ(recorder->wait_for_death().reason, DeathReason::kInvalidPayloadConfig);
  EXPECT_THAT(recorder->events(), ElementsAre("error 3: no such program", "died 14: no such program"));
  EXPECT_EQ(loop->call([&] { return vm->info(); }).payload_exit_code, 127);
}

TEST_F(VmTest, AGuestThatBreaksTheProtocolIsEnded) {
  for (const char* what : {"nonsense", "flood"}) {
    make("", {"hello", what});
    ASSERT_TRUE(start());
    EXPECT_EQ(recorder->wait_for_death().reason, DeathReason::kUnknownRuntimeError);
    ASSERT_EQ(recorder->events().size(), 2u);
    EXPECT_THAT(recorder->events()[0], HasSubstr("does not speak our protocol"));
  }
}

TEST_F(VmTest, AnInitThatIsGoneEndsTheVm) {
  make("", {"hello", "lost"}, {}, {.stop = 50ms});
  ASSERT_TRUE(start());
  EXPECT_EQ(recorder->wait_for_death().reason, DeathReason::kUnknownRuntimeError);
}

TEST_F(VmTest, ACrashInTheMiddleIsTold) {
  make("", {"hello", "crash"});
  ASSERT_TRUE(start());
  const auto crashed = recorder->wait_for_death();
  EXPECT_EQ(crashed.reason, DeathReason::kCrash) << crashed.message;
}

TEST_F(VmTest, StatesOnlyGoForward) {
  make("");
  ASSERT_TRUE(start());
  loop->call([&] {
    vm->guest_finished(3);
    vm->guest_ready();
    vm->guest_started();
    vm->guest_finished(4);
  });
  EXPECT_EQ(state(), VmState::kFinished);
  ASSERT_TRUE(kill());
  EXPECT_THAT(recorder->events(), ElementsAre("started", "finished 3", "died 1: killed"));
}

class Agent final : public GuestAgent {
 public:
  explicit Agent(std::function<void()> on_shutdown) : on_shutdown_(std::move(on_shutdown)) {}
  void shut_down() override { on_shutdown_(); }
  void trim() override { trimmed = true; }
  bool trimmed = false;

 private:
  std::function<void()> on_shutdown_;
};

TEST_F(VmTest, TheAgentIsAskedFirst) {
  make("", {}, {}, {.stop = 50ms});
  ASSERT_TRUE(start());
  bool asked = false;
  auto agent = std::make_shared<Agent>([&] { asked = true; });
  loop->call([&] {
    EXPECT_EQ(vm->trim().error().error.code, ErrorCode::kUnsupported);
    vm->set_agent(agent);
    EXPECT_TRUE(vm->trim());
  });
  EXPECT_TRUE(agent->trimmed);
  ASSERT_TRUE(stop());
  EXPECT_TRUE(asked);
  EXPECT_THAT(recorder->events(), ElementsAre("started", "died 1: the VM was stopped"));
}

// ---- what stays behind -----------------------------------------------------------------------------------------------

TEST_F(VmTest, NothingIsLeftOfAnyEnd) {
  const auto round = [&](const char* script, std::vector<std::string> argv) {
    make(script, std::move(argv), [](VmSpec& spec) { spec.boot_timeout = 10ms; }, {.start = 50ms, .stop = 10ms, .exit = 10ms});
    EXPECT_TRUE(listen(7000));
    if (start()) {
      (void)connect(7000);
      if (argv.empty()) (void)kill();
    }
    recorder->wait_for_death();
    loop->call([&] { vm.reset(); });
  };
  const auto all = [&] {
    for (const char* script :
         {"", "at=configure:hang", "at=start:exit:1", "at=run:close", "at=run:garbage", "dial:7000 dial:5000 dial:9"})
      round(script, {});
    for (const char* payload : {"exit:0", "silent", "nonsense", "lost", "missing", "crash"}) round("", {"hello", payload});
  };
  all();
  const size_t before = open_fds();
  for (int i = 0; i < 5; ++i) all();
  EXPECT_EQ(open_fds(), before);
  EXPECT_EQ(budget->usage().vms, 0u);
}

}  // namespace
}  // namespace adyton::service
