// What is left when a client, the service or a VMM is killed, or descriptors run out: nothing.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <csignal>
#include <filesystem>
#include <random>
#include <thread>

#include "tests/service/service.h"

namespace adyton::service_tests {
namespace {

using ::testing::HasSubstr;
using virtualizationcommon::DeathReason;

class FaultTest : public ::testing::Test {
 protected:
  FaultTest() { ::signal(SIGPIPE, SIG_IGN); }

  void wait_until_as_idle_as(size_t fds) {
    Service::wait_until([&] { return daemon.processes().size() == 1; });
    Service::wait_until([&] { return daemon.fds() <= fds; });
  }
  // A client in a process of its own, which is there until it is killed. A byte comes when its VM runs.
  pid_t client_process(const char* params, int ready) {
    const pid_t child = ::fork();
    if (child != 0) return child;
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    Client client(daemon);
    auto vm = client.service->createVm(raw_config(params), std::nullopt, std::nullopt, std::nullopt);
    auto callback = std::make_shared<Callback>();
    if (!vm || !(*vm)->registerCallback(callback) || !(*vm)->start()) ::_exit(1);
    if (::write(ready, "r", 1) != 1) ::_exit(1);
    for (;;) ::pause();
  }

  Service daemon;
};

TEST_F(FaultTest, AKilledClientTakesItsVmsAlong) {
  daemon.start();
  int ends[2];
  ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
  const UniqueFd ready(ends[0]), writer(ends[1]);
  size_t fds = 0;
  for (int i = 0; i < 10; ++i) {
    if (i == 2) fds = daemon.fds();  // the first rounds make what is made once
    const pid_t child = client_process("console:hello", writer.get());
    char byte = 0;
    ASSERT_EQ(::read(ready.get(), &byte, 1), 1);
    EXPECT_EQ(daemon.processes().size(), 2u);
    ::kill(child, SIGKILL);
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFSIGNALED(status)) << WEXITSTATUS(status);
    if (i < 2) Service::wait_until([&] { return daemon.processes().size() == 1 && daemon.threads() <= 4; });
    if (i >= 2) wait_until_as_idle_as(fds);
  }
}

// It has VMs whose events it does not take, and consoles that it does not read, and is there.
TEST_F(FaultTest, AClientThatHasStoppedHoldsUpNobodyAndLeavesNothing) {
  daemon.start();
  int ends[2];
  ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
  const UniqueFd ready(ends[0]), writer(ends[1]);
  ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
  const UniqueFd go(ends[0]), starter(ends[1]);
  const pid_t child = ::fork();  // before there are threads
  if (child == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    char byte = 0;
    if (::read(go.get(), &byte, 1) != 1) ::_exit(1);
    Client client(daemon);
    std::vector<std::shared_ptr<aidl::IVirtualMachine>> vms;
    std::vector<UniqueFd> consoles;
    const auto callback = std::make_shared<Callback>();
    for (int i = 0; i < 4; ++i) {
      auto vm = client.service->createVm(raw_config("console:hello", "stalled-" + std::to_string(i)), std::nullopt, std::nullopt,
                                         std::nullopt);
      if (!vm || !(*vm)->registerCallback(callback) || !(*vm)->start()) ::_exit(1);
      consoles.push_back(*(*vm)->openConsole(true));
      vms.push_back(*vm);
    }
    if (::write(writer.get(), "r", 1) != 1) ::_exit(1);
    ::raise(SIGSTOP);
    ::_exit(0);
  }
  const auto others_live = [&] {
    Client client(daemon);
    for (int i = 0; i < 5; ++i) {
      const auto callback = std::make_shared<Callback>();
      const auto vm = *client.service->createVm(raw_config("console:hello"), std::nullopt, std::nullopt, std::nullopt);
      ASSERT_TRUE(vm->registerCallback(callback));
      ASSERT_TRUE(vm->start());
      const UniqueFd console = *vm->openConsole(true);
      EXPECT_EQ(read_exactly(console.get(), 5), "hello");
      ASSERT_TRUE(vm->kill());
      callback->wait_for_death();
    }
  };
  const auto idle = [&] { return daemon.processes().size() == 1 && daemon.threads() <= 4; };
  for (int i = 0; i < 2; ++i) {  // makes what is made once
    others_live();
    Service::wait_until(idle);
  }
  const size_t fds = daemon.fds();
  char byte = 0;
  ASSERT_EQ(::write(starter.get(), "g", 1), 1);
  ASSERT_EQ(::read(ready.get(), &byte, 1), 1);
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, WUNTRACED), child);
  ASSERT_TRUE(WIFSTOPPED(status));
  {
    Client client(daemon);
    for (int i = 0; i < 4; ++i) {  // ends that it is told of and does not take
      const auto vm = *client.service->getVm("stalled-" + std::to_string(i));
      ASSERT_NE(vm, nullptr);
      ASSERT_TRUE(vm->kill());
    }
  }
  others_live();
  ::kill(child, SIGKILL);
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  Service::wait_until(idle);
  wait_until_as_idle_as(fds);
}

TEST_F(FaultTest, AKilledVmmIsExplained) {
  daemon.start();
  Client client(daemon);
  size_t fds = 0;
  for (int i = 0; i < 10; ++i) {
    auto vm = *client.service->createVm(raw_config("console:hello"), std::nullopt, std::nullopt, std::nullopt);
    auto callback = std::make_shared<Callback>();
    ASSERT_TRUE(vm->registerCallback(callback));
    ASSERT_TRUE(vm->start());
    ::kill((*vm->getInfo()).pid, SIGKILL);
    EXPECT_EQ(callback->wait_for_death(), DeathReason::KILLED);
    EXPECT_THAT((*vm->getInfo()).deathMessage, HasSubstr("signal 9"));
    vm.reset();
    if (i == 2) fds = daemon.fds();
    if (i > 2) wait_until_as_idle_as(fds);
  }
}

TEST_F(FaultTest, AKilledServiceLeavesNothing) {
  const unsigned seed = std::random_device()();
  SCOPED_TRACE(seed);
  std::mt19937 random(seed);
  for (int i = 0; i < 8; ++i) {
    daemon.start();
    {
      Client client(daemon);
      std::vector<std::shared_ptr<aidl::IVirtualMachine>> vms;
      for (int n = 0; n < 3; ++n) {
        auto config = raw_config("echo");
        machine_of(config).detached = n == 0;
        vms.push_back(*client.service->createVm(config, std::nullopt, std::nullopt, std::nullopt));
        ASSERT_TRUE(vms.back()->start());
      }
      std::thread work([&] {
        for (int n = 0;; ++n) {
          if (!client.service->getOrCreateRecord("r" + std::to_string(n % 3), {})) break;
          if (n % 4 == 3 && !client.service->deleteRecord("r" + std::to_string(n % 3))) break;
        }
      });
      std::this_thread::sleep_for(std::chrono::microseconds(random() % 20000));  // the moment of the kill is what varies
      EXPECT_EQ(daemon.stop(SIGKILL), -SIGKILL);
      work.join();
      Service::wait_until([&] { return daemon.processes().empty(); });
      EXPECT_EQ(vms[0]->getState().error().transport_error(), rpc::TransportError::kDeadObject);
    }
  }
  daemon.start();
  Client client(daemon);
  EXPECT_TRUE((*client.service->debugListVms()).empty());
  const auto names = *client.service->listRecords();
  for (const std::string& name : names) EXPECT_TRUE(client.service->getRecord(name));
  EXPECT_TRUE(std::filesystem::is_empty(daemon.folder() + "/data/adyton/vm.tmp"));
}

TEST_F(FaultTest, ATerminatedServiceEndsItsVms) {
  daemon.start();
  Client client(daemon);
  auto config = raw_config("");
  machine_of(config).detached = true;
  auto vm = *client.service->createVm(config, std::nullopt, std::nullopt, std::nullopt);
  ASSERT_TRUE(vm->start());
  EXPECT_EQ(daemon.stop(SIGTERM), 0);
  EXPECT_TRUE(daemon.processes().empty());
  EXPECT_FALSE(std::filesystem::exists(daemon.socket()));
}

TEST_F(FaultTest, AClientThatConnectsAndSaysNothingDelaysNobody) {
  daemon.start();
  std::vector<UniqueFd> silent;
  for (int i = 0; i < 20; ++i) silent.push_back(*rpc::connect_to(rpc::UnixAddress{daemon.socket()}));
  Client client(daemon);
  EXPECT_TRUE(client.service->debugListVms());
}

TEST_F(FaultTest, NonsenseOnTheSocketHarmsNobodyElse) {
  daemon.start();
  Client client(daemon);
  const unsigned seed = std::random_device()();
  SCOPED_TRACE(seed);
  std::mt19937 random(seed);
  for (int i = 0; i < 50; ++i) {
    const UniqueFd hostile = *rpc::connect_to(rpc::UnixAddress{daemon.socket()});
    std::string bytes(random() % 500, '\0');
    for (char& c : bytes) c = static_cast<char>(random());
    (void)!::send(hostile.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
  }
  EXPECT_TRUE(client.service->debugListVms());
}

TEST_F(FaultTest, RunningOutOfDescriptorsIsAnErrorAndNoMore) {
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
  const rlimit few{.rlim_cur = 96, .rlim_max = 96};
  const pid_t child = ::fork();
  if (child == 0) {
    // The limit is inherited by the service that this process starts.
    if (::setrlimit(RLIMIT_NOFILE, &few) != 0) ::_exit(1);
    daemon.start();
    Client client(daemon);
    const size_t fds = daemon.fds();
    std::vector<std::shared_ptr<aidl::IVirtualMachine>> vms;
    bool refused = false;
    for (int i = 0; i < 30 && !refused; ++i) {
      auto vm = client.service->createVm(raw_config(""), std::nullopt, std::nullopt, std::nullopt);
      refused = !vm || !(*vm)->start();
      if (vm) vms.push_back(*vm);
    }
    if (!refused) ::_exit(2);
    if (!client.session->is_alive()) {
      // Descriptors were lost on their way, which ends a session: a new one finds a service in order.
      vms.clear();
      Service::wait_until([&] { return daemon.processes().size() == 1; });
      Client again(daemon);
      ::_exit(again.service->debugListVms() ? (daemon.stop(SIGTERM) == 0 ? 0 : 5) : 3);
    }
    vms.clear();
    Service::wait_until([&] { return daemon.processes().size() == 1; });
    Service::wait_until([&] { return daemon.fds() <= fds + 2; });
    auto vm = client.service->createVm(raw_config(""), std::nullopt, std::nullopt, std::nullopt);
    if (!vm || !(*vm)->start()) ::_exit(4);
    ::_exit(daemon.stop(SIGTERM) == 0 ? 0 : 5);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(WEXITSTATUS(status), 0);
  EXPECT_FALSE(WIFSIGNALED(status));
}

}  // namespace
}  // namespace adyton::service_tests
