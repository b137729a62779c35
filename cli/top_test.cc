#include "cli/top.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "sdk/size.h"

namespace adyton::cli {
namespace {

using std::chrono::milliseconds;
using ::testing::HasSubstr;

VirtualMachineManager::Activity some_vm() {
  VirtualMachineManager::Activity vm;
  vm.info.name = "one";
  vm.info.cid = 2048;
  vm.info.pid = 7;
  vm.info.state = VmState::kReady;
  vm.info.cpu_time = milliseconds(4000);
  vm.info.uptime = milliseconds(10'000);
  vm.statistics.emplace();
  vm.statistics->vcpus = {{{"exits.mmio", 100}, {"interrupts", 9}}, {{"exits.wfi", 20}}};
  vm.statistics->vsock.bytes_from_guest = 1 << 20;
  return vm;
}

TEST(Top, SharesAndRatesAreOfTheTimeBetweenTwoLooks) {
  auto now = some_vm();
  now.info.cpu_time += milliseconds(3000);
  now.statistics->vcpus[1]["exits.wfi"] += 500;
  now.statistics->vsock.bytes_from_guest += 6 << 20;
  const std::string table = format_top({some_vm()}, {now}, milliseconds(2000));
  EXPECT_THAT(table, HasSubstr("150.0"));
  EXPECT_THAT(table, HasSubstr(" 250 "));
  EXPECT_THAT(table, HasSubstr(sdk::format_size(3 << 20)));
}

TEST(Top, ANewVmHasItsOwnLifeToDivideBy) {
  auto now = some_vm();
  EXPECT_THAT(format_top({}, {now}, milliseconds(1000)), HasSubstr("40.0"));
  EXPECT_THAT(format_top({}, {now}, milliseconds(1000)), HasSubstr(" 12 "));
  auto other = some_vm();
  other.info.pid = 8;
  EXPECT_THAT(format_top({other}, {now}, milliseconds(1000)), HasSubstr("40.0")) << "a run before is another one";
}

TEST(Top, AVmThatDoesNotTellIsShownAllTheSame) {
  auto now = some_vm();
  now.statistics.reset();
  EXPECT_THAT(format_top({some_vm()}, {now}, milliseconds(1000)), HasSubstr(" - "));
  auto back = some_vm();
  back.statistics->vcpus.clear();  // counts that went back
  EXPECT_THAT(format_top({some_vm()}, {back}, milliseconds(1000)), HasSubstr(" 0 "));
}

TEST(Top, JsonHasEverything) {
  const auto all = nlohmann::json::parse(format_top_json({some_vm()}));
  EXPECT_EQ(all[0]["info"]["name"], "one");
  EXPECT_EQ(all[0]["statistics"]["vcpus"][0]["exits.mmio"], 100);
  EXPECT_EQ(all[0]["statistics"]["vsock"]["bytes_from_guest"], 1 << 20);
}

}  // namespace
}  // namespace adyton::cli
