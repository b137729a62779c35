// Traces of running virtual machines in Perfetto's own trace processor, which ui.perfetto.dev shows them with. Where that cannot
// be had the tests are skipped; protoc and Python look at the same files in trace_test.cc.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <string>
#include <utility>
#include <vector>

#include "tests/e2e/adyton.h"

namespace adyton::e2e {
namespace {

using ::testing::ContainsRegex;
using ::testing::HasSubstr;

constexpr int kSkip = 77;

std::string cache() {
  const char* chosen = std::getenv("ADYTON_TEST_CACHE");
  const char* cache = std::getenv("XDG_CACHE_HOME");
  const char* home = std::getenv("HOME");
  return chosen  ? chosen
         : cache ? std::string(cache) + "/adyton-test"
                 : std::string(home ? home : "/root") + "/.cache/adyton-test";
}

// A VM that programs are run in, traced in both formats, and once with a reader that sleeps while they run.
class TraceProcessor : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    Adyton fetch = Adyton::shell(R"sh("$1" "$2")sh", {ADYTON_FETCH_TRACE_PROCESSOR, cache()});
    const int code = fetch.finish();
    if (code == kSkip) {
      missing_ = fetch.errors();
      return;
    }
    ASSERT_EQ(code, 0) << fetch.errors();
    library_ = fetch.output().substr(0, fetch.output().find('\n'));
    folder_ = new TemporaryFolder;
    Adyton shell = Adyton::shell(
        R"sh(export XDG_DATA_HOME="$TMPDIR"
           "$ADYTON" run --detach --name one --smp 2 "$PROBE" wait >/dev/null || exit 8
           for file in trace.perfetto-trace trace.json slow.perfetto-trace; do
             rm -f "$TMPDIR/said"
             case $file in slow*) options="-B 4" ;; *.json) options="-B 4096" ;; *) options="-B 4096 -d 1" ;; esac
             "$ADYTON" trace one $options -o "$1/$file" 2>"$TMPDIR/said" & pid=$!
             until grep -qs tracing "$TMPDIR/said"; do kill -0 $pid || exit 9; done
             [ $file = slow.perfetto-trace ] && kill -STOP $pid
             for i in 1 2 3; do "$ADYTON" exec one -- /missing 2>/dev/null & done
             "$ADYTON" exec one -- /missing 2>/dev/null
             "$ADYTON" info one >/dev/null
             kill -CONT $pid
             [ $file = trace.perfetto-trace ] || kill -INT $pid
             wait $pid || exit 11
           done
           "$ADYTON" delete -f one >/dev/null)sh",
        {folder_->path()});
    ASSERT_EQ(shell.finish(), 0) << shell.output() << shell.errors();
  }
  static void TearDownTestSuite() { delete std::exchange(folder_, nullptr); }
  void SetUp() override {
    if (!missing_.empty()) GTEST_SKIP() << missing_;
    Adyton known = ask("trace.perfetto-trace", {});
    if (known.finish() == kSkip) GTEST_SKIP() << known.errors();
  }

  static Adyton ask(const std::string& file, const std::vector<std::string>& queries) {
    std::vector<std::string> arguments = {ADYTON_TRACE_PROCESSOR, library_, folder_->path() + "/" + file};
    arguments.insert(arguments.end(), queries.begin(), queries.end());
    return Adyton::shell(R"sh(exec "$@")sh", std::move(arguments));
  }
  // The rows of one query, without the names of the columns.
  static std::string rows(const std::string& file, const std::string& query) {
    Adyton asked = ask(file, {query});
    EXPECT_EQ(asked.finish(), 0) << query << "\n" << asked.errors();
    return asked.output().substr(std::min(asked.output().find('\n') + 1, asked.output().size()));
  }
  // What every trace has to be.
  static void expect_sound(const std::string& file) {
    EXPECT_EQ(rows(file, "select name, value from stats where severity in ('error', 'data_loss') and value > 0"), "") << file;
    EXPECT_EQ(rows(file, "select name, dur from slice where dur < 0"), "") << "are open in " << file;
    EXPECT_EQ(rows(file, "select s.name from slice s join trace_bounds where s.ts < start_ts or s.ts + s.dur > end_ts"), "")
        << file;
    EXPECT_EQ(rows(file, "select pid > 0, name from process where upid = (select max(upid) from process)"), "1|VM one\n") << file;
    // What happens in the guest is inside of when it ran; the guest and the hypervisor take turns.
    EXPECT_EQ(rows(file, R"(select name, depth from slice where name in ('guest', 'spawn', 'kernel', 'wfi') and depth != 0)"), "")
        << file;
    EXPECT_EQ(rows(file, R"(select p.name from slice s join slice p on s.parent_id = p.id
                            where s.name in ('translate', 'interrupt taken') and p.name != 'guest')"),
              "")
        << file;
    EXPECT_EQ(rows(file, "select group_concat(name) from (select name from slice where category = 'boot' order by ts, dur desc)"),
              "spawn,load,kernel,init,payload main\n")
        << file;
    EXPECT_EQ(rows(file, "select value from counter where value not between 0 and 1000"), "") << file;
  }

  static TemporaryFolder* folder_;
  static std::string library_, missing_;
};
TemporaryFolder* TraceProcessor::folder_ = nullptr;
std::string TraceProcessor::library_;
std::string TraceProcessor::missing_;

TEST_F(TraceProcessor, ReadsAPerfettoTrace) {
  constexpr const char* kFile = "trace.perfetto-trace";
  expect_sound(kFile);
  const std::string tracks =
      rows(kFile, "select distinct t.name, p.name from track t left join track p on t.parent_id = p.id order by 1");
  for (const char* expected : {
           "vCPU 0|[NULL]\n",
           "vCPU 1|[NULL]\n",
           "hypervisor, vCPU 0|hypervisor\n",
           "hypervisor, vCPU 1|hypervisor\n",
           "boot|[NULL]\n",
           "calls to the service|[NULL]\n",
           "virtio-vsock (slot 2)|[NULL]\n",
           "virtio-vsock (slot 2), connections|[NULL]\n",
       }) {
    EXPECT_THAT(tracks, HasSubstr(expected));
  }
  EXPECT_EQ(rows(kFile, "select count(*) > 10, sum(dur) > 0 from slice where name = 'guest'"), "1|1\n");
  EXPECT_THAT(rows(kFile, "select distinct extract_arg(arg_set_id, 'debug.exit') from slice where name = 'guest'"),
              HasSubstr("wfi\n"));
  EXPECT_EQ(rows(kFile, R"(select count(*) > 0, min(extract_arg(arg_set_id, 'debug.instructions')) > 0,
                                  count(distinct extract_arg(arg_set_id, 'debug.pc')) > 10 from slice where name = 'translate')"),
            "1|1|1\n");
  // Several connections at once: each has its own time.
  EXPECT_EQ(
      rows(kFile,
           R"(select count(*) > 0 from slice a join slice b on a.id != b.id and a.category = 'vsock' and b.category = 'vsock'
                           and a.ts < b.ts and b.ts < a.ts + a.dur and a.ts + a.dur < b.ts + b.dur)"),
      "1\n");
  if (::access("/proc/pressure/memory", R_OK) == 0) {
    EXPECT_EQ(rows(kFile, R"(select t.name, count(*) > 0 from counter join counter_track t on track_id = t.id group by 1)"),
              "host memory pressure, per mille of the time|1\n");
  }
  // The wall clock is that of this machine.
  EXPECT_THAT(rows(kFile, "select abs_time_str(start_ts) from trace_bounds"), ContainsRegex("^20[0-9-]+T[0-9:.]+\n$"));
}

TEST_F(TraceProcessor, ReadsTheJson) {
  constexpr const char* kFile = "trace.json";
  expect_sound(kFile);
  const std::string threads = rows(kFile, "select name from thread order by name");
  for (const char* expected : {"vCPU 0\n", "vCPU 1\n", "hypervisor, vCPU 1\n", "boot\n", "calls to the service\n"}) {
    EXPECT_THAT(threads, HasSubstr(expected));
  }
  EXPECT_EQ(rows(kFile, "select count(*) > 10, sum(dur) > 0 from slice where name = 'guest'"), "1|1\n");
  EXPECT_THAT(rows(kFile, "select distinct extract_arg(arg_set_id, 'args.exit') from slice where name = 'guest'"),
              HasSubstr("wfi\n"));
}

TEST_F(TraceProcessor, ReadsATraceOfASlowReader) {
  constexpr const char* kFile = "slow.perfetto-trace";
  expect_sound(kFile);
  EXPECT_EQ(rows(kFile, R"(select sum(extract_arg(arg_set_id, 'debug.records')) > 0 from slice
                           where name = 'records lost: the reader was too slow')"),
            "1\n");
}

}  // namespace
}  // namespace adyton::e2e
