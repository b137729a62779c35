// adytond as its clients see it, with a VMM that runs no guest.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <thread>

#include "guest/exec_protocol.h"
#include "tests/service/service.h"

namespace adyton::service_tests {
namespace {

using rpc::Exception;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using virtualizationcommon::DeathReason;

class DaemonTest : public ::testing::Test {
 protected:
  DaemonTest() { ::signal(SIGPIPE, SIG_IGN); }
  Service daemon;
};

std::shared_ptr<aidl::IVirtualMachine> create(Client& client, const aidl::VirtualMachineConfig& config) {
  auto vm = client.service->createVm(config, std::nullopt, std::nullopt, std::nullopt);
  EXPECT_TRUE(vm) << vm.error().to_string();
  return vm ? *vm : nullptr;
}

TEST_F(DaemonTest, ARawVmLivesAndDies) {
  daemon.start();
  Client client(daemon);
  auto vm = create(client, raw_config("console:booted echo", "one"));
  auto callback = std::make_shared<Callback>();
  ASSERT_TRUE(vm->registerCallback(callback));
  EXPECT_GE(*vm->getCid(), 2048);
  EXPECT_EQ(*vm->getName(), "one");
  EXPECT_EQ(*vm->getState(), aidl::VirtualMachineState::NOT_STARTED);
  ASSERT_TRUE(vm->start());
  EXPECT_EQ(*vm->getState(), aidl::VirtualMachineState::STARTED);

  const auto list = *client.service->debugListVms();
  ASSERT_EQ(list.size(), 1u);
  EXPECT_EQ(list[0].name, "one");
  EXPECT_EQ(list[0].requesterPid, ::getpid());
  EXPECT_EQ(list[0].requesterUid, static_cast<int32_t>(::geteuid()));
  EXPECT_GT(list[0].pid, 0);
  EXPECT_EQ(list[0].memoryBytes, 16 << 20);

  const UniqueFd console = *vm->openConsole(true);
  EXPECT_EQ(read_exactly(console.get(), 7), "booted\n");
  ASSERT_EQ(::write(console.get(), "ls", 2), 2);
  EXPECT_EQ(read_exactly(console.get(), 2), "ls");
  const UniqueFd stream = *vm->connectVsock(7000);
  ASSERT_EQ(::write(stream.get(), "echo", 4), 4);
  EXPECT_EQ(read_exactly(stream.get(), 4), "echo");

  ASSERT_TRUE(vm->kill());
  EXPECT_EQ(callback->wait_for_death(), DeathReason::KILLED);
  EXPECT_THAT(callback->events(), ElementsAre("started", "died KILLED: the VM was killed"));
  EXPECT_EQ(*vm->getState(), aidl::VirtualMachineState::DEAD);
  EXPECT_EQ((*vm->getInfo()).deathReason, DeathReason::KILLED);
  EXPECT_TRUE((*client.service->debugListVms()).empty());
  EXPECT_EQ(daemon.processes().size(), 1u);
  EXPECT_EQ(vm->start().error().exception(), Exception::kIllegalState);
}

TEST_F(DaemonTest, APayloadsStatesAreCalledBack) {
  daemon.start();
  Client client(daemon);
  auto vm = create(client, app_config({"hello", "exit:7"}));
  auto callback = std::make_shared<Callback>();
  ASSERT_TRUE(vm->registerCallback(callback));
  ASSERT_TRUE(vm->start());
  EXPECT_EQ(callback->wait_for_death(), DeathReason::SHUTDOWN);
  EXPECT_THAT(callback->events(), ElementsAre("started", "finished 7", "died SHUTDOWN: the payload has ended"));
  EXPECT_THAT(read_all(vm->openLog(true)->get()), HasSubstr("to stdout"));
  EXPECT_EQ((*vm->getInfo()).payloadExitCode, 7);
}

TEST_F(DaemonTest, AClientOwnsThePayloadsStreams) {
  daemon.start();
  Client client(daemon);
  auto vm = create(client, app_config({"hello", "cat"}));
  auto callback = std::make_shared<Callback>();
  auto listener = std::make_shared<Listener>();
  ASSERT_TRUE(vm->registerCallback(callback));
  for (const uint32_t port : {guest::kStdinPort, guest::kStdoutPort, guest::kStderrPort})
    ASSERT_TRUE(vm->listenVsock(static_cast<int32_t>(port), listener));
  EXPECT_EQ(vm->listenVsock(guest::kStdinPort, listener).error().exception(), Exception::kIllegalState);
  EXPECT_EQ(vm->listenVsock(80, listener).error().exception(), Exception::kIllegalArgument);
  ASSERT_TRUE(vm->start());
  UniqueFd in = listener->wait_for(guest::kStdinPort);
  const UniqueFd out = listener->wait_for(guest::kStdoutPort);
  const UniqueFd err = listener->wait_for(guest::kStderrPort);
  ASSERT_EQ(::write(in.get(), "meow", 4), 4);
  in.reset();
  EXPECT_EQ(read_all(out.get()), "to stdout\nmeow");
  EXPECT_EQ(read_all(err.get()), "to stderr\n");
  callback->wait_for("finished 0");
  ASSERT_TRUE(vm->stop());
  EXPECT_EQ(callback->wait_for_death(), DeathReason::SHUTDOWN);
}

TEST_F(DaemonTest, ConsolesGoToTheClientsDescriptors) {
  daemon.start();
  Client client(daemon);
  int out[2], in[2], log[2];
  for (int* ends : {out, in, log}) ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
  const UniqueFd out_reader(out[0]), in_writer(in[1]), log_reader(log[0]);
  std::optional<UniqueFd> out_fd(out[1]), in_fd(in[0]), log_fd(log[1]);
  auto config = app_config({"hello", "wait"});
  machine_of(config).params = "console:booted echo";
  auto vm = client.service->createVm(config, out_fd, in_fd, log_fd);
  ASSERT_TRUE(vm) << vm.error().to_string();
  out_fd.reset();
  in_fd.reset();
  log_fd.reset();
  ASSERT_TRUE((*vm)->start());
  EXPECT_EQ(read_exactly(out_reader.get(), 7), "booted\n");
  ASSERT_EQ(::write(in_writer.get(), "ls", 2), 2);
  EXPECT_EQ(read_exactly(out_reader.get(), 2), "ls");
  EXPECT_THAT(read_until(log_reader.get(), "stderr\n"), HasSubstr("to stderr"));
  ASSERT_TRUE((*vm)->kill());
  EXPECT_EQ(read_all(out_reader.get()), "");
}

TEST_F(DaemonTest, AVmEndsWithItsLastReference) {
  daemon.start();
  Client client(daemon);
  auto callback = std::make_shared<Callback>();
  {
    auto vm = create(client, raw_config("", "one"));
    ASSERT_TRUE(vm->registerCallback(callback));
    ASSERT_TRUE(vm->start());
    auto visitor = *client.service->getVm("one");
    ASSERT_TRUE(visitor);
    visitor.reset();
    EXPECT_EQ(*vm->getState(), aidl::VirtualMachineState::STARTED);
  }
  EXPECT_EQ(callback->wait_for_death(), DeathReason::KILLED);
  EXPECT_EQ(*client.service->getVm("one"), nullptr);
}

TEST_F(DaemonTest, AVmEndsWithItsClientsSession) {
  daemon.start();
  Client watcher(daemon);
  auto callback = std::make_shared<Callback>();
  auto detached_callback = std::make_shared<Callback>();
  {
    Client client(daemon);
    auto vm = create(client, raw_config("", "mortal"));
    auto config = raw_config("", "detached");
    machine_of(config).detached = true;
    auto detached = create(client, config);
    ASSERT_TRUE(vm->start());
    ASSERT_TRUE(detached->start());
    ASSERT_TRUE((*watcher.service->getVm("mortal"))->registerCallback(callback));
    client.session->shutdown_and_wait();
  }
  EXPECT_EQ(callback->wait_for_death(), DeathReason::KILLED);
  auto detached = *watcher.service->getVm("detached");
  ASSERT_TRUE(detached);
  ASSERT_TRUE(detached->registerCallback(detached_callback));
  EXPECT_EQ(*detached->getState(), aidl::VirtualMachineState::STARTED);
  ASSERT_TRUE(detached->stop());
  EXPECT_EQ(detached_callback->wait_for_death(), DeathReason::KILLED);
}

TEST_F(DaemonTest, CallbacksEndWithTheirSessionOrWhenTheyAreToldTo) {
  constexpr int kLimit = 1024;
  daemon.start();
  Client owner(daemon);
  auto vm = create(owner, raw_config("", "looked-at"));
  {
    Client visitor(daemon);
    auto seen = *visitor.service->getVm("looked-at");
    // Many handles of one program, one after the other.
    for (int i = 0; i < 2 * kLimit; ++i) {
      auto callback = std::make_shared<Callback>();
      while (!seen->registerCallback(callback)) std::this_thread::yield();  // it may be ahead of their ends
      ASSERT_TRUE(seen->unregisterCallback(callback));
      ASSERT_TRUE(seen->unregisterCallback(callback)) << "it is not registered any more";
    }
    rpc::Reply<> outcome;
    for (int i = 0; i <= kLimit && outcome; ++i) outcome = seen->registerCallback(std::make_shared<Callback>());
    ASSERT_FALSE(outcome);
    EXPECT_THAT(outcome.error().message(), HasSubstr("1024 callbacks"));
    visitor.session->shutdown_and_wait();
  }
  // The service hears of the session's end soon.
  auto callback = std::make_shared<Callback>();
  while (!vm->registerCallback(callback)) std::this_thread::yield();
  ASSERT_TRUE(vm->kill());
  EXPECT_EQ(callback->wait_for_death(), DeathReason::KILLED);
}

TEST_F(DaemonTest, ErrorsSayWhatIsWrong) {
  daemon.start({"--max-vms=2", "--max-memory=64M"});
  Client client(daemon);
  const auto refused = [&](const aidl::VirtualMachineConfig& config) {
    auto vm = client.service->createVm(config, std::nullopt, std::nullopt, std::nullopt);
    EXPECT_FALSE(vm);
    return vm ? rpc::Status() : vm.error();
  };
  auto config = raw_config("");
  machine_of(config).kernel.reset();
  EXPECT_EQ(refused(config).exception(), Exception::kIllegalArgument);
  config = raw_config("");
  machine_of(config).memoryBytes = -1;
  EXPECT_EQ(refused(config).exception(), Exception::kIllegalArgument);
  config = raw_config("");
  machine_of(config).isolation = aidl::IsolationLevel::HYPERVISOR;
  EXPECT_EQ(refused(config).exception(), Exception::kUnsupportedOperation);
  EXPECT_THAT(refused(config).message(), HasSubstr("hypervisor"));
  config = raw_config("");
  machine_of(config).isolation = static_cast<aidl::IsolationLevel>(7);
  EXPECT_EQ(refused(config).exception(), Exception::kIllegalArgument);
  config = raw_config("", "a/b");
  EXPECT_THAT(refused(config).message(), HasSubstr("'/'"));
  config = raw_config("");
  int ends[2];
  ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
  const UniqueFd other(ends[1]);
  machine_of(config).kernel = UniqueFd(ends[0]);
  EXPECT_THAT(refused(config).message(), HasSubstr("kernel is not a file"));

  auto one = create(client, raw_config("", "one"));
  EXPECT_EQ(refused(raw_config("", "one")).exception(), Exception::kIllegalState);
  config = raw_config("");
  machine_of(config).memoryBytes = 64 << 20;
  rpc::Status status = refused(config);
  EXPECT_EQ(status.exception(), Exception::kServiceSpecific);
  EXPECT_EQ(status.service_specific_code(), aidl::IVirtualizationService::ERROR_EXHAUSTED);
  EXPECT_THAT(status.message(), HasSubstr("max_memory"));
  auto two = create(client, raw_config(""));
  EXPECT_THAT(refused(raw_config("")).message(), HasSubstr("--max-vms"));
  const auto usage = *client.service->getResourceUsage();
  EXPECT_EQ(usage.vms, 2);
  EXPECT_EQ(usage.maxVms, 2);
  EXPECT_EQ(usage.clients, 1);

  two.reset();
  Service::wait_until([&] { return (*client.service->getResourceUsage()).vms == 1; });
  auto failing = create(client, raw_config("at=configure:error"));
  const auto start = failing->start();
  ASSERT_FALSE(start);
  EXPECT_THAT(start.error().message(), HasSubstr("the kernel is not one"));
  EXPECT_EQ(failing->suspend().error().exception(), Exception::kIllegalState);
  EXPECT_EQ(one->connectVsock(7000).error().exception(), Exception::kIllegalState);
}

TEST_F(DaemonTest, AProgramHasItsOwnShareOfVmsCpusAndMemory) {
  daemon.start({"--max-vms-per-client=3", "--max-cpus-per-client=2", "--max-memory-per-client=40M"});
  Client one(daemon), other(daemon);
  const auto refused = [&](Client& client, int32_t cpus, int64_t memory) {
    auto config = raw_config("");
    machine_of(config).cpuCount = cpus;
    machine_of(config).memoryBytes = memory;
    auto vm = client.service->createVm(config, std::nullopt, std::nullopt, std::nullopt);
    EXPECT_FALSE(vm);
    if (vm) return std::string();
    EXPECT_EQ(vm.error().service_specific_code(), aidl::IVirtualizationService::ERROR_EXHAUSTED);
    return vm.error().message();
  };
  const auto usage = *one.service->getResourceUsage();
  EXPECT_EQ(usage.maxVmsPerClient, 3);
  EXPECT_EQ(usage.maxCpusPerClient, 2);
  EXPECT_EQ(usage.maxMemoryPerClientBytes, 40 << 20);
  auto vm = create(one, raw_config(""));  // one CPU, 16 MiB
  EXPECT_THAT(refused(one, 2, 1 << 20), HasSubstr("--max-cpus-per-client"));
  EXPECT_THAT(refused(one, 1, 32 << 20), HasSubstr("max_memory_per_client"));
  auto theirs = create(other, raw_config(""));
}

TEST_F(DaemonTest, LimitsThatTheInterfaceCannotHoldAreShownAsTheMostItCan) {
  daemon.start({"--max-vms=4294967295", "--max-vms-per-client=2147483648", "--max-cpus=4294967295",
                "--max-cpus-per-client=2147483647", "--max-memory=18446744073709551615",
                "--max-memory-per-client=9223372036854775808"});
  Client client(daemon);
  const auto usage = *client.service->getResourceUsage();
  EXPECT_EQ(usage.maxVms, INT32_MAX);
  EXPECT_EQ(usage.maxVmsPerClient, INT32_MAX);
  EXPECT_EQ(usage.maxCpus, INT32_MAX);
  EXPECT_EQ(usage.maxCpusPerClient, INT32_MAX);
  EXPECT_EQ(usage.maxMemoryBytes, INT64_MAX);
  EXPECT_EQ(usage.maxMemoryPerClientBytes, INT64_MAX);
}

TEST_F(DaemonTest, SaysWhatTheMachineCanDo) {
  daemon.start();
  Client client(daemon);
  const auto capabilities = client.service->getCapabilities();
  ASSERT_TRUE(capabilities) << capabilities.error().to_string();
  EXPECT_EQ(capabilities->capabilities, aidl::Capabilities::CAPABILITY_NON_PROTECTED_VM);
  ASSERT_EQ(capabilities->isolation.size(), 3u);
  EXPECT_TRUE(capabilities->isolation[0].available);
  EXPECT_FALSE(capabilities->isolation[2].available);
  EXPECT_NE(capabilities->isolation[2].reason, "");
  ASSERT_EQ(capabilities->backends.size(), 2u);
  EXPECT_EQ(capabilities->backends[0].name, "fake");
  EXPECT_THAT(capabilities->backends[0].hostFeatures, ElementsAre("sse"));
  EXPECT_EQ(capabilities->backends[1].name, "kvm");
  EXPECT_FALSE(capabilities->backends[1].available);
  EXPECT_NE(capabilities->backends[1].reason, "");
  // Measured once: the figures would not be the same twice.
  EXPECT_EQ(client.service->getCapabilities()->backends[1].reason, capabilities->backends[1].reason);
  EXPECT_NE(client.service->allocateInstanceId().value(), client.service->allocateInstanceId().value());
}

TEST_F(DaemonTest, KeepsRecords) {
  daemon.start();
  Client client(daemon);
  aidl::VirtualMachineRecordConfig config;
  config.config = std::string(60000, 'x');  // larger than one of AOSP's parcels
  config.os = "debian";
  const auto made = client.service->createRecord("kept", config);
  ASSERT_TRUE(made) << made.error().to_string();
  EXPECT_EQ(client.service->createRecord("kept", config).error().exception(), Exception::kIllegalState);
  EXPECT_THAT(*client.service->listRecords(), ElementsAre("kept"));
  EXPECT_FALSE((*client.service->getRecord("other")).has_value());
  EXPECT_TRUE(std::filesystem::exists(made->directory + "/instance_id"));

  auto vm_config = raw_config("", "kept");
  machine_of(vm_config).persistent = true;
  auto vm = create(client, vm_config);
  EXPECT_TRUE((*client.service->getRecord("kept"))->running);
  EXPECT_EQ(client.service->deleteRecord("kept").error().exception(), Exception::kIllegalState);
  ASSERT_TRUE(vm->kill());

  config.config = "new";
  EXPECT_EQ((*client.service->setRecordConfig("kept", config)).config.size(), 60000u);
  config.os = "other";
  EXPECT_EQ(client.service->setRecordConfig("kept", config).error().exception(), Exception::kIllegalArgument);

  const auto descriptor = client.service->exportRecord("kept");
  ASSERT_TRUE(descriptor);
  const auto copy = client.service->importRecord("copy", *descriptor);
  ASSERT_TRUE(copy) << copy.error().to_string();
  EXPECT_EQ(copy->instanceId, made->instanceId);
  ASSERT_TRUE(client.service->deleteRecord("kept"));
  EXPECT_EQ(client.service->deleteRecord("kept").error().service_specific_code(), aidl::IVirtualizationService::ERROR_NOT_FOUND);

  daemon.stop(SIGTERM);
  daemon.start();
  Client later(daemon);
  EXPECT_EQ((*later.service->getRecord("copy"))->config.config, "new");
}

TEST_F(DaemonTest, ABigPayloadGetsThrough) {
  daemon.start();
  Client client(daemon);
  auto config = app_config({"hello", "exit:0"});
  auto& payload = config.get<aidl::VirtualMachineConfig::Tag::appConfig>().payload;
  for (int i = 0; i < 100; ++i) payload.env.push_back("V" + std::to_string(i) + "=" + std::string(30000, 'x'));
  auto vm = create(client, config);
  auto callback = std::make_shared<Callback>();
  ASSERT_TRUE(vm->registerCallback(callback));
  ASSERT_TRUE(vm->start());
  EXPECT_EQ(callback->wait_for_death(), DeathReason::SHUTDOWN);
  for (int i = 0; i < 100; ++i) payload.env.push_back(std::string(30000, 'y'));
  const auto refused = client.service->createVm(config, std::nullopt, std::nullopt, std::nullopt);
  EXPECT_EQ(refused.error().exception(), Exception::kIllegalArgument);
}

TEST_F(DaemonTest, SignalsAndSizesReachThePayload) {
  daemon.start();
  Client client(daemon);
  auto config = app_config({"hello", "wait"});
  config.get<aidl::VirtualMachineConfig::Tag::appConfig>().payload.terminal = true;
  auto vm = create(client, config);
  auto listener = std::make_shared<Listener>();
  ASSERT_TRUE(vm->listenVsock(guest::kTerminalPort, listener));
  auto callback = std::make_shared<Callback>();
  ASSERT_TRUE(vm->registerCallback(callback));
  ASSERT_TRUE(vm->start());
  const UniqueFd terminal = listener->wait_for(guest::kTerminalPort);
  callback->wait_for("started");
  ASSERT_TRUE(vm->setTerminalSize(40, 120));
  EXPECT_THAT(read_until(terminal.get(), "40x120\n"), HasSubstr("to stdout"));
  EXPECT_EQ(vm->setTerminalSize(-1, 0).error().exception(), Exception::kIllegalArgument);
  ASSERT_TRUE(vm->signalPayload(SIGKILL));
  callback->wait_for("finished 137");
  ASSERT_TRUE(vm->stop());
}

// Even if the permissions of the folder let one in: who calls is known from the socket.
TEST_F(DaemonTest, AnotherUsersClientIsRefused) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root can become another user";
  daemon.start();
  constexpr uid_t kNobody = 65534;
  constexpr int kUnreachable = 9;
  for (const std::string& path : {daemon.folder(), daemon.folder() + "/run"}) ASSERT_EQ(::chmod(path.c_str(), 0711), 0);
  ASSERT_EQ(::chmod(daemon.socket().c_str(), 0777), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    if (::setresgid(kNobody, kNobody, kNobody) != 0 || ::setresuid(kNobody, kNobody, kNobody) != 0) ::_exit(10);
    // The folders above the service's are not ours to open.
    if (::access(std::filesystem::path(daemon.folder()).parent_path().c_str(), X_OK) != 0) ::_exit(kUnreachable);
    Client stranger(daemon);
    if (!stranger.service) ::_exit(11);
    const auto list = stranger.service->debugListVms();
    if (list || list.error().exception() != Exception::kSecurity) ::_exit(12);
    if (list.error().message().find("user 0") == std::string::npos) ::_exit(13);
    const auto vm = stranger.service->createVm(raw_config(""), std::nullopt, std::nullopt, std::nullopt);
    ::_exit(!vm && vm.error().exception() == Exception::kSecurity ? 0 : 14);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  if (WIFEXITED(status) && WEXITSTATUS(status) == kUnreachable)
    GTEST_SKIP() << "another user may not enter the folders above '" << daemon.folder() << "' on this machine";
  EXPECT_EQ(status, 0) << WEXITSTATUS(status);
  Client own(daemon);
  EXPECT_TRUE(own.service->debugListVms());
}

TEST_F(DaemonTest, EndsWhenNobodyNeedsIt) {
  daemon.start({"--idle-exit=1"});
  {
    Client client(daemon);
    auto vm = create(client, raw_config("", "detached"));
    ASSERT_TRUE(vm->setDetached(true));
    ASSERT_TRUE(vm->start());
  }
  {
    Client later(daemon);  // it is still there for its VM
    auto vm = *later.service->getVm("detached");
    ASSERT_TRUE(vm);
    ASSERT_TRUE(vm->kill());
  }
  EXPECT_EQ(daemon.wait(), 0);
  EXPECT_FALSE(std::filesystem::exists(daemon.socket()));
  EXPECT_TRUE(daemon.processes().empty());
  daemon.start();
  Client again(daemon);
  EXPECT_TRUE(again.service->debugListVms());
}

TEST_F(DaemonTest, OneAtATime) {
  daemon.start();
  const std::string command = "env ADYTON_RUNTIME_DIR=" + daemon.folder() + "/run XDG_DATA_HOME=" + daemon.folder() + "/data " +
                              ADYTON_SERVICE_PROGRAM + " --vmm=/bin/true 2>&1";
  FILE* second = ::popen(command.c_str(), "r");
  char line[512] = {};
  EXPECT_NE(std::fgets(line, sizeof(line), second), nullptr);
  EXPECT_THAT(line, HasSubstr("another adytond"));
  EXPECT_NE(::pclose(second), 0);
  Client client(daemon);
  EXPECT_TRUE(client.service->debugListVms());
}

TEST_F(DaemonTest, TakesItsSettingsFromAFile) {
  std::filesystem::create_directories(daemon.folder() + "/config/adyton");
  std::ofstream(daemon.folder() + "/config/adyton/adytond.toml") << "max_vms = 3\n";
  daemon.start({"--max-cpus=5"});
  Client client(daemon);
  const auto usage = *client.service->getResourceUsage();
  EXPECT_EQ(usage.maxVms, 3);
  EXPECT_EQ(usage.maxCpus, 5);
}

TEST_F(DaemonTest, AManyTimesUsedServiceStaysAsItWas) {
  daemon.start();
  const auto round = [&] {
    Client client(daemon);
    auto vm = create(client, app_config({"hello", "exit:0"}));
    auto callback = std::make_shared<Callback>();
    ASSERT_TRUE(vm->registerCallback(callback));
    ASSERT_TRUE(vm->listenVsock(7000, std::make_shared<Listener>()));
    ASSERT_TRUE(vm->start());
    const UniqueFd console = *vm->openConsole(true);
    callback->wait_for_death();
    auto killed = create(client, raw_config(""));
    ASSERT_TRUE(killed->start());
  };
  for (int i = 0; i < 3; ++i) round();
  const auto settled = [&] { return daemon.processes().size() == 1 && daemon.threads() <= 4; };
  Service::wait_until(settled);
  const size_t fds = daemon.fds();
  for (int i = 0; i < 20; ++i) round();
  Service::wait_until(settled);
  Service::wait_until([&] { return daemon.fds() <= fds; });
  EXPECT_LE(daemon.resident(), 24u << 20);
  RecordProperty("resident_kib", static_cast<int>(daemon.resident() >> 10));
}

}  // namespace
}  // namespace adyton::service_tests
