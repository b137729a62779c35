// The service's metrics as Prometheus reads them, and its dashboard.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <cstdio>
#include <memory>
#include <string>

#include "tests/service/service.h"

namespace adyton::service_tests {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

// What a shell command writes; its exit status must be 0.
std::string run(const std::string& command) {
  std::FILE* const pipe = ::popen(command.c_str(), "r");
  std::string output;
  std::array<char, 4096> buffer{};
  while (const size_t got = std::fread(buffer.data(), 1, buffer.size(), pipe)) output.append(buffer.data(), got);
  EXPECT_EQ(::pclose(pipe), 0) << command << "\n" << output;
  return output;
}

std::string curl(const Service& daemon) {
  return "curl --silent --show-error --fail --unix-socket " + daemon.folder() + "/run/metrics.sock http://localhost/metrics";
}

std::string scrape(const Service& daemon) { return run(curl(daemon) + " | " ADYTON_CHECK_METRICS " " ADYTON_DASHBOARD); }

std::shared_ptr<aidl::IVirtualMachine> start(Client& client, const std::string& script, const std::string& name) {
  auto vm = client.service->createVm(raw_config(script, name), std::nullopt, std::nullopt, std::nullopt);
  EXPECT_TRUE(vm && (*vm)->start());
  return vm ? *vm : nullptr;
}

TEST(ServiceMetrics, ArePrometheusTextAndFillTheDashboard) {
  Service daemon;
  daemon.start();
  Client client(daemon);
  const auto vm = start(client, "", "one");
  const auto other = start(client, "at=statistics:error", "ein \"zweites\"");
  const std::string metrics = scrape(daemon);
  EXPECT_THAT(metrics, HasSubstr("adyton_vms{} 2.0\n"));
  EXPECT_THAT(metrics, HasSubstr("adyton_clients{} 1.0\n"));
  EXPECT_THAT(metrics, HasSubstr("adyton_vcpu_exits_total{reason=mmio,vcpu=1,vm=one} 4.0\n"));
  EXPECT_THAT(metrics, HasSubstr("adyton_vsock_bytes_total{direction=to_guest,vm=one} 5.0\n"));
  EXPECT_THAT(metrics, HasSubstr("adyton_vm_up{vm=ein \"zweites\"} 0.0\n"));
  EXPECT_THAT(metrics, HasSubstr("method=createVm} 2.0\n"));
  ASSERT_TRUE(vm->kill());
  EXPECT_THAT(run(curl(daemon)), Not(HasSubstr("vm=\"one\"")));
}

TEST(ServiceMetrics, SilentVmsDoNotHoldThemUp) {
  Service daemon;
  daemon.start();
  Client client(daemon);
  const auto silent = start(client, "at=statistics:nothing", "silent");
  const auto vm = start(client, "", "one");
  const std::string metrics = scrape(daemon);
  EXPECT_THAT(metrics, HasSubstr("adyton_vm_up{vm=silent} 0.0\n"));
  EXPECT_THAT(metrics, HasSubstr("adyton_vm_up{vm=one} 1.0\n"));
}

}  // namespace
}  // namespace adyton::service_tests
