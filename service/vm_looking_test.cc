// Those who look into a VM: captures, debuggers, dumps, traces, crash reports, statistics.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>

#include <filesystem>
#include <fstream>
#include <future>
#include <sstream>
#include <thread>

#include "base/temporary_directory.h"
#include "service/testing/vm_fixture.h"

namespace adyton::service {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;
using testing::read_all;
using testing::VmTest;

TEST_F(VmTest, CapturesGoThroughToTheVmm) {
  make("");
  const auto capture = [&](vmm::control::Capture what) {
    return loop->await<Outcome<UniqueFd>>([&](auto done) {
      UniqueFd ring(::memfd_create("ring", MFD_CLOEXEC));
      EXPECT_EQ(::write(ring.get(), "ring", 4), 4);
      vm->capture(std::move(ring), what, [done](Outcome<UniqueFd> outcome) { done(std::move(outcome)); });
    });
  };
  ASSERT_TRUE(start());
  const auto back = capture({.ports = {1}});
  ASSERT_TRUE(back) << back.error().error.message;
  char bytes[4];
  ASSERT_EQ(::pread(back->get(), bytes, 4, 0), 4);
  EXPECT_EQ(std::string(bytes, 4), "ring");
  EXPECT_EQ(capture({.ports = std::vector<uint32_t>(65)}).error().error.code, ErrorCode::kInvalidArgument);
}

TEST_F(VmTest, DebuggersAndDumpsAreForWhoMayLookInside) {
  const auto dump = [&] {
    return loop->await<Outcome<UniqueFd>>(
        [&](auto done) { vm->dump([done](Outcome<UniqueFd> outcome) { done(std::move(outcome)); }); });
  };
  const auto attach = [&](bool hold) {
    return loop->await<Outcome<>>(
        [&](auto done) { vm->attach_debugger(UniqueFd(::open("/dev/null", O_RDWR | O_CLOEXEC)), hold, done); });
  };
  make("", {}, [](VmSpec& spec) { spec.isolation = IsolationLevel::kProcess; });
  EXPECT_THAT(attach(false).error().error.message, HasSubstr("isolated (level process): nobody may look into it"));
  EXPECT_THAT(dump().error().error.message, HasSubstr("isolated (level process): nobody may look into it"));
  make("", {"/payload"}, [](VmSpec& spec) { spec.debuggable = false; });
  EXPECT_EQ(dump().error().error.code, ErrorCode::kPermission);
  EXPECT_EQ(attach(false).error().error.code, ErrorCode::kPermission);
  make("");
  EXPECT_EQ(dump().error().problem, Problem::kWrongState);
  EXPECT_TRUE(attach(true));  // the VMM gets it when the VM starts
  ASSERT_TRUE(start());
  EXPECT_TRUE(attach(false));
  EXPECT_EQ(attach(true).error().problem, Problem::kWrongState);
  const auto stream = dump();
  ASSERT_TRUE(stream) << stream.error().error.message;
  EXPECT_EQ(read_all(stream->get()), "dump");
  ASSERT_TRUE(kill());
  EXPECT_EQ(attach(false).error().problem, Problem::kWrongState);
}

TEST_F(VmTest, TracesGoThroughToTheVmm) {
  make("");
  const auto trace = [&](uint32_t rings) {
    return loop->await<Outcome<UniqueFd>>([&](auto done) {
      UniqueFd memory(::memfd_create("rings", MFD_CLOEXEC));
      EXPECT_EQ(::write(memory.get(), "rings", 5), 5);
      vm->trace(std::move(memory), {.ring_count = rings, .categories = 1},
                [done](Outcome<UniqueFd> outcome) { done(std::move(outcome)); });
    });
  };
  ASSERT_TRUE(start());
  const auto back = trace(1);
  ASSERT_TRUE(back) << back.error().error.message;
  char bytes[5];
  ASSERT_EQ(::pread(back->get(), bytes, 5, 0), 5);
  EXPECT_EQ(std::string(bytes, 5), "rings");
  EXPECT_EQ(trace(vmm::control::kMaxTraceRings + 1).error().error.code, ErrorCode::kInvalidArgument);
}

// What is asked of a VM that starts reaches its process before the VM runs.
TEST_F(VmTest, CapturesAndTracesWaitForAVmToBeLoaded) {
  make("at=start:hang");
  std::promise<Outcome<UniqueFd>> captured, traced;
  std::promise<Outcome<VmStatistics>> told;
  const auto into = [](auto& promise) { return [&promise](auto outcome) { promise.set_value(std::move(outcome)); }; };
  loop->call([&] {
    vm->capture(UniqueFd(::memfd_create("ring", MFD_CLOEXEC)), {}, into(captured));
    vm->trace(UniqueFd(::memfd_create("rings", MFD_CLOEXEC)), {.ring_count = 1, .categories = 1}, into(traced));
    vm->start([](const Outcome<>&) {});
    vm->trace_sources(into(told));
  });
  EXPECT_TRUE(captured.get_future().get());
  EXPECT_TRUE(traced.get_future().get());
  const auto sources = told.get_future().get();
  ASSERT_TRUE(sources);
  EXPECT_EQ(sources->counts.devices.size(), 1u);
  ASSERT_TRUE(kill());
}

TEST_F(VmTest, APreparedVmIsTracedBeforeItRuns) {
  const auto prepare = [&] { return loop->await<Outcome<>>([&](auto done) { vm->prepare(done); }); };
  make("console:runs");
  ASSERT_TRUE(prepare());
  EXPECT_EQ(prepare().error().problem, Problem::kWrongState);
  const auto sources = loop->await<Outcome<VmStatistics>>([&](auto done) { vm->trace_sources(done); });
  ASSERT_TRUE(sources) << sources.error().error.message;
  EXPECT_EQ(state(), VmState::kStarting);
  EXPECT_EQ(loop->call([&] { return vm->console().tail(10); }), "") << "it does not run yet";
  ASSERT_TRUE(start());
  EXPECT_EQ(start().error().problem, Problem::kWrongState);
  ASSERT_TRUE(kill());
  make("at=configure:error");
  EXPECT_THAT(prepare().error().error.message, HasSubstr("did not start"));
  EXPECT_EQ(recorder->wait_for_death().reason, DeathReason::kStartFailed);
  make("");
  ASSERT_TRUE(prepare());
  ASSERT_TRUE(stop());
  EXPECT_EQ(start().error().problem, Problem::kWrongState);
}

TEST_F(VmTest, CapturesAndTracesOfAVmThatNobodyStartsHaveAnEnd) {
  const auto trace = [&] {
    return loop->await<Outcome<UniqueFd>>([&](auto done) {
      vm->trace(UniqueFd(::memfd_create("rings", MFD_CLOEXEC)), {.ring_count = 1, .categories = 1},
                [done](Outcome<UniqueFd> outcome) { done(std::move(outcome)); });
    });
  };
  make("", {}, {}, {.start = 20ms});
  EXPECT_EQ(trace().error().problem, Problem::kWrongState);
  make("at=configure:error");
  std::promise<Outcome<VmStatistics>> told;
  loop->call([&] { vm->trace_sources([&](Outcome<VmStatistics> outcome) { told.set_value(std::move(outcome)); }); });
  EXPECT_FALSE(start());
  EXPECT_THAT(told.get_future().get().error().error.message, HasSubstr("has not started"));
  EXPECT_EQ(trace().error().problem, Problem::kWrongState) << "it is dead";
}

std::vector<std::string> reports_in(const std::string& folder) {
  std::vector<std::string> reports;
  std::error_code error;
  for (std::filesystem::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    std::stringstream text;
    text << std::ifstream(it->path()).rdbuf();
    reports.push_back(text.str());
  }
  return reports;
}

TEST_F(VmTest, ACrashLeavesAReport) {
  TemporaryDirectory folder;
  const auto keep = [&](VmSpec& spec) { spec.crash_folder = folder.path("crash"), spec.crash_reports = 3; };
  make("console:Kernel_panic_-_not_syncing:_oh_no at=run:reset", {}, keep);
  ASSERT_TRUE(start());
  const auto crashed = recorder->wait_for_death();
  EXPECT_EQ(crashed.reason, DeathReason::kCrash) << crashed.message;
  auto reports = reports_in(folder.path("crash"));
  ASSERT_EQ(reports.size(), 1u);
  EXPECT_THAT(reports[0], HasSubstr("VM:        test\nCause:     the guest's kernel panicked: oh no\n"));
  EXPECT_THAT(reports[0], HasSubstr("\nas configured\n"));
  EXPECT_THAT(reports[0], HasSubstr("Serial console, its end:\n"));
  make("at=run:reset", {}, keep);
  ASSERT_TRUE(start());
  recorder->wait_for_death();
  make("", {}, keep);
  ASSERT_TRUE(start());
  ASSERT_TRUE(kill());
  EXPECT_EQ(reports_in(folder.path("crash")).size(), 1u) << "a reset and a kill are no crashes";
  make("at=run:crash", {}, [&](VmSpec& spec) { keep(spec), spec.debuggable = false; });
  ASSERT_TRUE(start());
  recorder->wait_for_death();
  reports = reports_in(folder.path("crash"));
  ASSERT_EQ(reports.size(), 2u);
  EXPECT_THAT(reports, ::testing::Contains(HasSubstr("nobody may look into this VM"))) << "its registers are nobody's business";
}

TEST_F(VmTest, APayloadThatCrashesLeavesAReport) {
  TemporaryDirectory folder;
  for (const char* what : {"signal:11", "signal:15", "exit:139"}) {
    make("", {"payload", what}, [&](VmSpec& spec) { spec.crash_folder = folder.path("crash"), spec.crash_reports = 3; });
    ASSERT_TRUE(start());
    recorder->wait_for_death();
  }
  const auto reports = reports_in(folder.path("crash"));
  ASSERT_EQ(reports.size(), 1u);
  EXPECT_THAT(reports[0], HasSubstr("Cause:     the payload was killed by signal 11 (Segmentation fault)\n"));
  EXPECT_THAT(reports[0], HasSubstr("\nas inspected\\x1b\n"));
}

TEST_F(VmTest, AKernelThatHangsInItsPanicLeavesAReportAndLives) {
  TemporaryDirectory folder;
  const auto keep = [&](VmSpec& spec) { spec.crash_folder = folder.path("crash"), spec.crash_reports = 3; };
  const std::string said = "console:Kernel_panic_-_not_syncing:_oh_no|---[_end_Kernel_panic_-_not_syncing:_oh_no_]---|";
  make("panics " + said, {}, keep);
  ASSERT_TRUE(start());
  while (!loop->call([&] { return vm->info().crash_report.has_value(); })) std::this_thread::yield();
  const VmInfo info = loop->call([&] { return vm->info(); });
  EXPECT_EQ(info.state, VmState::kStarted) << "it was told to stay where it is";
  EXPECT_EQ(info.crash_report->kind, observe::CrashKind::kKernelPanic);
  EXPECT_EQ(info.crash_report->cause, "the guest's kernel panicked: oh no");
  ASSERT_TRUE(kill());
  auto reports = reports_in(folder.path("crash"));
  ASSERT_EQ(reports.size(), 1u);
  EXPECT_THAT(reports[0], HasSubstr("Kind:      kernel-panic\n"));
  EXPECT_THAT(reports[0], HasSubstr("panic+0x10"));
  // A program that says so.
  make("at=inspect:reset " + said, {}, keep);
  ASSERT_TRUE(start());
  recorder->wait_for_death();
  EXPECT_EQ(reports_in(folder.path("crash")).size(), 2u) << "it reset all the same, and that is a crash";
  make("aloud " + said, {}, keep);
  ASSERT_TRUE(start());
  const UniqueFd console = open_console();
  std::string seen;
  for (char c; seen.find("inspected") == std::string::npos && ::read(console.get(), &c, 1) == 1;) seen += c;
  ASSERT_TRUE(kill());
  EXPECT_EQ(reports_in(folder.path("crash")).size(), 2u);
}

TEST_F(VmTest, APayloadThatDoesNotStartLeavesAReport) {
  TemporaryDirectory folder;
  make("", {"payload", "silent"},
       [&](VmSpec& spec) { spec.crash_folder = folder.path("crash"), spec.crash_reports = 3, spec.boot_timeout = 1ms; });
  ASSERT_TRUE(start());
  EXPECT_EQ(recorder->wait_for_death().reason, DeathReason::kHangup);
  const auto reports = reports_in(folder.path("crash"));
  ASSERT_EQ(reports.size(), 1u);
  EXPECT_THAT(reports[0], HasSubstr("Cause:     the payload did not start within 1 ms\nKind:      hang\n"));
  EXPECT_THAT(reports[0], HasSubstr("\nas inspected\\x1b\n"));
}

TEST_F(VmTest, TellsWhatItHasDone) {
  make("");
  EXPECT_EQ(statistics().error().problem, Problem::kWrongState);
  ASSERT_TRUE(start());
  const auto done = statistics();
  ASSERT_TRUE(done);
  EXPECT_EQ(done->counts.vcpus, (std::vector<std::vector<uint64_t>>{{1, 2, 3, 7, 8, 9, 13}, {4, 5, 6, 10, 11, 12, 14}}));
  EXPECT_EQ(done->counts.vsock.payload_from_guest, 4u);
  EXPECT_FALSE(done->threads.empty());
  ASSERT_TRUE(kill());
  EXPECT_EQ(statistics().error().problem, Problem::kWrongState);
}

TEST_F(VmTest, AVmmThatDoesNotTellIsNotWaitedForForEver) {
  make("at=statistics:nothing", {}, {}, {.connect = 50ms});
  ASSERT_TRUE(start());
  EXPECT_THAT(statistics().error().error.message, HasSubstr("in time"));
}

}  // namespace
}  // namespace adyton::service
