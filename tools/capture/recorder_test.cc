#include "tools/capture/recorder.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <array>
#include <atomic>
#include <random>

#include "base/thread.h"
#include "tools/capture/pcapng_writer.h"
#include "tools/capture/testing.h"
#include "tools/capture/text_writer.h"

namespace adyton::capture {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using testing::FakeVm;
using ::testing::HasSubstr;
using testing::Sent;

// What a writer is told, as text.
struct Notes final : Writer {
  Result<void> add_interface(const Interface& interface) override {
    notes.push_back("interface " + interface.name);
    return {};
  }
  Result<void> packet(uint32_t interface, const Packet& packet, uint64_t lost, const std::string& comment) override {
    notes.push_back(std::to_string(interface) + ": " + packet_text(packet, false) +
                    (lost > 0 ? " lost " + std::to_string(lost) : "") + (comment.empty() ? "" : " [" + comment + "]"));
    if (on_packet) on_packet();
    return failure ? Result<void>(std::unexpected(*failure)) : Result<void>();
  }
  Result<void> statistics(uint32_t interface, const Interface& totals) override {
    notes.push_back("statistics " + std::to_string(interface) + ": " + std::to_string(totals.received) + " and " +
                    std::to_string(totals.dropped));
    return {};
  }
  Result<void> flush() override { return {}; }

  std::vector<std::string> notes;
  std::optional<Error> failure;
  std::function<void()> on_packet;
};

struct RecorderTest : ::testing::Test {
  UniqueFd interrupt{::eventfd(0, EFD_CLOEXEC)};
  Output output{UniqueFd(::open("/dev/null", O_WRONLY | O_CLOEXEC)), interrupt.get()};
  Notes notes;
  Recorder recorder{notes, output, interrupt.get()};

  void press_ctrl_c() const {
    const uint64_t one = 1;
    ASSERT_EQ(::write(interrupt.get(), &one, sizeof(one)), 8);
  }
};

TEST_F(RecorderTest, EndsWithTheLastVmAfterAllThatItLeft) {
  FakeVm a("a"), b("b");
  recorder.add(a.source());
  recorder.add(b.source());
  a.send({.op = Op::kRequest});
  a.send({.from_host = true, .op = Op::kResponse});
  a.send({.payload = "hello"});
  a.send({.from_host = true, .payload = "yes"});
  b.send({.guest_port = 7, .op = Op::kReset});
  a.send({.op = Op::kShutdown, .flags = 3});
  a.send({.from_host = true, .op = Op::kReset, .time = 1'700'000'000'123'456'789 + 1'500'000'000});
  a.end();
  b.end();
  EXPECT_EQ(recorder.run({}), EndReason::kSourcesEnded);
  EXPECT_THAT(
      notes.notes,
      ElementsAre("interface a", "interface b", "0: 3.1024 > 2.5000: stream request",
                  "0: 2.5000 > 3.1024: stream response [connection opened: guest port 1024 to host port 5000]",
                  "0: 3.1024 > 2.5000: stream data, length 5", "0: 2.5000 > 3.1024: stream data, length 3",
                  "0: 3.1024 > 2.5000: stream shutdown, both ways",
                  "1: 3.7 > 2.5000: stream reset [connection closed: host port 5000 and guest port 7, began before the "
                  "capture; at least 0 bytes from the guest, at least 0 bytes from the host, at least 0.000000 s]",
                  "0: 2.5000 > 3.1024: stream reset [connection closed: guest port 1024 to host port 5000; 5 bytes from the "
                  "guest, 3 bytes from the host, 1.500000 s]",
                  "statistics 0: 6 and 0", "statistics 1: 1 and 0"));
  EXPECT_EQ(recorder.received(), 7u);
}

TEST_F(RecorderTest, SleepsUntilAPacketComes) {
  FakeVm vm("vm");
  recorder.add(vm.source());
  std::atomic<bool> seen = false;
  notes.on_packet = [&] { seen = true; };
  auto thread = *start_thread("vm", [&] {
    for (int i = 0; i < 20; ++i) {
      seen = false;
      vm.send({});
      while (!seen) std::this_thread::yield();  // hangs if a wake is lost
    }
    vm.end();
  });
  EXPECT_EQ(recorder.run({}), EndReason::kSourcesEnded);
  EXPECT_EQ(recorder.received(), 20u);
}

// VMs record beside each other; who reads the file wants one order.
TEST_F(RecorderTest, PacketsOfSeveralVmsAreInTheOrderOfTheirTimes) {
  FakeVm a("a", 1 << 22), b("b", 1 << 22), c("c", 1 << 22);
  for (FakeVm* vm : {&a, &b, &c}) recorder.add(vm->source());
  const uint64_t seed = std::random_device{}();
  SCOPED_TRACE(::testing::Message() << "seed " << seed);
  std::mt19937_64 random(seed);
  uint64_t time = 1'700'000'000'000'000'000;
  std::vector<std::string> expected;
  for (uint32_t i = 0; i < 3000; ++i) {
    // Long runs of one VM too.
    FakeVm& vm = *std::array{&a, &b, &c}[random() % 40 == 0 ? 2 : (i / 400) % 2];
    ASSERT_TRUE(vm.send({.guest_port = i, .time = ++time}));
    expected.push_back("3." + std::to_string(i) + " > ");
  }
  a.end();
  b.end();
  c.end();
  EXPECT_EQ(recorder.run({}), EndReason::kSourcesEnded);
  ASSERT_EQ(notes.notes.size(), 3 + expected.size() + 3);
  for (size_t i = 0; i < expected.size(); ++i) ASSERT_THAT(notes.notes[3 + i], HasSubstr(expected[i]));
}

TEST_F(RecorderTest, NeitherASilentVmNorOneThatLiesAboutTheTimeHoldsUpTheOthers) {
  FakeVm talks("talks"), silent("silent"), lies("lies");
  for (FakeVm* vm : {&talks, &silent, &lies}) recorder.add(vm->source());
  std::atomic<int> seen = 0;
  notes.on_packet = [&] { ++seen; };
  auto thread = *start_thread("vms", [&] {
    for (int i = 1; i <= 10; ++i) {
      timespec now{};
      ::clock_gettime(CLOCK_REALTIME, &now);
      lies.send({.time = i % 2 == 0 ? UINT64_MAX : 0});
      talks.send({.time = static_cast<uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(now.tv_nsec)});
      while (seen != 2 * i) std::this_thread::yield();  // hangs if they are waited for
    }
    talks.end();
    lies.end();
    silent.end();
  });
  EXPECT_EQ(recorder.run({}), EndReason::kSourcesEnded);
  EXPECT_EQ(recorder.received(), 20u);
}

TEST_F(RecorderTest, EndsAtTheCount) {
  FakeVm vm("vm");
  recorder.add(vm.source());
  for (int i = 0; i < 5; ++i) vm.send({});
  EXPECT_EQ(recorder.run(3), EndReason::kCount);
  EXPECT_EQ(recorder.received(), 3u);
}

TEST_F(RecorderTest, EndsAtAnInterruptWithWhatIsThereAlready) {
  FakeVm vm("vm");
  recorder.add(vm.source());
  for (int i = 0; i < 600; ++i) ASSERT_TRUE(vm.send({}));
  press_ctrl_c();
  EXPECT_EQ(recorder.run({}), EndReason::kInterrupted);
  EXPECT_EQ(recorder.received(), 600u);
}

TEST_F(RecorderTest, SaysHowManyWereDroppedAndWhere) {
  FakeVm vm("vm", 4096);
  recorder.add(vm.source());
  size_t sent = 0;
  while (vm.send({.payload = std::string(500, 'x')})) ++sent;
  EXPECT_FALSE(vm.send({.payload = std::string(500, 'x')}));
  notes.on_packet = [&, told = false]() mutable {
    if (notes.notes.size() == sent + 1 && !std::exchange(told, true)) {
      // The reader has taken all of it: there is room again.
      vm.send({.payload = "after"});
      vm.send({.payload = std::string(8000, 'y')});
      vm.end();
    }
  };
  EXPECT_EQ(recorder.run({}), EndReason::kSourcesEnded);
  EXPECT_THAT(notes.notes.at(sent + 1), AllOf(HasSubstr("length 5"), HasSubstr("lost 2")));
  EXPECT_EQ(notes.notes.back(), "statistics 0: " + std::to_string(sent + 1) + " and 3");
  EXPECT_EQ(recorder.dropped(), 3u);
}

TEST_F(RecorderTest, AVmThatRecordsNonsenseIsLeft) {
  FakeVm good("good"), bad("bad");
  recorder.add(bad.source());
  recorder.add(good.source());
  bad.writer().write(observe::kVsockPacketRecord, 0, std::vector<uint8_t>(51));
  good.send({});
  good.end();
  EXPECT_EQ(recorder.run({}), EndReason::kSourcesEnded);
  EXPECT_THAT(recorder.warnings(), ElementsAre(AllOf(HasSubstr("bad: "), HasSubstr("no vsock packet"))));
  EXPECT_EQ(recorder.received(), 1u);
}

TEST_F(RecorderTest, SaysWhyItCannotWrite) {
  FakeVm vm("vm");
  recorder.add(vm.source());
  vm.send({});
  notes.failure = Error{ErrorCode::kExhausted, "the disk is full"};
  EXPECT_EQ(recorder.run({}).error().message, "the disk is full");
}

TEST(Output, EndsWhenThePipesReaderHasGone) {
  int ends[2];
  ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
  UniqueFd reader(ends[0]);
  Output output(UniqueFd(ends[1]), -1);
  PcapngWriter writer(output, "test", kMaxPacketSize);
  Recorder recorder(writer, output, -1);
  FakeVm vm("vm");
  recorder.add(vm.source());
  ::signal(SIGPIPE, SIG_IGN);
  reader.reset();
  EXPECT_EQ(recorder.run({}), EndReason::kReaderGone) << "although no packet came";
}

TEST(Output, AnInterruptEndsTheWaitForAReaderThatDoesNotRead) {
  int ends[2];
  ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
  const UniqueFd reader(ends[0]);
  const UniqueFd interrupt(::eventfd(1, EFD_CLOEXEC));
  Output output(UniqueFd(ends[1]), interrupt.get());
  const std::vector<uint8_t> bytes(1 << 20);
  EXPECT_TRUE(output.write(bytes));
  EXPECT_TRUE(output.ended());
  EXPECT_TRUE(output.write(bytes));
}

TEST(Output, AFullDiskIsAnError) {
  Output output(UniqueFd(::open("/dev/full", O_WRONLY | O_CLOEXEC)));
  ASSERT_TRUE(output.write(std::vector<uint8_t>(10)));
  EXPECT_THAT(output.flush().error().message, HasSubstr("No space left"));
}

TEST(TextWriter, PrintsLikeTcpdump) {
  ::setenv("TZ", "UTC", 1);
  ::tzset();
  UniqueFd file(::memfd_create("text", MFD_CLOEXEC));
  Output output(UniqueFd(::dup(file.get())));
  TextWriter writer(output, {.verbose = true, .dump = true, .names = true});
  ASSERT_TRUE(writer.add_interface({.name = "demo"}));
  const auto bytes =
      testing::record_of({.op = Op::kData, .payload = "0123456789\x1b[31mABC", .type = Type::kSeqpacket, .flags = 1});
  ASSERT_TRUE(writer.packet(0, *read_packet(testing::read_record(bytes, 1'700'000'000'123'456'789)), 2, "a comment"));
  const auto odd = testing::record_of({.op = static_cast<Op>(99), .type = static_cast<Type>(5), .flags = 0x80});
  ASSERT_TRUE(writer.packet(0, *read_packet(testing::read_record(odd, 0)), 0, ""));
  ASSERT_TRUE(writer.flush());
  std::string text(4096, '\0');
  text.resize(static_cast<size_t>(::pread(file.get(), text.data(), text.size(), 0)));
  EXPECT_EQ(text,
            "[2 packets of demo were dropped here]\n"
            "22:13:20.123456789 demo 3.1024 > 2.5000: seqpacket data, length 18, end of message, buf_alloc 262144, fwd_cnt 0 [a "
            "comment]\n"
            "\t0x0000:  3031 3233 3435 3637 3839 1b5b 3331 6d41  0123456789.[31mA\n"
            "\t0x0010:  4243                                     BC\n"
            "00:00:00.000000000 demo 3.1024 > 2.5000: type 5 unknown op 99, flags 0x80, buf_alloc 262144, fwd_cnt 0\n");
}

TEST(Packet, SurvivesAnyRecord) {
  const uint64_t seed = std::random_device{}();
  SCOPED_TRACE(::testing::Message() << "seed " << seed);
  std::mt19937_64 random(seed);
  UniqueFd null(::open("/dev/null", O_WRONLY | O_CLOEXEC));
  Output output(std::move(null));
  PcapngWriter writer(output, "test", kMaxPacketSize);
  TextWriter text(output, {.verbose = true, .dump = true});
  ASSERT_TRUE(writer.add_interface({.name = "vm"}));
  ASSERT_TRUE(text.add_interface({.name = "vm"}));
  ConnectionTable table;
  std::vector<uint8_t> frame;
  for (int i = 0; i < 5000; ++i) {
    std::vector<uint8_t> bytes(random() % 200);
    for (uint8_t& byte : bytes) byte = static_cast<uint8_t>(random() >> (random() % 8));
    const auto packet = read_packet(testing::read_record(bytes, random(), static_cast<uint32_t>(random() % 2)));
    if (!packet) continue;
    write_frame(*packet, static_cast<uint32_t>(random() % 300), frame);
    EXPECT_LE(packet->size(), kMaxPacketSize);
    ASSERT_TRUE(writer.packet(0, *packet, random() % 2, table.comment(*packet, random() % 64 == 0 ? 1 : 0)));
    ASSERT_TRUE(text.packet(0, *packet, 0, ""));
  }
}

}  // namespace
}  // namespace adyton::capture
