#include "cli/looking.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace adyton::cli {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;
using ::testing::Not;

VirtualMachineInfo some_vm() {
  VirtualMachineInfo vm;
  vm.cid = 2048;
  vm.name = "worker";
  vm.state = VmState::kReady;
  vm.cpu_count = 2;
  vm.memory_bytes = 512 << 20;
  vm.pid = 77;
  vm.uptime = std::chrono::milliseconds(65'000);
  vm.cpu_time = std::chrono::milliseconds(4000);
  return vm;
}

TEST(Table, ColumnsLineUp) {
  EXPECT_EQ(format_table({{"A", "B"}, {"long", "x"}, {"gr\xc3\xbcn", "y"}}), "A     B\nlong  x\ngr\xc3\xbcn  y\n");
}

TEST(Duration, HasTwoUnitsAtMost) {
  using std::chrono::milliseconds;
  EXPECT_EQ(format_duration(milliseconds(0)), "0.0s");
  EXPECT_EQ(format_duration(milliseconds(1234)), "1.2s");
  EXPECT_EQ(format_duration(milliseconds(59'999)), "59s");
  EXPECT_EQ(format_duration(milliseconds(61'000)), "1m 1s");
  EXPECT_EQ(format_duration(milliseconds(3'660'000)), "1h 1m");
  EXPECT_EQ(format_duration(milliseconds(90'000'000)), "1d 1h");
}

TEST(List, ShowsRunningOnesAndRecords) {
  const auto config = VirtualMachineConfig::Builder()
                          .setIsolation(IsolationLevel::kNone)
                          .setDebugLevel(DebugLevel::kFull)
                          .setPayload("/bin/x")
                          .setCpuCount(4)
                          .setMemoryBytes(256 << 20)
                          .build();
  ASSERT_TRUE(config) << config.error().message;
  const std::vector<StoppedVm> stopped = {{.name = "asleep", .config = *config}, {.name = "broken", .config = std::nullopt}};
  const std::string text = format_list({some_vm()}, stopped, /*json=*/false);
  EXPECT_THAT(text, HasSubstr("NAME"));
  EXPECT_THAT(text, HasSubstr("worker  2048  ready    none       2     512 MiB  1m 5s"));
  EXPECT_THAT(text, HasSubstr("asleep  -     stopped  none       4     256 MiB  -       yes"));
  EXPECT_THAT(text, HasSubstr("broken  -     stopped  -          -     -        -       yes"));
  VirtualMachineInfo halted = some_vm();
  halted.suspended = true;
  EXPECT_THAT(format_list({halted}, {}, /*json=*/false), HasSubstr("ready (suspended)"));
  EXPECT_THAT(format_info(halted, /*as_json=*/false), HasSubstr("ready (suspended)"));
  const json all = json::parse(format_list({some_vm()}, stopped, /*json=*/true));
  ASSERT_EQ(all.size(), 3u);
  EXPECT_EQ(all[0]["name"], "worker");
  EXPECT_EQ(all[0]["isolation"], "none");
  EXPECT_EQ(all[0]["memory_bytes"], 512 << 20);
  EXPECT_EQ(all[1]["state"], "stopped");
  EXPECT_EQ(all[1]["isolation"], "none");
  EXPECT_EQ(all[1]["cpus"], 4);
  EXPECT_EQ(all[1]["memory_bytes"], 256 << 20);
  EXPECT_EQ(all[2]["state"], "stopped");
  EXPECT_EQ(format_list({}, {}, /*json=*/true), "[]\n");
}

TEST(Info, SaysWhyOneEndedOnOneLine) {
  VirtualMachineInfo vm = some_vm();
  EXPECT_THAT(format_info(vm, false), HasSubstr("none (the host may look in)"));
  EXPECT_THAT(format_info(vm, false), Not(HasSubstr("Ended")));
  vm.state = VmState::kDead;
  vm.stop_reason = StopReason::kCrash;
  vm.stop_message = "it\x1b[2J\ncrashed";
  vm.payload_exit_code = 139;
  EXPECT_THAT(format_info(vm, false), HasSubstr("crash: it [2J crashed"));
  EXPECT_THAT(format_info(vm, false), HasSubstr("139"));
  EXPECT_EQ(json::parse(format_info(vm, true))["stop_reason"], "crash");
}

TEST(Machine, SaysWhatIsMissingAndWhy) {
  Capabilities capabilities{.service_version = "1.0", .bits = Capabilities::kNonProtectedVm, .isolation = {}, .backends = {}};
  capabilities.isolation = {{.level = IsolationLevel::kNone, .available = true, .reason = ""},
                            {.level = IsolationLevel::kHypervisor, .available = false, .reason = "no pKVM here"}};
  capabilities.backends = {{.name = "soft", .available = true, .reason = "", .host_features = {"avx2"}}};
  const std::string text = format_machine(capabilities, {.vms = 1, .max_vms = 64}, false);
  EXPECT_THAT(text, HasSubstr("1 of 64"));
  EXPECT_THAT(text, HasSubstr("no: no pKVM here"));
  EXPECT_THAT(text, HasSubstr("available (avx2)"));
  EXPECT_EQ(json::parse(format_machine(capabilities, {}, true))["isolation"][1]["reason"], "no pKVM here");
}

}  // namespace
}  // namespace adyton::cli
