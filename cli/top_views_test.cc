#include "cli/top_views.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <sstream>

namespace adyton::cli {
namespace {

using namespace std::chrono_literals;
using std::chrono::milliseconds;
using ::testing::HasSubstr;
using ::testing::MatchesRegex;
using ::testing::Not;

VirtualMachineManager::Activity some_vm() {
  VirtualMachineManager::Activity vm;
  vm.info.name = "one";
  vm.info.cid = 2048;
  vm.info.pid = 7;
  vm.info.cpu_count = 2;
  vm.info.state = VmState::kReady;
  vm.info.cpu_time = milliseconds(4000);
  vm.info.uptime = milliseconds(10'000);
  vm.info.memory_bytes = 512 << 20;
  vm.info.resident_bytes = 84 << 20;
  vm.statistics.emplace();
  vm.statistics->thread_times = {{"vcpu0", 3000ms}, {"virtio-blk", 20ms}};
  vm.statistics->counts = {{"code_bytes", 3 << 20}, {"code_capacity_bytes", 32 << 20}, {"code_flushes", 7}};
  vm.statistics->vcpus = {{{"exits.mmio", 100}, {"interrupts", 9}, {"tlb_refills", 30}, {"table_walks", 20}},
                          {{"exits.wfi", 20}}};
  vm.statistics->devices = {{.name = "virtio-blk", .interrupts = 3, .queues = {{4, 5, 6 << 10, 7 << 10}}}};
  vm.statistics->vsock = {.connections = 1, .opened = 2, .refused = 3, .bytes_from_guest = 1 << 20, .bytes_to_guest = 0};
  vm.statistics->balloon = {.target = 20 << 20, .actual = 10 << 20, .returned = 11 << 20, .guest_available = 300 << 20};
  return vm;
}

Look some_look() {
  Look look{.vms = {some_vm()}, .service = {}};
  look.service.version = "1.2";
  look.service.vms = 1;
  look.service.clients = 2;
  look.service.resident_bytes = 6 << 20;
  look.service.call_bounds = {100us, 1ms, 10ms};
  look.service.calls = {
      {.vm = "one", .interface = "a.b.IVm", .method = "start", .counts = {0, 10, 0, 0}, .time = 5ms, .failures = 1}};
  look.service.host_pressure = {{.resource = "cpu", .kind = "some", .share = 0.125, .stalled = 9us},
                                {.resource = "cpu", .kind = "full", .share = 0, .stalled = 0us}};
  return look;
}

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

// What a table says under a heading in its first row.
std::string under(const std::string& text, const std::string& heading, size_t row = 1) {
  const auto lines = lines_of(text);
  for (size_t i = 0; i < lines.size(); ++i) {
    const size_t at = (" " + lines[i] + " ").find(" " + heading + " ");
    if (at == std::string::npos || i + row >= lines.size()) continue;
    std::istringstream cell(lines[i + row].substr(std::min(at, lines[i + row].size())));
    std::string value;
    cell >> value;
    return value;
  }
  return "no " + heading;
}

TEST(Top, AVmThatDidNotAnswerTheLastTimeHasNoRateOfItsWholeLife) {
  Look before = some_look();
  before.vms[0].statistics.reset();
  EXPECT_EQ(under(format_top(before, some_look(), milliseconds(1000)), "EXITS/S"), "-");
}

TEST(Top, SharesAndRatesAreOfTheTimeBetweenTwoLooks) {
  Look now = some_look();
  now.vms[0].info.cpu_time += milliseconds(3000);
  now.vms[0].statistics->vcpus[1]["exits.wfi"] += 500;
  now.vms[0].statistics->vcpus[0]["table_walks"] += 4000;
  now.vms[0].statistics->vsock.bytes_from_guest += 6 << 20;
  now.vms[0].statistics->devices[0].queues[0].bytes_to_guest += 4 << 20;
  const std::string table = format_top(some_look(), now, milliseconds(2000));
  EXPECT_EQ(under(table, "CPU%"), "150.0");
  EXPECT_EQ(under(table, "EXITS/S"), "250");
  EXPECT_EQ(under(table, "CODE"), "3.0M");
  EXPECT_EQ(under(table, "TLB/S"), "2.0k");
  EXPECT_EQ(under(table, "MEM"), "512M");
  EXPECT_EQ(under(table, "RES"), "84M");
  EXPECT_EQ(under(table, "BALLOON"), "10M");
  EXPECT_EQ(under(table, "VIRTQ/S"), "2.0M");
  EXPECT_EQ(under(table, "VSOCK/S"), "3.0M");
}

TEST(Top, ANewVmHasItsOwnLifeToDivideBy) {
  const std::string table = format_top({}, some_look(), milliseconds(1000));
  EXPECT_EQ(under(table, "CPU%"), "40.0");
  EXPECT_EQ(under(table, "EXITS/S"), "12");
  Look other = some_look();
  other.vms[0].info.pid = 8;
  EXPECT_EQ(under(format_top(other, some_look(), milliseconds(1000)), "CPU%"), "40.0") << "a run before is another one";
}

TEST(Top, AVmThatDoesNotTellIsShownAllTheSame) {
  Look now = some_look();
  now.vms[0].statistics.reset();
  EXPECT_EQ(under(format_top(some_look(), now, 1s), "EXITS/S"), "-");
  EXPECT_THAT(format_top(some_look(), now, 1s, {.all = true}), HasSubstr("one"));
  Look back = some_look();
  back.vms[0].statistics->vcpus.clear();  // counts that went back
  EXPECT_EQ(under(format_top(some_look(), back, 1s), "EXITS/S"), "0");
}

TEST(Top, SaysWhatTheHostIsShortOf) {
  const std::string table = format_top({}, some_look(), 1s);
  EXPECT_THAT(table, HasSubstr("adytond 1.2: 1 VM, 2 clients, 6 MiB\n"));
  EXPECT_THAT(table, HasSubstr("cpu 12.5/0.0\n"));
  Look without = some_look();
  without.service.host_pressure.clear();
  EXPECT_THAT(format_top({}, without, 1s), HasSubstr("does not tell"));
}

TEST(Top, HasAViewOfEverything) {
  Look now = some_look();
  now.vms[0].statistics->vcpus[0]["exits.mmio"] += 60;
  now.vms[0].statistics->devices[0].queues[0].kicks += 8;
  now.service.calls[0].counts[2] += 10;
  const auto view = [&](TopView which) { return format_top(some_look(), now, 2s, {.view = which}); };
  EXPECT_EQ(under(view(TopView::kExits), "mmio"), "30");
  EXPECT_EQ(under(view(TopView::kExits), "wfi"), "0");
  EXPECT_EQ(under(view(TopView::kCode), "ROOM"), "32M");
  EXPECT_EQ(under(view(TopView::kCode), "FLUSHES"), "7");
  EXPECT_EQ(under(view(TopView::kMemory), "TARGET"), "20M");
  EXPECT_EQ(under(view(TopView::kMemory), "AVAILABLE"), "300M");
  EXPECT_EQ(under(view(TopView::kMemory), "FREE"), "-");
  EXPECT_EQ(under(view(TopView::kDevices), "KICKS/S"), "4");
  EXPECT_EQ(under(view(TopView::kVsock), "REFUSED"), "3");
  EXPECT_EQ(under(view(TopView::kRpc), "CALL"), "IVm.start");
  EXPECT_EQ(under(view(TopView::kRpc), "CALLS"), "20");
  EXPECT_EQ(under(view(TopView::kRpc), "CALLS/S"), "5");
  EXPECT_EQ(under(view(TopView::kRpc), "FAILED"), "1");
  EXPECT_EQ(under(view(TopView::kRpc), "P50"), "1.0ms");
  EXPECT_EQ(under(view(TopView::kRpc), "P99"), "9.8ms");
  const std::string all = format_top(some_look(), now, 2s, {.all = true});
  for (const char* text : {"EXITS/S", "mmio", "ROOM", "TARGET", "KICKS/S", "REFUSED", "IVm.start", "vcpu0"})
    EXPECT_THAT(all, HasSubstr(text));
}

TEST(Top, FitsTheTerminalWhateverItIsTold) {
  Look now = some_look();
  auto& vm = now.vms[0];
  vm.info.name = std::string(40, 'n') + "\033[2J\u00e4";
  vm.info.suspended = true;
  vm.info.memory_bytes = vm.info.resident_bytes = vm.info.peak_resident_bytes = UINT64_MAX;
  vm.info.cpu_time = 99'999s;
  vm.statistics->counts["code_bytes"] = UINT64_MAX;
  for (const char* reason : {"mmio", "irqchip", "doorbell", "firmware", "wfi", "wfe", "kick", "debug"})
    vm.statistics->vcpus[0][std::string("exits.") + reason] = 1ULL << 60;
  for (const char* count : {"tlb_refills", "table_walks", "translated_blocks", "translated_instructions", "interrupts"})
    vm.statistics->vcpus[0][count] = UINT64_MAX / 4;
  vm.statistics->devices[0] = {
      .name = std::string(60, 'd'), .interrupts = UINT64_MAX, .queues = {{UINT64_MAX, UINT64_MAX, 1, 2}}};
  vm.statistics->vsock = {UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX / 2, UINT64_MAX / 2};
  vm.statistics->balloon = {UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX};
  now.service.calls[0].vm = vm.info.name;
  now.service.calls[0].method = std::string(80, 'm');
  now.service.calls[0].counts = {UINT64_MAX / 2};
  for (const auto& [name, view] : kTopViews) {
    const std::string text = format_top({}, now, 1s, {.view = view});
    EXPECT_THAT(text, Not(HasSubstr("\033")));
    for (const std::string& line : lines_of(text)) {
      const auto continuations =
          std::ranges::count_if(line, [](char c) { return (static_cast<unsigned char>(c) & 0xc0) == 0x80; });
      EXPECT_LE(line.size() - static_cast<size_t>(continuations), 100u) << name << ": " << line;
    }
  }
  EXPECT_EQ(under(format_top({}, some_look(), 1s, {.columns = 140}), "CID"), "2048") << "more where there is room";
}

TEST(Top, JsonHasVmsCallsAndTheHost) {
  const auto all = nlohmann::json::parse(format_top_json(some_look()));
  EXPECT_EQ(all["vms"][0]["info"]["name"], "one");
  EXPECT_EQ(all["vms"][0]["statistics"]["vcpus"][0]["exits.mmio"], 100);
  EXPECT_EQ(all["vms"][0]["statistics"]["balloon"]["guest_free"], nullptr);
  EXPECT_EQ(all["service"]["clients"], 2);
  EXPECT_EQ(all["host_pressure"][0]["share"], 0.125);
  EXPECT_EQ(all["rpc"]["bounds_ns"][1], 1'000'000);
  EXPECT_EQ(all["rpc"]["calls"][0]["vm"], "one");
  EXPECT_EQ(all["rpc"]["calls"][0]["count"], 10);
  EXPECT_EQ(all["rpc"]["calls"][0]["p50_ns"], 550'000);
}

}  // namespace
}  // namespace adyton::cli
