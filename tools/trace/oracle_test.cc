// What others make of the traces that we write: protoc, which knows the wire format of Protocol Buffers, and Python's JSON.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <filesystem>

#include "tools/trace/chrome_writer.h"
#include "tools/trace/perfetto_writer.h"

namespace adyton::trace {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

// What a shell command prints; it has to succeed.
std::string output_of(const std::string& command) {
  FILE* const pipe = ::popen((command + " 2>&1").c_str(), "r");
  std::string text;
  std::array<char, 4096> buffer{};
  while (const size_t got = std::fread(buffer.data(), 1, buffer.size(), pipe)) text.append(buffer.data(), got);
  EXPECT_EQ(::pclose(pipe), 0) << command << "\n" << text;
  return text;
}

struct TraceOracle : ::testing::Test {
  TraceOracle() {
    char name[] = "/tmp/adyton-trace-XXXXXX";
    UniqueFd made(::mkstemp(name));
    path = name;
  }
  ~TraceOracle() override { std::filesystem::remove(path); }

  template <typename W>
  void write() {
    capture::Output output(UniqueFd(::open(path.c_str(), O_WRONLY | O_TRUNC | O_CLOEXEC)));
    W writer(output);
    const std::array<Argument, 3> arguments = {
        {{"exit", std::string_view("m\"mio\n\xff")}, {"address", Address{0x9000000}}, {"count", uint64_t{300}}}};
    ASSERT_TRUE(writer.begin({.name = "VM one", .pid = 42, .monotonic = 1000, .boottime = 2000, .realtime = 3'000'000'005}));
    ASSERT_TRUE(writer.track({.id = 2, .name = "vCPU 0"}));
    ASSERT_TRUE(writer.track({.id = 3, .parent = 2, .name = "pressure", .counter = true}));
    ASSERT_TRUE(writer.event({.type = Event::Type::kBegin, .track = 2, .time = 1'500'001, .category = "vcpu", .name = "guest"}));
    ASSERT_TRUE(writer.event({.type = Event::Type::kEnd, .track = 2, .time = 1'600'002, .arguments = arguments}));
    ASSERT_TRUE(writer.event({.type = Event::Type::kInstant, .track = 1, .time = 1'700'000, .category = "irq", .name = "taken"}));
    ASSERT_TRUE(writer.event({.type = Event::Type::kCounter, .track = 3, .time = 1'800'000, .value = -5}));
    ASSERT_TRUE(writer.end());
  }

  std::string path;
};

TEST_F(TraceOracle, ProtocReadsThePerfettoTrace) {
  write<PerfettoWriter>();
  const std::string text = output_of("protoc --decode_raw <" + path);
  // Field numbers of google/perfetto: TracePacket.clock_snapshot 6, .timestamp 8, .trusted_packet_sequence_id 10, .track_event
  // 11, .timestamp_clock_id 58, .track_descriptor 60.
  EXPECT_THAT(text,
              StartsWith("1 {\n  6 {\n    1 {\n      1: 3\n      2: 1000\n    }\n    1 {\n      1: 6\n      2: 2000\n    }\n"
                         "    1 {\n      1: 1\n      2: 3000000005\n    }\n    2: 3\n  }\n  10: 1\n}\n"));
  EXPECT_THAT(
      text,
      HasSubstr("  60 {\n    1: 12472437693025878017\n    2: \"VM one\"\n    3 {\n      1: 42\n      6: \"VM one\"\n    }\n"));
  EXPECT_THAT(text, HasSubstr("    2: \"vCPU 0\"\n    5: 12472437693025878017\n"));
  EXPECT_THAT(text, HasSubstr("    2: \"pressure\"\n    5: 12472437693025878018\n    8: \"\"\n"));
  EXPECT_THAT(text, HasSubstr("  8: 1500001\n  58: 3\n  11 {\n    9: 1\n    11: 12472437693025878018\n    22: \"vcpu\"\n    23: "
                              "\"guest\"\n  }\n  10: 1\n"));
  EXPECT_THAT(text,
              HasSubstr("  8: 1600002\n  58: 3\n  11 {\n    9: 2\n    11: 12472437693025878018\n    4 {\n      10: \"exit\"\n"));
  EXPECT_THAT(
      text, HasSubstr("    4 {\n      10: \"address\"\n      7: 150994944\n    }\n    4 {\n      10: \"count\"\n      3: 300\n"));
  EXPECT_THAT(text, HasSubstr("    9: 3\n    11: 12472437693025878017\n    22: \"irq\"\n    23: \"taken\"\n"));
  EXPECT_THAT(text, HasSubstr("    9: 4\n    11: 12472437693025878019\n    30: 18446744073709551611\n"));
}

TEST_F(TraceOracle, PythonReadsTheJson) {
  write<ChromeWriter>();
  const std::string text = output_of(R"(python3 -c '
import json, sys
trace = json.load(open(sys.argv[1]))
print(trace["displayTimeUnit"], trace["otherData"]["started"])
for e in trace["traceEvents"]: print(json.dumps(e, sort_keys=True))
' )" + path);
  EXPECT_EQ(
      text,
      "ns 3.000000005\n"
      R"({"args": {"name": "VM one"}, "name": "process_name", "ph": "M", "pid": 42, "tid": 1})"
      "\n"
      R"({"args": {"name": "vCPU 0"}, "name": "thread_name", "ph": "M", "pid": 42, "tid": 2})"
      "\n"
      R"({"cat": "vcpu", "name": "guest", "ph": "B", "pid": 42, "tid": 2, "ts": 1500.001})"
      "\n"
      R"({"args": {"address": "0x9000000", "count": 300, "exit": "m\"mio\n\ufffd"}, "ph": "E", "pid": 42, "tid": 2, "ts": 1600.002})"
      "\n"
      R"({"cat": "irq", "name": "taken", "ph": "i", "pid": 42, "s": "t", "tid": 1, "ts": 1700.0})"
      "\n"
      R"({"args": {"value": -5}, "name": "pressure", "ph": "C", "pid": 42, "tid": 3, "ts": 1800.0})"
      "\n");
}

}  // namespace
}  // namespace adyton::trace
