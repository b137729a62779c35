#include "tools/trace/decoder.h"

#include <gmock/gmock.h>

#include <random>

#include "tools/trace/pressure.h"
#include "tools/trace/testing.h"

namespace adyton::trace {
namespace {

using observe::TraceExitReason;
using observe::TraceType;
using testing::bytes_of;
using ::testing::ElementsAre;

constexpr uint64_t kStart = 1'000'000;
constexpr uint64_t kNow = kStart + 10'000;

struct DecoderTest : ::testing::Test {
  DecoderTest() { writer.zero = kStart; }
  Decoder make(Decoder::Kind kind, std::string name) {
    return {writer, kind, std::move(name), next_track, hypervisor_track, kStart};
  }
  static void feed(Decoder& decoder, TraceType type, uint64_t time, std::span<const uint8_t> bytes = {}, uint64_t lost = 0) {
    ASSERT_TRUE(decoder.record({.type = static_cast<uint32_t>(type), .time = kStart + time, .lost = lost, .bytes = bytes}, kNow));
  }
  static observe::TraceExit exit(TraceExitReason reason, uint64_t detail = 0) {
    return {.reason = static_cast<uint32_t>(reason), .is_write = 1, .detail = detail};
  }

  testing::TextWriter writer;
  TrackId next_track = kProcessTrack + 1;
  TrackId hypervisor_track = 0;
};

TEST_F(DecoderTest, AVcpuRunsAndTheHypervisorWorksInBetween) {
  Decoder decoder = make(Decoder::Kind::kVcpu, "vCPU 0");
  feed(decoder, TraceType::kGuestEnter, 100);
  feed(decoder, TraceType::kTranslated, 150,
       bytes_of(observe::TraceTranslation{.begin = kStart + 120, .pc = 0x40080000, .instructions = 9}));
  feed(decoder, TraceType::kInterrupt, 160, bytes_of(observe::TraceInterrupt{.intid = 27}));
  feed(decoder, TraceType::kGuestExit, 200, bytes_of(exit(TraceExitReason::kMmio, 0x9000000)));
  feed(decoder, TraceType::kGuestEnter, 230);
  feed(decoder, TraceType::kGuestExit, 300, bytes_of(exit(TraceExitReason::kWfi)));
  ASSERT_TRUE(decoder.finish(kNow, 0));
  EXPECT_THAT(writer.lines,
              ElementsAre("vCPU 0 +100 begin vcpu guest", "vCPU 0 +120 begin translation translate pc=0x40080000 instructions=9",
                          "vCPU 0 +150 end", "vCPU 0 +160 instant irq interrupt taken intid=27",
                          "vCPU 0 +200 end exit=mmio address=0x9000000 write=1",
                          "hypervisor, vCPU 0 +200 begin hyp mmio address=0x9000000 write=1", "hypervisor, vCPU 0 +230 end",
                          "vCPU 0 +230 begin vcpu guest", "vCPU 0 +300 end exit=wfi", "hypervisor, vCPU 0 +300 begin hyp wfi",
                          "hypervisor, vCPU 0 +10000 end"));
  EXPECT_EQ(decoder.odd(), 0u);
}

TEST_F(DecoderTest, ADeviceIsKickedAndAnswers) {
  Decoder decoder = make(Decoder::Kind::kDevice, "virtio-blk");
  feed(decoder, TraceType::kQueueKick, 10, bytes_of(observe::TraceQueue{.queue = 1}));
  feed(decoder, TraceType::kQueueDone, 20, bytes_of(observe::TraceQueue{.queue = 1, .chains = 3}));
  feed(decoder, TraceType::kRaised, 21);
  EXPECT_THAT(writer.lines,
              ElementsAre("virtio-blk +10 instant virtio kick queue=1", "virtio-blk +20 instant virtio done queue=1 chains=3",
                          "virtio-blk +21 instant irq interrupt raised"));
}

TEST_F(DecoderTest, InterruptsSayWhereTheyComeFrom) {
  Decoder decoder = make(Decoder::Kind::kDevice, "interrupts");
  const auto raise = [&](uint64_t time, uint32_t source, uint32_t intid) {
    feed(decoder, TraceType::kRaisedTo, time,
         bytes_of(observe::TraceRaised{.intid = intid, .source = source, .vcpu = 1, .from = 2}));
  };
  raise(10, static_cast<uint32_t>(observe::TraceInterruptSource::kSgi), 3);
  raise(20, static_cast<uint32_t>(observe::TraceInterruptSource::kVirtualTimer), 27);
  raise(30, static_cast<uint32_t>(observe::TraceInterruptSource::kUart), 33);
  raise(40, 77, 99);
  EXPECT_THAT(writer.lines,
              ElementsAre("interrupts +10 instant irq interrupt raised source=another vCPU (SGI) intid=3 vcpu=1 from vcpu=2",
                          "interrupts +20 instant irq interrupt raised source=virtual timer intid=27 vcpu=1",
                          "interrupts +30 instant irq interrupt raised source=UART intid=33",
                          "interrupts +40 instant irq interrupt raised source=unknown intid=99"));
  feed(decoder, TraceType::kRaisedTo, 50, bytes_of(observe::TraceInterrupt{.intid = 27}));
  EXPECT_EQ(decoder.odd(), 1u);
}

TEST_F(DecoderTest, ConnectionsThatOverlapHaveTracksOfTheirOwn) {
  Decoder decoder = make(Decoder::Kind::kDevice, "vsock");
  const observe::TraceVsock first{.guest_port = 5, .host_port = 6};
  const observe::TraceVsock second{.guest_port = 7, .host_port = 8, .seqpacket = 1};
  feed(decoder, TraceType::kVsockOpened, 10, bytes_of(first));
  feed(decoder, TraceType::kVsockOpened, 20, bytes_of(second));
  feed(decoder, TraceType::kVsockClosed, 30, bytes_of(first));
  feed(decoder, TraceType::kVsockOpened, 40, bytes_of(first));
  feed(decoder, TraceType::kVsockClosed, 50, bytes_of(observe::TraceVsock{.guest_port = 1, .host_port = 2}));
  ASSERT_TRUE(decoder.finish(kNow, 0));
  EXPECT_EQ(writer.open_slices(), 0u);
  EXPECT_THAT(writer.lines[0], ::testing::HasSubstr("+10 begin vsock guest:5 - host:6 guest port=5 host port=6 type=stream"));
  EXPECT_THAT(writer.lines[1], ::testing::HasSubstr("type=seqpacket"));
  EXPECT_THAT(writer.lines[4], ::testing::HasSubstr("vsock +50 instant vsock connection closed"));
  EXPECT_EQ(writer.names.size(), 3u) << "two tracks for connections, and the device's own";
}

TEST_F(DecoderTest, CallsAreSlicesWithTheirNames) {
  Decoder decoder = make(Decoder::Kind::kService, "calls");
  const auto call = [&](uint64_t begin, uint64_t end, const std::string& name, size_t size = sizeof(observe::TraceCall)) {
    const observe::TraceCall start{.begin = kStart + begin, .succeeded = 1, .from_guest = 1};
    std::vector<uint8_t> bytes(bytes_of(start).begin(), bytes_of(start).begin() + static_cast<ptrdiff_t>(size));
    bytes.insert(bytes.end(), name.begin(), name.end());
    feed(decoder, TraceType::kCall, end, bytes);
  };
  call(10, 30, "IVirtualMachine.getInfo");
  call(20, 40, "IVirtualMachine.stop\n\x1b[2J");
  call(35, 50, "third");
  EXPECT_THAT(writer.lines,
              ElementsAre("calls +10 begin rpc IVirtualMachine.getInfo from=guest succeeded=1 oneway=0", "calls +30 end",
                          "calls +20 begin rpc IVirtualMachine.stop??[2J from=guest succeeded=1 oneway=0", "calls +40 end",
                          "calls +35 begin rpc third from=guest succeeded=1 oneway=0", "calls +50 end"));
  EXPECT_EQ(writer.names.size(), 2u);
  call(60, 70, std::string(observe::kMaxTraceCallName + 1, 'x'));
  call(60, 70, "", sizeof(observe::TraceCall) - 1);
  EXPECT_EQ(decoder.odd(), 2u);
}

TEST_F(DecoderTest, WhatIsMissingIsSaidAndEndsWhatWasOpen) {
  Decoder decoder = make(Decoder::Kind::kVcpu, "vCPU 0");
  feed(decoder, TraceType::kGuestEnter, 100);
  feed(decoder, TraceType::kGuestEnter, 500, {}, 7);
  ASSERT_TRUE(decoder.finish(kNow, 0));
  EXPECT_THAT(writer.lines, ElementsAre("vCPU 0 +100 begin vcpu guest", "vCPU 0 +500 end",
                                        "vCPU 0 +500 instant trace records lost: the reader was too slow records=7",
                                        "vCPU 0 +500 begin vcpu guest", "vCPU 0 +10000 end"));
  EXPECT_EQ(decoder.odd(), 0u);
}

TEST_F(DecoderTest, WhatIsMissingAtTheEndIsSaidToo) {
  Decoder decoder = make(Decoder::Kind::kVcpu, "vCPU 0");
  feed(decoder, TraceType::kGuestEnter, 100);
  feed(decoder, TraceType::kInterrupt, 200, bytes_of(observe::TraceInterrupt{.intid = 27}));
  ASSERT_TRUE(decoder.finish(kNow, 3));
  EXPECT_THAT(writer.lines,
              ElementsAre("vCPU 0 +100 begin vcpu guest", "vCPU 0 +200 instant irq interrupt taken intid=27", "vCPU 0 +200 end",
                          "vCPU 0 +200 instant trace records lost: the reader was too slow records=3"));
}

TEST_F(DecoderTest, TimesAreWhereTheyCanBe) {
  Decoder decoder = make(Decoder::Kind::kVcpu, "vCPU 0");
  ASSERT_TRUE(decoder.record({.type = static_cast<uint32_t>(TraceType::kGuestEnter), .time = 3}, kNow));
  ASSERT_TRUE(decoder.record(
      {.type = static_cast<uint32_t>(TraceType::kGuestExit), .time = UINT64_MAX, .bytes = bytes_of(exit(TraceExitReason::kKick))},
      kNow));
  feed(decoder, TraceType::kGuestEnter, 5);
  EXPECT_THAT(writer.lines,
              ElementsAre("vCPU 0 +0 begin vcpu guest", "vCPU 0 +10000 end exit=kick", "hypervisor, vCPU 0 +10000 begin hyp kick",
                          "hypervisor, vCPU 0 +10000 end", "vCPU 0 +10000 begin vcpu guest"));
}

// Whatever a ring holds: slices are whole, times are possible, memory is bounded (the writer checks).
TEST_F(DecoderTest, HostileRecordsMakeAWholeTrace) {
  const uint64_t seed = std::random_device{}();
  SCOPED_TRACE(::testing::Message() << "seed " << seed);
  std::mt19937_64 random(seed);
  for (const Decoder::Kind kind : {Decoder::Kind::kVcpu, Decoder::Kind::kDevice, Decoder::Kind::kService}) {
    Decoder decoder = make(kind, "thread");
    for (int i = 0; i < 20'000; ++i) {
      static constexpr size_t kSizes[] = {0, sizeof(observe::TraceExit), sizeof(observe::TraceTranslation), 8,
                                          sizeof(observe::TraceCall)};
      std::vector<uint8_t> bytes(random() % 8 == 0 ? random() % 200 : kSizes[random() % std::size(kSizes)]);
      for (uint8_t& byte : bytes) byte = static_cast<uint8_t>(random() % 3 == 0 ? random() : random() % 4);
      ASSERT_TRUE(decoder.record({.type = static_cast<uint32_t>(random() % 12),
                                  .time = random() % 4 == 0 ? random() : kStart + random() % 20'000,
                                  .lost = random() % 50 == 0 ? random() : 0,
                                  .bytes = bytes},
                                 kNow));
    }
    ASSERT_TRUE(decoder.finish(kNow, 0));
    EXPECT_GT(decoder.odd(), 0u);
  }
  EXPECT_EQ(writer.open_slices(), 0u);
  EXPECT_LE(writer.latest, kNow);
  EXPECT_LT(writer.names.size(), 200u);
}

TEST(MemoryPressure, IsReadFromTheKernelsText) {
  EXPECT_EQ(parse_memory_stall("some avg10=0.00 avg60=0.12 avg300=0.00 total=123456\nfull avg10=0.00 total=7\n"), 123456u);
  EXPECT_FALSE(parse_memory_stall(""));
  EXPECT_FALSE(parse_memory_stall("full avg10=0.00 avg60=0.00 avg300=0.00 total=1\n"));
  EXPECT_FALSE(parse_memory_stall("some avg10=0.00\nfull total=1\n"));
  EXPECT_FALSE(parse_memory_stall("some total=x\n"));
}

}  // namespace
}  // namespace adyton::trace
