// adytond with the real adyton-vmm and a kernel of a few instructions (tests/e2e/raw.S).
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>

#include "tests/service/service.h"

namespace adyton::service_tests {
namespace {

using ::testing::HasSubstr;
using virtualizationcommon::DeathReason;

class ServiceRawVm : public ::testing::Test {
 protected:
  ServiceRawVm() {
    ::signal(SIGPIPE, SIG_IGN);
    daemon.start({"--vmm=" + real_vmm()});
    client.emplace(daemon);
    vm = *client->service->createVm(raw_config(""), std::nullopt, std::nullopt, std::nullopt);
    EXPECT_TRUE(vm->registerCallback(callback));
  }
  void start() {
    const auto started = vm->start();
    ASSERT_TRUE(started) << started.error().to_string();
    console = *vm->openConsole(true);
    EXPECT_EQ(read_exactly(console.get(), 5), "raw> ");
  }
  void type(const char* key) { ASSERT_EQ(::write(console.get(), key, 1), 1); }

  Service daemon;
  std::optional<Client> client;
  std::shared_ptr<Callback> callback = std::make_shared<Callback>();
  std::shared_ptr<aidl::IVirtualMachine> vm;
  UniqueFd console;
};

TEST_F(ServiceRawVm, BootsAndPowersOff) {
  start();
  type("a");
  EXPECT_EQ(read_exactly(console.get(), 1), "a");
  const auto info = *vm->getInfo();
  EXPECT_EQ(info.backend, "soft");
  EXPECT_EQ(info.isolation, aidl::IsolationLevel::NONE);
  EXPECT_GT(info.residentBytes, 0);
  type("o");
  EXPECT_EQ(callback->wait_for_death(), DeathReason::SHUTDOWN);
  EXPECT_EQ(read_all(console.get()), "o");
  EXPECT_EQ(daemon.processes().size(), 1u);
}

TEST_F(ServiceRawVm, AResetIsAReboot) {
  start();
  type("r");
  EXPECT_EQ(callback->wait_for_death(), DeathReason::REBOOT);
}

TEST_F(ServiceRawVm, APanicIsACrash) {
  start();
  type("p");
  EXPECT_EQ(callback->wait_for_death(), DeathReason::CRASH);
  EXPECT_THAT((*vm->getInfo()).deathMessage, HasSubstr("panicked: as asked"));
}

TEST_F(ServiceRawVm, IsGoneWhenItIsKilled) {
  start();
  ASSERT_TRUE(vm->kill());
  EXPECT_EQ(callback->wait_for_death(), DeathReason::KILLED);
  EXPECT_EQ(daemon.processes().size(), 1u);
}

TEST_F(ServiceRawVm, GoesWithTheService) {
  start();
  EXPECT_EQ(daemon.stop(SIGKILL), -SIGKILL);
  Service::wait_until([&] { return daemon.processes().empty(); });
}

TEST_F(ServiceRawVm, AKernelThatIsNoneIsRefused) {
  auto config = raw_config("");
  machine_of(config).kernel = UniqueFd(::open("/proc/self/exe", O_RDONLY | O_CLOEXEC));
  auto bad = *client->service->createVm(config, std::nullopt, std::nullopt, std::nullopt);
  const auto refused = bad->start();
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().message(), HasSubstr("kernel"));
}

TEST_F(ServiceRawVm, ManyRunAtATime) {
  std::vector<std::shared_ptr<aidl::IVirtualMachine>> vms;
  for (int i = 0; i < 8; ++i) {
    vms.push_back(*client->service->createVm(raw_config(""), std::nullopt, std::nullopt, std::nullopt));
    ASSERT_TRUE(vms.back()->start());
  }
  for (const auto& each : vms) {
    const UniqueFd its_console = *each->openConsole(true);
    EXPECT_EQ(read_exactly(its_console.get(), 5), "raw> ");
  }
  EXPECT_EQ((*client->service->debugListVms()).size(), 9u);
  vms.clear();
  Service::wait_until([&] { return daemon.processes().size() == 1; });
}

TEST_F(ServiceRawVm, TheMachineIsDescribed) {
  const auto capabilities = client->service->getCapabilities();
  ASSERT_TRUE(capabilities) << capabilities.error().to_string();
  EXPECT_EQ(capabilities->backends[0].name, "soft");
}

}  // namespace
}  // namespace adyton::service_tests
