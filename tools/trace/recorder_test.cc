#include "tools/trace/recorder.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "observe/trace_source.h"
#include "tools/trace/testing.h"

namespace adyton::trace {
namespace {

using observe::RecordRing;
using observe::RecordWriter;
using observe::TraceSource;
using observe::TraceType;
using testing::bytes_of;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::TextWriter;

struct RecorderTest : ::testing::Test {
  // A VM's side: one device.
  struct Vm {
    UniqueFd memory = *RecordRing::make_memory(4096);
    RecordRing ring = *RecordRing::map(memory.get());
    RecordWriter records{ring};
    void kick(uint64_t time = TraceSource::now()) {
      records.write(static_cast<uint32_t>(TraceType::kQueueKick), time, bytes_of(observe::TraceQueue{.queue = 0}));
    }
  };
  RecorderTest() {
    recorder.add({.kind = Decoder::Kind::kDevice, .name = "virtio-rng", .ring = *RecordRing::map(vm.memory.get())});
  }
  Process process() { return {.name = "VM one", .pid = 7, .monotonic = TraceSource::now()}; }

  Vm vm;
  observe::WakePair wake = *observe::make_wake_pair();
  UniqueFd interrupt{::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
  capture::Output output{UniqueFd(::open("/dev/null", O_WRONLY | O_CLOEXEC))};
  TextWriter writer;
  Recorder recorder{writer, output, std::move(wake.reader), interrupt.get()};
};

TEST_F(RecorderTest, EndsWithTheVmAndHasAllThatItLeft) {
  const Process one = process();
  for (int i = 0; i < 20; ++i) vm.kick();
  wake.writer.reset();
  const auto reason = recorder.run(one, {});
  ASSERT_TRUE(reason);
  EXPECT_EQ(*reason, EndReason::kVmEnded);
  ASSERT_TRUE(recorder.finish({{"spawn", 100, 200}, {"payload main", 200, 200}}));
  EXPECT_TRUE(writer.ended);
  EXPECT_EQ(recorder.received(), 20u);
  EXPECT_EQ(recorder.dropped(), 0u);
  EXPECT_EQ(writer.lines[0], "process VM one");
  EXPECT_THAT(writer.lines, Contains("boot +100 begin boot spawn"));
  EXPECT_THAT(writer.lines, Contains("boot +200 instant boot payload main"));
  EXPECT_EQ(writer.open_slices(), 0u);
}

TEST_F(RecorderTest, EndsWhenItIsInterrupted) {
  const uint64_t one = 1;
  ASSERT_EQ(::write(interrupt.get(), &one, sizeof(one)), static_cast<ssize_t>(sizeof(one)));
  EXPECT_EQ(*recorder.run(process(), {}), EndReason::kInterrupted);
  vm.kick();  // still on its way
  ASSERT_TRUE(recorder.finish({}));
  EXPECT_EQ(recorder.received(), 1u);
  char byte;
  EXPECT_EQ(::read(wake.writer.get(), &byte, 1), 0) << "the VM hears of it";
}

TEST_F(RecorderTest, EndsAfterItsTime) {
  EXPECT_EQ(*recorder.run(process(), std::chrono::milliseconds(1)), EndReason::kDuration);
}

TEST_F(RecorderTest, WatchesMemoryWhenItIsAsked) {
  int looks = 0;
  const auto stalled = [&]() -> std::optional<uint64_t> {
    const uint64_t one = 1;
    if (++looks == 2) {
      EXPECT_EQ(::write(interrupt.get(), &one, sizeof(one)), static_cast<ssize_t>(sizeof(one)));
    }
    return looks * uint64_t{3'600'000'000};
  };
  recorder.watch_memory({.stalled = stalled,
                         .guest = []() -> std::optional<GuestMemory> { return GuestMemory{.balloon_target = 2, .balloon = 1}; }});
  EXPECT_EQ(*recorder.run(process(), {}), EndReason::kInterrupted);
  ASSERT_TRUE(recorder.finish({}));
  EXPECT_THAT(writer.lines, Contains(HasSubstr("instant memory memory pressure per mille of the time=1000")));
  EXPECT_THAT(writer.lines, Contains(HasSubstr("balloon, bytes")));
}

TEST_F(RecorderTest, SaysWhatASlowReaderHasMissed) {
  for (int i = 0; i < 1000; ++i) vm.kick();
  wake.writer.reset();
  ASSERT_TRUE(recorder.run(process(), {}));
  ASSERT_TRUE(recorder.finish({}));
  EXPECT_GT(recorder.dropped(), 800u);
  EXPECT_EQ(recorder.received() + recorder.dropped(), 1000u);
  // In the trace too, although no record has come after those.
  EXPECT_THAT(
      writer.lines,
      Contains(HasSubstr(fmt::format("instant trace records lost: the reader was too slow records={}", recorder.dropped()))));
}

TEST_F(RecorderTest, WhatMakesNoSenseIsAWarning) {
  vm.records.write(4711, TraceSource::now(), {});
  wake.writer.reset();
  ASSERT_TRUE(recorder.run(process(), {}));
  ASSERT_TRUE(recorder.finish({}));
  EXPECT_THAT(recorder.warnings(), ElementsAre(HasSubstr("virtio-rng: 1 records make no sense")));
}

}  // namespace
}  // namespace adyton::trace
