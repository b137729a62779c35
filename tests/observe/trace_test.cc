// Traces of running virtual machines, as others read them, and the timeline of a start.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <regex>
#include <set>

#include "tests/e2e/adyton.h"

namespace adyton::e2e {
namespace {

using nlohmann::json;
using ::testing::AllOf;
using ::testing::ContainsRegex;
using ::testing::HasSubstr;
using ::testing::Not;

// One virtual machine, traced twice while programs are run in it: into "$1/perfetto-trace" and "$1/trace.json".
class Trace : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder_ = new TemporaryFolder;
    Adyton shell = Adyton::shell(
        R"sh(export XDG_DATA_HOME="$TMPDIR"
           "$ADYTON" run --detach --name one --smp 2 "$PROBE" wait >/dev/null || exit 8
           for file in perfetto-trace trace.json trace.txt; do
             rm -f "$TMPDIR/said"
             "$ADYTON" trace one -o "$1/$file" 2>"$TMPDIR/said" & pid=$!
             until grep -qs tracing "$TMPDIR/said"; do kill -0 $pid || exit 9; done
             "$ADYTON" exec one -- /missing 2>/dev/null
             "$ADYTON" info one >/dev/null
             # The guest follows while it is traced, which looks once more at its end.
             test $file = trace.json && { "$ADYTON" balloon one 16M || exit 12
               until "$ADYTON" balloon one | grep -q "balloon: *16 MiB"; do kill -0 $pid || exit 9; done; }
             # One at a time.
             "$ADYTON" trace one -o /dev/null >"$1/second-$file" 2>&1 && exit 10
             kill -INT $pid
             wait $pid || exit 11
             cat "$TMPDIR/said"
           done
           "$ADYTON" delete -f one >/dev/null)sh",
        {folder_->path()});
    ASSERT_EQ(shell.finish(), 0) << shell.output() << shell.errors();
    said_ = shell.output();
  }
  static void TearDownTestSuite() { delete std::exchange(folder_, nullptr); }
  static std::string file(const std::string& name) { return folder_->path() + "/" + name; }

  static TemporaryFolder* folder_;
  static std::string said_;
};
TemporaryFolder* Trace::folder_ = nullptr;
std::string Trace::said_;

TEST_F(Trace, SaysWhatItIsAndHowMuch) {
  EXPECT_THAT(said_, ContainsRegex("adyton: tracing 'one', isolation level none\n[0-9]+ records\n[0-9]+ records dropped\n"));
  EXPECT_THAT(contents(file("second-perfetto-trace")), HasSubstr("traced already"));
}

TEST_F(Trace, ProtocReadsAPerfettoTrace) {
  Adyton shell = Adyton::shell("protoc --decode_raw <\"$1\"", {file("perfetto-trace")});
  ASSERT_EQ(shell.finish(), 0) << shell.errors();
  const std::string& text = shell.output();
  for (const char* expected : {"\"VM one\"",
                               "\"vCPU 0\"",
                               "\"vCPU 1\"",
                               "\"hypervisor\"",
                               "\"hypervisor, vCPU 0\"",
                               "\"virtio-vsock (slot ",
                               "\"guest\"",
                               "\"translate\"",
                               "\"wfi\"",
                               "\"interrupt taken\"",
                               "\"interrupt raised\"",
                               "\"interrupts\"",
                               "\"virtual timer\"",
                               "\"another vCPU (SGI)\"",
                               "\"kick\"",
                               "\"done\"",
                               "\"rpc\"",
                               "\"IVirtualMachine.",
                               "\"boot\"",
                               "\"spawn\"",
                               "\"load\"",
                               "\"kernel\"",
                               "\"init\"",
                               "\"payload main\""}) {
    EXPECT_THAT(text.find(expected), Not(std::string::npos)) << expected;
  }
  EXPECT_TRUE(text.starts_with("1 {\n  6 {\n")) << "the clocks come first";
}

TEST_F(Trace, TheJsonIsAWholeTrace) {
  const json trace = json::parse(contents(file("trace.json")));
  std::map<int, std::string> tracks;
  std::map<int, int> depth;
  std::map<int, double> last;
  std::set<std::string> categories;
  uint64_t in_guest = 0;
  std::map<std::string, double> last_count;         // times, by counter
  std::map<std::string, std::set<double>> counted;  // values
  for (const json& event : trace["traceEvents"]) {
    const std::string phase = event["ph"];
    if (phase == "M") {
      tracks[event["tid"]] = event["args"]["name"];
      continue;
    }
    if (phase == "C") {
      ASSERT_EQ(event["args"].size(), 1u);
      const double value = event["args"].begin().value();
      EXPECT_GE(event["ts"].get<double>(), last_count[event["name"]]) << event["name"];
      last_count[event["name"]] = event["ts"];
      counted[event["name"]].insert(value);
      continue;
    }
    const int track = event["tid"];
    EXPECT_TRUE(tracks.contains(track));
    if (event.contains("cat")) categories.insert(event["cat"]);
    if (phase == "B") ++depth[track];
    if (phase == "E") { EXPECT_GE(--depth[track], 0) << tracks[track]; }
    if (tracks[track].starts_with("vCPU")) {
      EXPECT_GE(event["ts"].get<double>(), last[track]) << tracks[track];
      last[track] = event["ts"];
      if (phase == "B" && event["name"] == "guest") ++in_guest;
    }
  }
  for (const auto& [track, open] : depth) EXPECT_EQ(open, 0) << tracks[track];
  EXPECT_GT(in_guest, 10u);
  EXPECT_THAT(categories, ::testing::IsSupersetOf({"vcpu", "hyp", "irq", "virtio", "vsock", "rpc", "boot"}));
  EXPECT_TRUE(counted["balloon target, bytes"].contains(16 << 20));
  EXPECT_TRUE(counted["balloon, bytes"].contains(16 << 20));
  EXPECT_FALSE(counted["guest memory available, bytes"].empty());
  if (std::ifstream("/proc/pressure/memory")) {
    for (const double share : counted["host memory pressure, per mille of the time"]) {
      EXPECT_GE(share, 0);
      EXPECT_LE(share, 1000);
    }
  }
}

TEST_F(Trace, TheTextIsATimeline) {
  const std::string text = contents(file("trace.txt"));
  EXPECT_THAT(text, ContainsRegex("^VM one: [0-9.]+ m?s in columns of [0-9.]+ m?s\n"));
  EXPECT_THAT(text, ContainsRegex("\nvCPU 0 +\\[[^]]{1,64}\\]\n"));
  EXPECT_THAT(text, ContainsRegex("\nvCPU 0\n(    .*\n)*    guest [0-9]+ times, [0-9.]+ [mu]?s, the longest "));
  EXPECT_THAT(text, HasSubstr("IVirtualMachine."));
}

TEST(TraceCommand, EndsWithItsReaderItsVmOrItsTime) {
  Adyton shell = Adyton::shell(
      R"sh(export XDG_DATA_HOME="$TMPDIR"
         "$ADYTON" run --detach --name one "$PROBE" wait >/dev/null || exit 8
         { "$ADYTON" trace one -o - 2>/dev/null; echo $? >"$TMPDIR/code"; } | head -c 100 >/dev/null
         cat "$TMPDIR/code"
         "$ADYTON" trace one -d 0.01 -q -o "$TMPDIR/file" -c virtio,vsock; echo $?
         protoc --decode_raw <"$TMPDIR/file" | grep -c -e translate -e boot
         "$ADYTON" trace one -o "$TMPDIR/file" 2>"$TMPDIR/said" & pid=$!
         until grep -qs tracing "$TMPDIR/said"; do kill -0 $pid || exit 9; done
         "$ADYTON" kill one
         wait $pid; echo $?
         "$ADYTON" trace one -q -o "$TMPDIR/file" 2>&1; echo $?
         "$ADYTON" delete one)sh");
  shell.finish();
  EXPECT_THAT(shell.output(), ContainsRegex("^0\n0\n0\n0\nadyton: .*\n125\n")) << shell.errors();
}

// From the first instruction on: the first slice of the first vCPU begins where the phase "load" ends.
TEST(RunTrace, BeginsWithTheFirstInstruction) {
  for (const bool direct : {false, true}) {
    SCOPED_TRACE(direct ? "direct" : "service");
    const TemporaryFolder folder;
    const std::string file = folder.path() + "/trace.json";
    std::vector<std::string> arguments = {"--trace", file, "--smp", "2", probe(), "exit", "3"};
    if (direct) arguments.insert(arguments.begin(), "--no-service");
    const Finished run = e2e::run(arguments);
    EXPECT_EQ(run.code, 3) << run.errors;
    EXPECT_EQ(run.output, "");
    const json trace = json::parse(contents(file));
    std::map<int, std::string> tracks;
    std::map<std::string, double> first, last;  // by name; of vCPU 0 and the phases
    std::set<std::string> sources;
    for (const json& event : trace["traceEvents"]) {
      if (event["ph"] == "M") {
        tracks[event["tid"]] = event["args"]["name"];
        continue;
      }
      const std::string& track = tracks[event["tid"]];
      if (event.contains("args") && event["args"].contains("source")) sources.insert(event["args"]["source"]);
      if (track != "vCPU 0" && track != "boot") continue;
      const std::string name = event.value("name", track);
      first.try_emplace(name, event["ts"]);
      last[name] = event["ts"];
    }
    for (const char* phase : {"spawn", "load", "kernel", "init", "payload main"}) EXPECT_TRUE(first.contains(phase)) << phase;
    ASSERT_TRUE(first.contains("guest"));
    // The VM says when it begins just before it does.
    EXPECT_GE(first["guest"] + 1, first["kernel"]);
    EXPECT_LT(first["guest"], first["init"]);
    ASSERT_TRUE(first.contains("translate"));
    EXPECT_LT(first["translate"], first["init"]);
    EXPECT_THAT(sources, ::testing::IsSupersetOf({"virtual timer", "another vCPU (SGI)"}));
  }
}

TEST(RunTrace, WhatCannotBeIsSaidBeforeTheVmIsMade) {
  EXPECT_THAT(e2e::run({"--trace", "/missing/file", probe(), "exit", "3"}).errors, HasSubstr("/missing/file"));
  EXPECT_THAT(e2e::run({"--trace", "-", probe(), "exit", "3"}).errors, HasSubstr("standard output is the payload's"));
  EXPECT_THAT(e2e::run({"--detach", "--trace", "file", probe(), "exit", "3"}).errors, HasSubstr("'adyton trace'"));
  // A disk that is full costs the trace, and not the payload.
  const Finished full = e2e::run({"--trace", "/dev/full", probe(), "exit", "3"});
  EXPECT_EQ(full.code, 3);
  EXPECT_THAT(full.errors, HasSubstr("adyton: the trace is not whole: "));
}

TEST(TraceCommand, WaitsForAVmThatStarts) {
  Adyton shell = Adyton::shell(
      R"sh(export XDG_DATA_HOME="$TMPDIR"
         "$ADYTON" run --name first --rm "$PROBE" exit 0 || exit 7  # what takes long the first time has been done
         "$ADYTON" run --name one --rm "$PROBE" exit 3 & pid=$!
         until "$ADYTON" info one >/dev/null 2>&1; do kill -0 $pid || exit 8; done
         "$ADYTON" trace one -q -c calls,vsock,vcpu -o "$TMPDIR/trace.json" || exit 9
         wait $pid; cat "$TMPDIR/trace.json")sh");
  ASSERT_EQ(shell.finish(), 0) << shell.output() << shell.errors();
  EXPECT_THAT(shell.output(), AllOf(HasSubstr("\"vCPU 0\""), HasSubstr("\"guest\""), HasSubstr(":1024")));
}

TEST(Timeline, SaysHowLongEachPartOfTheStartTook) {
  for (const bool direct : {false, true}) {
    SCOPED_TRACE(direct ? "direct" : "service");
    const auto begin = std::chrono::steady_clock::now();
    std::vector<std::string> arguments = {"--timeline", probe(), "exit", "3"};
    if (direct) arguments.insert(arguments.begin(), "--no-service");
    const Finished run = e2e::run(arguments);
    const auto all = std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - begin).count();
    EXPECT_EQ(run.code, 3);
    EXPECT_EQ(run.output, "");
    const std::regex shape(
        "adyton: the start took ([0-9.]+) ms\n"
        "  spawn +([0-9.]+) ms  #+\n"
        "  load +([0-9.]+) ms   *#+\n"
        "  kernel +([0-9.]+) ms   *#+\n"
        "  init +([0-9.]+) ms   *#+\n"
        "  payload main +([0-9.]+) ms   *\\|\n");
    std::smatch found;
    ASSERT_TRUE(std::regex_search(run.errors, found, shape)) << run.errors;
    const double total = std::stod(found[1]);
    double sum = 0;
    for (size_t i = 2; i <= 5; ++i) sum += std::stod(found[i]);
    EXPECT_NEAR(sum, total, 0.3);
    EXPECT_GT(std::stod(found[4]), 0) << "a kernel takes time";
    EXPECT_LE(total, all);
  }
  EXPECT_THAT(e2e::run({"--timeline", "--kernel", raw_kernel()}).errors, HasSubstr("--timeline ends where a payload"));
}

// A pipe that is full to the last byte, and one without a reader: the payload has run, and its exit code is the command's.
TEST(Timeline, AReaderWhoIsSlowGetsItAndOneWhoHasGoneCostsNothing) {
  for (const std::string direct : {"", "--no-service"}) {
    Adyton slow = Adyton::shell("head -c 65536 /dev/zero >&2; exec \"$ADYTON\" run " + direct + R"( --timeline "$PROBE" exit 3)");
    EXPECT_EQ(slow.finish(), 3);
    EXPECT_THAT(slow.errors(), HasSubstr("\n  payload main"));
    Adyton gone =
        Adyton::shell("{ \"$ADYTON\" run " + direct + R"( --timeline "$PROBE" exit 3; echo $? >"$TMPDIR/code"; } 2>&1 | true
        cat "$TMPDIR/code"; rm "$TMPDIR/code")");
    EXPECT_EQ(gone.finish(), 0);
    EXPECT_EQ(gone.output(), "3\n");
  }
}

}  // namespace
}  // namespace adyton::e2e
