// The service's metrics as Prometheus reads them, and its dashboard.
#include <arpa/inet.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <array>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <set>
#include <sstream>
#include <string>
#include <vector>

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

std::string scrape(const Service& daemon) {
  return run(curl(daemon) + " | " ADYTON_CHECK_METRICS " " ADYTON_DASHBOARD " " ADYTON_METRICS_DOCUMENTATION);
}

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
  EXPECT_THAT(metrics, HasSubstr("adyton_rpc_latency_seconds_count{interface=adyton.virtualizationservice.IVirtualMachine,"
                                 "method=start,vm=one} 1.0\n"));
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

#ifdef ADYTON_PROGRAM
TEST(ServiceMetrics, AreAllInAdytonTop) {
  Service daemon;
  daemon.start();
  Client client(daemon);
  const auto vm = start(client, "", "one");
  const auto silent = start(client, "at=statistics:error", "ein \"zweites\"");
  ASSERT_TRUE(vm && silent);
  EXPECT_FALSE(vm->start()) << "a call that fails";
  const std::string metrics = daemon.folder() + "/metrics";
  const std::string top = daemon.folder() + "/top";
  run(curl(daemon) + " > " + metrics);
  const std::string adyton = "env ADYTON_RUNTIME_DIR=" + daemon.folder() + "/run " ADYTON_PROGRAM " top ";
  run(adyton + "--json > " + top);
  EXPECT_THAT(run(ADYTON_CHECK_TOP " " + metrics + " " + top), HasSubstr("families"));

  EXPECT_THAT(run(adyton + "--once -i 0.1 one"), ::testing::AllOf(HasSubstr("mmio"), HasSubstr("IVirtualMachine.start"),
                                                                  HasSubstr("virtio-blk"), Not(HasSubstr("zweites"))));
  EXPECT_THAT(run(adyton + "--once -i 0.1 --view exits"), ::testing::AllOf(HasSubstr("mmio"), HasSubstr("zweites")));
  EXPECT_THAT(run(adyton + "--once missing 2>&1 || true"), HasSubstr("no virtual machine 'missing' is running"));
}
#endif

// A port that nobody has now.
uint16_t free_port() {
  const UniqueFd probe(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{.sin_family = AF_INET, .sin_port = 0, .sin_addr = {htonl(INADDR_LOOPBACK)}, .sin_zero = {}};
  EXPECT_EQ(::bind(probe.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)), 0);
  socklen_t size = sizeof(address);
  EXPECT_EQ(::getsockname(probe.get(), reinterpret_cast<sockaddr*>(&address), &size), 0);
  return ntohs(address.sin_port);
}

std::string curl(uint16_t port) { return fmt::format("curl --silent --show-error --fail http://127.0.0.1:{}/metrics", port); }

TEST(ServiceMetrics, AreOnALoopbackPortWhenAsked) {
  const uint16_t port = free_port();
  Service daemon;
  daemon.start({fmt::format("--metrics-port={}", port)});
  EXPECT_THAT(run(curl(port)), HasSubstr("adyton_vms 0\n"));
  EXPECT_THAT(run(curl(daemon)), HasSubstr("adyton_vms 0\n")) << "beside the socket, not in its place";
  // 127.0.0.2 is this machine too, but not where it listens.
  EXPECT_THAT(run(fmt::format("curl --silent http://127.0.0.2:{}/metrics || echo nobody", port)), HasSubstr("nobody"));
}

TEST(ServiceMetrics, AreOnThePortThatTheSettingsName) {
  const uint16_t port = free_port();
  Service daemon;
  std::filesystem::create_directories(daemon.folder() + "/config/adyton");
  std::ofstream(daemon.folder() + "/config/adyton/adytond.toml") << "metrics_port = " << port << "\n";
  daemon.start();
  EXPECT_THAT(run(curl(port)), HasSubstr("adyton_vms 0\n"));
}

TEST(ServiceMetrics, AreOnNoPortUnasked) {
  Service daemon;
  daemon.start();
  std::set<std::string> inodes;  // of its sockets
  for (const auto& entry : std::filesystem::directory_iterator(fmt::format("/proc/{}/fd", daemon.pid()))) {
    std::error_code gone;
    const std::string target = std::filesystem::read_symlink(entry, gone);
    if (target.starts_with("socket:[")) inodes.insert(target.substr(8, target.size() - 9));
  }
  ASSERT_FALSE(inodes.empty());
  for (const char* table : {"/proc/net/tcp", "/proc/net/tcp6"}) {
    std::ifstream lines(table);
    for (std::string line; std::getline(lines, line);) {
      std::istringstream words(line);
      const std::vector<std::string> fields(std::istream_iterator<std::string>(words), {});
      if (fields.size() > 9) {
        EXPECT_FALSE(inodes.contains(fields[9])) << line;
      }
    }
  }
}

}  // namespace
}  // namespace adyton::service_tests
