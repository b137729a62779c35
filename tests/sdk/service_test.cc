// The library and the commands on a real service, VMM and guest.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <condition_variable>
#include <csignal>
#include <cstdlib>
#include <functional>
#include <future>
#include <mutex>
#include <thread>

#include "adyton/adyton.h"
#include "guest/exec_protocol.h"
#include "tests/e2e/adyton.h"
#include "tests/sdk/service_fixture.h"

namespace adyton::e2e {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

std::string read_all(const UniqueFd& stream) {
  std::string text;
  char buffer[4096];
  for (ssize_t got; (got = ::read(stream.get(), buffer, sizeof(buffer))) > 0;) text.append(buffer, static_cast<size_t>(got));
  return text;
}

class Recorder : public VirtualMachineCallback {
 public:
  void onPayloadStarted(VirtualMachine&) override { note("started"); }
  void onPayloadReady(VirtualMachine&) override { note("ready"); }
  void onPayloadFinished(VirtualMachine&, int exit_code) override {
    note("finished " + std::to_string(exit_code));
    if (on_finished) on_finished();
  }
  void onStopped(VirtualMachine&, StopReason reason, const std::string&) override {
    note("stopped " + std::string(to_string(reason)));
  }
  bool wait_for(const std::string& event) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, kPatience, [&] { return std::find(events_.begin(), events_.end(), event) != events_.end(); });
  }
  std::vector<std::string> events() {
    const std::lock_guard lock(mutex_);
    return events_;
  }
  std::function<void()> on_finished;

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

// ---- the library ---------------------------------------------------------------------------------------------------------

TEST_F(ServiceTest, APayloadRunsAndItsOutputIsInTheLog) {
  const auto manager = connect();
  auto vm = *manager->create("logged", config({"both"}));
  auto events = std::make_shared<Recorder>();
  vm->setCallback(events);
  for (int i = 0; i < 2; ++i) {  // a VM that has stopped may be run again
    const auto started = vm->run();
    ASSERT_TRUE(started) << started.error().message;
    const auto log = vm->getLogOutput();
    ASSERT_TRUE(log) << log.error().message;
    const auto stopped = vm->waitForStop(kPatience);
    ASSERT_TRUE(stopped);
    EXPECT_EQ(stopped->reason, StopReason::kShutdown) << stopped->message;
    EXPECT_EQ(vm->getPayloadExitCode(), 0);
    const std::string text = read_all(*log);
    EXPECT_THAT(text, HasSubstr("to stdout\n"));
    EXPECT_THAT(text, HasSubstr("to stderr\n"));
  }
  ASSERT_TRUE(events->wait_for("stopped shutdown"));
  EXPECT_TRUE(manager->deleteVm("logged"));
}

TEST_F(ServiceTest, WhoListensForAPayloadsStreamsHasThem) {
  const auto manager = connect();
  auto vm = *manager->createTemporary(config({"cat"}));
  std::promise<UniqueFd> in;
  std::promise<UniqueFd> out;
  std::promise<UniqueFd> err;
  ASSERT_TRUE(vm->listenVsock(kPayloadStdinPort, [&](UniqueFd stream) { in.set_value(std::move(stream)); }));
  ASSERT_TRUE(vm->listenVsock(kPayloadStdoutPort, [&](UniqueFd stream) { out.set_value(std::move(stream)); }));
  ASSERT_TRUE(vm->listenVsock(kPayloadStderrPort, [&](UniqueFd stream) { err.set_value(std::move(stream)); }));
  auto events = std::make_shared<Recorder>();
  vm->setCallback(events);
  const auto started = vm->run();
  ASSERT_TRUE(started) << started.error().message;
  UniqueFd input = in.get_future().get();
  ASSERT_EQ(::write(input.get(), "through a VM", 12), 12);
  input.reset();
  EXPECT_EQ(read_all(out.get_future().get()), "through a VM");
  EXPECT_EQ(read_all(err.get_future().get()), "");
  ASSERT_TRUE(events->wait_for("finished 0"));
  EXPECT_TRUE(vm->stop());
  EXPECT_THAT(events->events(), ::testing::Contains("started"));
}

TEST_F(ServiceTest, APayloadThatIsMissingOrForeignIsRefused) {
  const auto manager = connect();
  const auto with = [&](const std::string& path) {
    return *manager->createTemporary(
        *VirtualMachineConfig::Builder().setPayload(path).setIsolation(IsolationLevel::kNone).build());
  };
  auto missing = with("/nonexistent/app");
  EXPECT_FALSE(missing->run());
  EXPECT_EQ(missing->getPayloadExitCode(), 127);
  auto level = *manager->createTemporary(*VirtualMachineConfig::Builder().setPayload(probe()).setProtectedVm(true).build());
  const auto refused = level->run();
  ASSERT_FALSE(refused) << "no machine of the tests has pKVM";
  EXPECT_FALSE(manager->capabilities()->whyNot(IsolationLevel::kHypervisor).empty());
}

TEST_F(ServiceTest, TheEndOfTheProgramIsTheEndOfItsVms) {
  const pid_t child = ::fork();
  if (child == 0) {
    auto manager = VirtualMachineManager::connect();
    if (!manager) ::_exit(1);
    auto vm = (*manager)->createTemporary(config({"wait"}), "orphan");
    if (!vm || !(*vm)->run()) ::_exit(2);
    ::_exit(0);  // nothing is cleaned up
  }
  int status = -1;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  ASSERT_EQ(status, 0);
  const auto manager = connect();
  // It may just be ending.
  if (auto vm = *manager->get("orphan")) { EXPECT_TRUE(vm->waitForStop(kPatience)); }
}

TEST_F(ServiceTest, AnotherProgramImportsADescriptor) {
  int ends[2];
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
  UniqueFd ours(ends[0]), theirs(ends[1]);
  const pid_t child = ::fork();
  if (child == 0) {
    ours.reset();
    auto manager = VirtualMachineManager::connect();
    if (!manager) ::_exit(1);
    auto descriptor = VirtualMachine::Descriptor::receiveFrom(theirs.get());
    if (!descriptor) ::_exit(2);
    ::_exit((*manager)->importFromDescriptor("imported", std::move(*descriptor)) ? 0 : 3);
  }
  theirs.reset();
  const auto manager = connect();
  const auto original = manager->create("original", config({"wait"}));
  ASSERT_TRUE(original) << original.error().message;
  const auto descriptor = (*original)->toDescriptor();
  ASSERT_TRUE(descriptor) << descriptor.error().message;
  ASSERT_TRUE(descriptor->sendTo(ours.get()));
  int status = -1;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  ASSERT_EQ(status, 0);
  const auto imported = manager->get("imported");
  ASSERT_TRUE(imported && *imported);
  EXPECT_EQ((*imported)->getConfig()->to_json(), (*original)->getConfig()->to_json());
  const auto identity = [](const VirtualMachine::Descriptor& of) {
    char id[64];
    const ssize_t got = ::pread(of.instance_id.get(), id, sizeof(id), 0);
    return std::string(id, got > 0 ? static_cast<size_t>(got) : 0);
  };
  EXPECT_EQ(identity(*(*imported)->toDescriptor()), identity(*descriptor));
  EXPECT_FALSE(identity(*descriptor).empty());
  EXPECT_TRUE(manager->deleteVm("imported") && manager->deleteVm("original"));
}

TEST_F(ServiceTest, TheExamplesWork) {
  for (const auto& [program, expected] : {std::pair<std::string, std::string>{ADYTON_HELLO_PAYLOAD, "[x]\n"},
                                          {ADYTON_MULTI_VM, "7: exit code 0, shutdown: [x]\n[7]\n"}}) {
    Adyton example = Adyton::shell(R"(exec "$@")", {program, probe(), "args", "x"});
    EXPECT_EQ(example.finish(), 0) << example.errors();
    EXPECT_THAT(example.output(), HasSubstr(expected)) << example.errors();
  }
}

TEST_F(ServiceTest, AGuestKnowsItsInstance) {
  const auto manager = connect();
  const auto show = [&](const std::shared_ptr<VirtualMachine>& vm) {
    const auto started = vm->run();
    EXPECT_TRUE(started) << started.error().message;
    const auto log = vm->getLogOutput();
    EXPECT_TRUE(log && vm->waitForStop(kPatience));
    return log ? read_all(*log) : "";
  };
  const std::vector<std::string> arguments = {"file", "/proc/device-tree/avf/untrusted/instance-id"};
  const std::string kept = show(*manager->create("known", config(arguments)));
  EXPECT_EQ(kept, contents(folder.path() + "/data/adyton/vm/known/instance_id"));
  EXPECT_EQ(kept.size(), 64u);
  const std::string other = show(*manager->createTemporary(config(arguments)));
  EXPECT_EQ(other.size(), 64u);
  EXPECT_NE(other, kept);
  EXPECT_NE(other, std::string(64, '\0'));
}

// The agent has registered itself once it can be asked for memory.
void wait_for_agent(VirtualMachine& vm) {
  while (vm.getStatus() == VmStatus::kRunning && !vm.trimMemory(TrimLevel::kRunningLow)) std::this_thread::yield();
}

TEST_F(ServiceTest, TheAgentEndsAPayloadInOrder) {
  const auto manager = connect();
  auto vm = *manager->createTemporary(config({"last-words"}));
  auto events = std::make_shared<Recorder>();
  vm->setCallback(events);
  ASSERT_TRUE(vm->run());
  ASSERT_TRUE(events->wait_for("started"));
  const auto log = vm->getLogOutput();
  ASSERT_TRUE(log);
  wait_for_agent(*vm);
  ASSERT_TRUE(vm->stop());
  EXPECT_THAT(read_all(*log), HasSubstr("last words\n"));
  ASSERT_TRUE(events->wait_for("stopped shutdown"));
  EXPECT_THAT(events->events(), ElementsAre("started", "finished 6", "stopped shutdown"));
}

TEST_F(ServiceTest, TheAgentEndsAPayloadThatDoesNotWantTo) {
  const auto manager = connect();
  auto vm = *manager->createTemporary(config({"stubborn"}));
  auto events = std::make_shared<Recorder>();
  vm->setCallback(events);
  ASSERT_TRUE(vm->run());
  ASSERT_TRUE(events->wait_for("started"));
  wait_for_agent(*vm);
  ASSERT_TRUE(vm->stop());
  // By the guest, or by the host where the guest was too slow for that.
  EXPECT_TRUE(events->wait_for("finished 137") || events->wait_for("stopped killed"));
}

TEST_F(ServiceTest, TheAgentGivesBackMemory) {
  const auto manager = connect();
  const TemporaryFolder data;
  [[maybe_unused]] const auto file = data.write("big", std::string(24 << 20, 'x'));
  const auto made = *VirtualMachineConfig::Builder()
                           .setPayload(probe())
                           .setArguments({"watch-cache", std::to_string(16 << 10), "/mnt/big"})
                           .addMount({.source = data.path(), .target = "/mnt", .read_only = true})
                           .setMemoryBytes(128 << 20)
                           .setIsolation(IsolationLevel::kNone)
                           .setDebugLevel(DebugLevel::kFull)
                           .setVmOutputCaptured(true)
                           .build();
  auto vm = *manager->createTemporary(made);
  const auto started = vm->run();
  ASSERT_TRUE(started) << started.error().message;
  const auto log = vm->getLogOutput();
  ASSERT_TRUE(log);
  std::string text;
  for (char byte; text.find("cached\n") == std::string::npos && ::read(log->get(), &byte, 1) == 1;) text += byte;
  wait_for_agent(*vm);
  EXPECT_EQ(read_all(*log), "dropped\n");
  ASSERT_TRUE(vm->waitForStop(kPatience));
  EXPECT_EQ(vm->getPayloadExitCode(), 0);
}

TEST_F(ServiceTest, TimeStandsStillForASuspendedGuest) {
  const auto manager = connect();
  using Clock = std::chrono::steady_clock;
  const auto wall = [] { return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count(); };
  ASSERT_EQ(tell({"run", "-d", "--rm", "--name", "frozen", probe(), "wait"}).code, 0);
  const auto clocks = [] {
    const Told told = tell({"exec", "frozen", "--", "/payload/probe", "clocks"});
    std::pair<double, double> times;
    EXPECT_EQ(std::sscanf(told.output.c_str(), "%lf %lf", &times.first, &times.second), 2) << told.output << told.errors;
    return times;
  };
  const auto begin = Clock::now();
  const auto before = clocks();
  EXPECT_EQ(tell({"resume", "frozen"}).code, 125);
  ASSERT_EQ(tell({"suspend", "frozen"}).code, 0);
  const auto suspended = Clock::now();
  EXPECT_THAT(tell({"suspend", "frozen"}).errors, HasSubstr("suspended already"));
  EXPECT_THAT(tell({"list"}).output, HasSubstr("started (suspended)"));
  EXPECT_THAT(tell({"info", "--json", "frozen"}).output, HasSubstr("\"suspended\": true"));
  EXPECT_THAT(tell({"exec", "frozen", "--", "/payload/probe", "clocks"}).errors, HasSubstr("adyton resume frozen"));
  std::this_thread::sleep_for(std::chrono::seconds(2));  // time that the guest shall not see
  const std::chrono::duration<double> halted = Clock::now() - suspended;
  ASSERT_EQ(tell({"resume", "frozen"}).code, 0);
  const auto after = clocks();
  const std::chrono::duration<double> all = Clock::now() - begin;
  EXPECT_GT(after.first, before.first);
  EXPECT_LE(after.first - before.first, all.count() - halted.count());
  // Its wall clock is set anew, a moment after it runs on; otherwise it would lag for ever.
  const auto give_up = Clock::now() + kPatience;
  double lag = 0;
  do {
    const double now = wall();
    lag = now - clocks().second;
  } while (lag >= halted.count() && Clock::now() < give_up);
  EXPECT_LT(lag, halted.count());
  EXPECT_THAT(tell({"list"}).output, Not(HasSubstr("suspended")));
  ASSERT_EQ(tell({"suspend", "frozen"}).code, 0);
  EXPECT_EQ(tell({"stop", "frozen"}).code, 0);
}

// ---- the commands --------------------------------------------------------------------------------------------------------

TEST_F(ServiceTest, AVmInTheBackgroundIsSeenAndEnded) {
  const auto manager = connect();  // the service is ours, not that of the first command
  const Told started = tell({"run", "-d", "--rm", "--name", "back", "--verbose", probe(), "wait"});
  ASSERT_EQ(started.code, 0) << started.errors;
  EXPECT_EQ(started.output, "back\n");
  EXPECT_THAT(tell({"list"}).output, HasSubstr("back"));
  EXPECT_THAT(tell({"list", "--json"}).output, HasSubstr("\"isolation\": \"none\""));
  EXPECT_THAT(tell({"info", "back"}).output, HasSubstr("none (the host may look in)"));
  EXPECT_THAT(tell({"top", "--once", "-i", "0.1"}).output, HasSubstr("back"));
  EXPECT_THAT(tell({"logs", "back"}).output, HasSubstr("ready"));
  const Told exec = tell({"exec", "back", "--", "/payload/probe", "exit", "5"});
  EXPECT_EQ(exec.code, 5) << exec.errors;
  EXPECT_EQ(tell({"exec", "back", "/nonexistent"}).code, 127);

  // Several readers have all of the console.
  Adyton first({"console", "back"});
  Adyton second({"console", "back"});
  EXPECT_TRUE(first.wait_for("Linux version"));
  EXPECT_TRUE(second.wait_for("Linux version"));

  EXPECT_EQ(tell({"kill", "back"}).code, 0);
  EXPECT_EQ(first.finish(), 0);
  EXPECT_EQ(second.finish(), 0);
  EXPECT_THAT(tell({"info", "back"}).errors, HasSubstr("there is no virtual machine 'back'"));
}

TEST_F(ServiceTest, FoldersAreCopiedInAndOutWhileThePayloadRuns) {
  const auto manager = connect();
  ASSERT_EQ(tell({"run", "-d", "--rm", "--name", "box", probe(), "wait"}).code, 0);
  const auto shell = [&](const std::string& script) {
    Adyton command = Adyton::shell("cd " + folder.path() + " && " + script, {ADYTON_PROGRAM});
    const int code = command.finish();
    return Told{.code = code, .output = command.output(), .errors = command.errors()};
  };
  const Told copied = shell(R"sh(set -e
    mkdir -p tree/deep/empty; echo hello > tree/file; chmod 640 tree/file; ln -s ../file tree/deep/link; ln -s /nonexistent tree/dangling
    head -c 3000000 /dev/urandom > tree/deep/large; truncate -s 64M tree/sparse; printf far | dd of=tree/sparse bs=1M seek=40 conv=notrunc status=none
    printf '#!/bin/sh
' > 'tree/a name'; chmod 755 'tree/a name'; chmod 500 tree/deep; touch -d '2001-02-03 04:05:06.7' tree/file
    "$1" cp tree box:/tmp/in; "$1" cp box:/tmp/in out
    diff -r --no-dereference tree out
    cd tree; find . | sort | xargs -d '
' stat -c '%n %a %F %Y' > ../a; cd ../out; find . | sort | xargs -d '
' stat -c '%n %a %F %Y' > ../b; cd ..
    diff a b; [ "$(stat -c %b out/sparse)" -lt 1000 ]
    mkdir there; "$1" cp box:/tmp/in there; "$1" cp box:/tmp/in/. there; cmp tree/file there/in/file; cmp tree/file there/file
    echo from here | "$1" cp - box:/tmp/word; "$1" cp box:/tmp/word -
    chmod -R u+w tree out there)sh");
  EXPECT_EQ(copied.code, 0) << copied.output << copied.errors;
  EXPECT_EQ(copied.output, "from here\n");
  for (const auto& [arguments, why] : {std::pair<std::string, std::string>{"box:/none there", "cannot read '/none'"},
                                       {"tree box:/tmp/word", "a folder cannot be copied onto '/tmp/word'"},
                                       {"none box:/tmp", "cannot read 'none'"},
                                       {"tree/file box:/none/file", "cannot write '/none/file'"}}) {
    const Told refused = shell("exec \"$1\" cp " + arguments);
    EXPECT_NE(refused.code, 0) << arguments;
    EXPECT_THAT(refused.errors, HasSubstr(why));
  }
  EXPECT_EQ(tell({"kill", "box"}).code, 0);
}

TEST_F(ServiceTest, TheGuestGivesMemoryBackAndGetsItAgain) {
  const auto manager = connect();
  ASSERT_EQ(tell({"run", "-d", "--rm", "--name", "airy", "--memory", "256M", probe(), "wait"}).code, 0);
  const auto vm = *manager->get("airy");
  ASSERT_TRUE(vm);
  EXPECT_EQ(*vm->getMemoryBalloon(), 0u);
  EXPECT_EQ(vm->setMemoryBalloon(uint64_t{1} << 40).error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(tell({"balloon", "airy", "100M"}).code, 0);
  const auto reaches = [&](uint64_t bytes) {
    const auto end = std::chrono::steady_clock::now() + kPatience;
    while (std::chrono::steady_clock::now() < end) {
      if (*vm->getMemoryBalloon() == bytes) return true;
    }
    return false;
  };
  EXPECT_TRUE(reaches(100 << 20)) << *vm->getMemoryBalloon();
  const auto statistics = vm->getStatistics();
  ASSERT_TRUE(statistics) << statistics.error().message;
  EXPECT_GE(statistics->balloon.returned, 100u << 20);
  EXPECT_LT(statistics->balloon.guest_total.value_or(UINT64_MAX), 256u << 20);
  EXPECT_THAT(tell({"balloon", "airy"}).output, HasSubstr("100 MiB of 100 MiB"));
  ASSERT_TRUE(vm->setMemoryBalloon(0));
  EXPECT_TRUE(reaches(0));
  EXPECT_EQ(tell({"kill", "airy"}).code, 0);
  EXPECT_FALSE(vm->setMemoryBalloon(0)) << "it is gone";
}

TEST_F(ServiceTest, AVmThatStaysIsStartedAndDeleted) {
  const auto manager = connect();  // the service is ours, not that of the first command
  ASSERT_EQ(tell({"create", "kept", probe(), "wait-signal", "15"}).code, 0);
  EXPECT_EQ(tell({"create", "kept", probe()}).code, 125);
  EXPECT_THAT(tell({"list"}).output, HasSubstr("stopped"));
  EXPECT_EQ(tell({"list", "--names"}).output, "kept\n");
  EXPECT_THAT(tell({"info", "kept"}).output, HasSubstr(probe()));
  const Told started = tell({"start", "kept"});
  ASSERT_EQ(started.code, 0) << started.errors;
  EXPECT_EQ(tell({"start", "kept"}).code, 125);
  EXPECT_THAT(tell({"delete", "kept"}).errors, HasSubstr("runs"));
  Adyton waiter({"wait", "kept"});
  EXPECT_EQ(tell({"kill", "--signal", "TERM", "kept"}).code, 0);
  EXPECT_EQ(waiter.finish(), 3) << waiter.errors();
  EXPECT_EQ(tell({"delete", "kept"}).code, 0);
  EXPECT_EQ(tell({"list", "--names"}).output, "");
}

TEST_F(ServiceTest, AVmThatHasEndedIsRememberedUntilItRunsAgain) {
  const auto manager = connect();  // the service is ours, not that of the first command
  ASSERT_EQ(tell({"create", "kept", probe(), "last-words"}).code, 0);
  EXPECT_THAT(tell({"wait", "kept"}).errors, HasSubstr("it has never run"));
  EXPECT_THAT(tell({"logs", "kept"}).errors, HasSubstr("it has never run"));
  for (int run = 0; run < 2; ++run) {
    const Told started = tell({"start", "kept"});
    ASSERT_EQ(started.code, 0) << started.errors;
    Adyton reader({"logs", "-f", "kept"});
    ASSERT_TRUE(reader.wait_for("ready\n"));
    EXPECT_EQ(tell({"stop", "kept"}).code, 0);
    reader.finish();
    const Told log = tell({"logs", "kept"});
    EXPECT_EQ(log.code, 0) << log.errors;
    EXPECT_EQ(log.output, "ready\nlast words\n") << "of the last run, and no earlier one";
    for (int again = 0; again < 2; ++again) EXPECT_EQ(tell({"wait", "kept"}).code, 6);
    EXPECT_THAT(tell({"info", "kept"}).output, HasSubstr("exit code 6"));
  }
  EXPECT_EQ(tell({"delete", "kept"}).code, 0);

  ASSERT_EQ(tell({"run", "-d", "--rm", "--name", "gone", probe(), "wait"}).code, 0);
  EXPECT_EQ(tell({"kill", "gone"}).code, 0);
  for (const char* verb : {"wait", "logs"}) {
    const Told told = tell({verb, "gone"});
    EXPECT_EQ(told.code, 125);
    EXPECT_THAT(told.errors, HasSubstr("with --rm, nothing is kept"));
  }
}

TEST_F(ServiceTest, WhatInitComplainsOfIsInTheLog) {
  const auto manager = connect();  // the service is ours, not that of the first command
  // Verbose: the guest's kernel shows also what init only remarks.
  const Told started = tell({"run", "-d", "--rm", "--name", "sour", "--verbose", probe(), "wait"});
  ASSERT_EQ(started.code, 0) << started.errors;
  Adyton reader({"logs", "-f", "sour"});
  ASSERT_TRUE(reader.wait_for("ready\n"));
  const auto vm = *manager->get("sour");
  const auto connection = vm->connectVsock(guest::kExecPort);
  ASSERT_TRUE(connection) << connection.error().message;
  const std::string nonsense(64, '\xff');
  ASSERT_EQ(::write(connection->get(), nonsense.data(), nonsense.size()), static_cast<ssize_t>(nonsense.size()));
  EXPECT_TRUE(reader.wait_for("adyton-init: "));
  EXPECT_EQ(tell({"kill", "sour"}).code, 0);
}

TEST_F(ServiceTest, AVmThatNeverRanLeavesNoRecord) {
  const auto manager = connect();  // the service is ours, not that of the first command
  const std::string not_executable = folder.write("notes.txt", "no program");
  for (const std::string& payload : {std::string("/nonexistent"), not_executable}) {
    EXPECT_NE(tell({"run", "--name", "failed", payload}).code, 0);
    EXPECT_NE(tell({"run", "-d", "--name", "failed", payload}).code, 0);
  }
  EXPECT_EQ(tell({"run", "--name", "failed", "--memory", "16M", probe(), "exit", "0"}).code, 125);
  EXPECT_EQ(tell({"run", "--name", "failed", "--workdir", "/nonexistent", probe(), "exit", "0"}).code, 125);
  EXPECT_EQ(tell({"list", "--names"}).output, "");
  EXPECT_EQ(tell({"run", "--name", "ran", probe(), "exit", "4"}).code, 4);
  EXPECT_EQ(tell({"run", "--name", "ran", "/nonexistent"}).code, 125) << "the name is taken";
  EXPECT_EQ(tell({"list", "--names"}).output, "ran\n");
  EXPECT_EQ(tell({"wait", "ran"}).code, 4);
}

}  // namespace
}  // namespace adyton::e2e
