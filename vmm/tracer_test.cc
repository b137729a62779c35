#include "vmm/tracer.h"

#include <gmock/gmock.h>

#include <cstring>
#include <string>

#include "vmm/board.h"

namespace adyton::vmm {
namespace {

using hypervisor::IsolationLevel;
using hypervisor::VcpuObserver;
using observe::RecordReader;
using observe::RecordRing;
using observe::TraceCategory;
using observe::TraceType;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr uint32_t bit(TraceCategory category) { return static_cast<uint32_t>(category); }

// A client of a VM with one vCPU and one device.
struct TracerTest : ::testing::Test {
  explicit TracerTest(IsolationLevel isolation = IsolationLevel::kNone) : tracer(*loop, isolation) {
    tracer.add_vcpu(vcpu);
    tracer.add_device(device);
  }
  struct Client {
    UniqueFd memory = *RecordRing::make_memory(1 << 16, 2);
    std::vector<RecordRing> rings;
    std::vector<RecordReader> readers;
    UniqueFd wake;
    Client() {
      rings.reserve(2);
      for (size_t i = 0; i < 2; ++i) rings.push_back(*RecordRing::map(memory.get(), i, 2));
      for (const RecordRing& ring : rings) readers.emplace_back(ring);
    }
    std::vector<TraceType> read(size_t ring) {
      std::vector<TraceType> types;
      while (const auto record = *readers[ring].next()) {
        types.push_back(static_cast<TraceType>(record->type));
        last = {record->bytes.begin(), record->bytes.end()};
        time = record->time;
      }
      return types;
    }
    template <typename T>
    T what() {
      T made;
      EXPECT_EQ(last.size(), sizeof(made));
      std::memcpy(&made, last.data(), std::min(last.size(), sizeof(made)));
      return made;
    }
    std::vector<uint8_t> last;
    uint64_t time = 0;
  };
  Result<void> start(Client& client, uint32_t categories = observe::kAllTraceCategories, size_t rings = 2) {
    auto wake = tracer.start(client.memory.get(), rings, categories);
    if (!wake) return std::unexpected(wake.error());
    client.wake = std::move(*wake);
    return {};
  }

  std::unique_ptr<virtio::EventLoop> loop = *virtio::EventLoop::create();
  VcpuTrace vcpu;
  observe::TraceSource device;
  Tracer tracer;
};

TEST_F(TracerTest, EveryThreadHasItsRing) {
  Client client;
  ASSERT_TRUE(start(client));
  device.write(TraceType::kRaised);
  EXPECT_THAT(client.read(0), ElementsAre());
  EXPECT_THAT(client.read(1), ElementsAre(TraceType::kRaised));
  vcpu.entering();
  EXPECT_THAT(client.read(0), ElementsAre(TraceType::kGuestEnter));
  EXPECT_THAT(client.read(1), ElementsAre());
}

TEST_F(TracerTest, AVcpuTellsItsRuns) {
  Client client;
  ASSERT_TRUE(start(client));
  vcpu.entering();
  vcpu.translating();
  vcpu.translated(0x40080000, 12);
  vcpu.interrupted(27);
  vcpu.left();
  const uint64_t left = observe::TraceSource::now();
  vcpu.exited(hypervisor::ExitReason::kMmio, 0x9000000, true);
  EXPECT_THAT(client.read(0),
              ElementsAre(TraceType::kGuestEnter, TraceType::kTranslated, TraceType::kInterrupt, TraceType::kGuestExit));
  const auto exit = client.what<observe::TraceExit>();
  EXPECT_EQ(exit.reason, static_cast<uint32_t>(observe::TraceExitReason::kMmio));
  EXPECT_EQ(exit.detail, 0x9000000u);
  EXPECT_EQ(exit.is_write, 1u);
  EXPECT_LE(client.time, left) << "when guest code stopped, not when the reason was known";
}

TEST_F(TracerTest, TheInterruptControllerTellsWhatIsRaised) {
  IrqchipTrace irqchip;
  EXPECT_FALSE(irqchip.wants_interrupts());
  {
    Tracer only(*loop, IsolationLevel::kNone);
    only.add_vcpu(vcpu);
    only.add_irqchip(irqchip);
    Client client;
    client.wake = *only.start(client.memory.get(), 2, bit(TraceCategory::kInterrupt));
    EXPECT_TRUE(irqchip.wants_interrupts());
    const auto told = [&](const auto& raise) {
      raise();
      EXPECT_THAT(client.read(1), ElementsAre(TraceType::kRaisedTo));
      const auto what = client.what<observe::TraceRaised>();
      return std::vector<uint32_t>{what.intid, what.source, what.vcpu, what.from};
    };
    using Source = observe::TraceInterruptSource;
    const auto number = [](Source source) { return static_cast<uint32_t>(source); };
    EXPECT_THAT(told([&] { irqchip.sgi_raised(3, 1, 2); }), ElementsAre(3, number(Source::kSgi), 1, 2));
    EXPECT_THAT(told([&] { irqchip.ppi_raised(27, 1); }), ElementsAre(27, number(Source::kVirtualTimer), 1, 0));
    EXPECT_THAT(told([&] { irqchip.ppi_raised(30, 0); }), ElementsAre(30, number(Source::kPhysicalTimer), 0, 0));
    EXPECT_THAT(told([&] { irqchip.ppi_raised(23, 0); }), ElementsAre(23, number(Source::kPpi), 0, 0));
    EXPECT_THAT(told([&] { irqchip.spi_raised(board::kUartIntid); }),
                ElementsAre(board::kUartIntid, number(Source::kUart), 0, 0));
    EXPECT_THAT(told([&] { irqchip.spi_raised(board::kRtcIntid); }), ElementsAre(board::kRtcIntid, number(Source::kRtc), 0, 0));
    EXPECT_THAT(told([&] { irqchip.spi_raised(board::kWatchdogIntid); }),
                ElementsAre(board::kWatchdogIntid, number(Source::kWatchdog), 0, 0));
    EXPECT_THAT(told([&] { irqchip.spi_raised(40); }), ElementsAre(40, number(Source::kSpi), 0, 0));
    irqchip.spi_raised(board::virtio_mmio_intid(0));  // its device tells that
    EXPECT_THAT(client.read(1), ElementsAre());
  }
  EXPECT_FALSE(irqchip.wants_interrupts());
  Client other;
  Tracer only(*loop, IsolationLevel::kNone);
  only.add_vcpu(vcpu);
  only.add_irqchip(irqchip);
  other.wake = *only.start(other.memory.get(), 2, bit(TraceCategory::kVcpu));
  EXPECT_FALSE(irqchip.wants_interrupts()) << "nobody asked";
}

TEST_F(TracerTest, OnlyWhatWasAskedForIsWanted) {
  Client client;
  ASSERT_TRUE(start(client, bit(TraceCategory::kTranslation) | bit(TraceCategory::kVsock)));
  EXPECT_FALSE(vcpu.wants(VcpuObserver::kRuns));
  EXPECT_TRUE(vcpu.wants(VcpuObserver::kTranslations));
  EXPECT_FALSE(vcpu.wants(VcpuObserver::kInterrupts));
  EXPECT_FALSE(device.wants(TraceCategory::kVirtio));
  EXPECT_TRUE(device.wants(TraceCategory::kVsock));
  // The begin was before the trace.
  vcpu.translated(0x40080000, 12);
  EXPECT_THAT(client.read(0), ElementsAre());
}

TEST_F(TracerTest, EndsWithItsReaderAndCanBeginAgain) {
  auto client = std::make_unique<Client>();
  ASSERT_TRUE(start(*client));
  client->wake.reset();
  EXPECT_TRUE(loop->run_once(0));
  EXPECT_FALSE(vcpu.wants(VcpuObserver::kRuns));
  EXPECT_FALSE(device.wants(TraceCategory::kVirtio));
  client.reset();
  vcpu.entering();  // somebody who had asked before
  Client second;
  ASSERT_TRUE(start(second));
  // Its reader is gone, and the loop has not heard of it yet.
  second.wake.reset();
  Client third;
  ASSERT_TRUE(start(third));
  vcpu.entering();
  EXPECT_THAT(third.read(0), ElementsAre(TraceType::kGuestEnter));
}

TEST_F(TracerTest, RefusesWhatCannotBe) {
  Client client;
  ASSERT_TRUE(start(client));
  Client other;
  EXPECT_EQ(start(other).error().code, ErrorCode::kExhausted);
  client.wake.reset();
  EXPECT_EQ(start(other, 0).error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(start(other, 1u << 31).error().code, ErrorCode::kInvalidArgument);
  EXPECT_THAT(start(other, observe::kAllTraceCategories, 3).error().message, HasSubstr("2 rings"));
  EXPECT_EQ(tracer.start(-1, 2, 1).error().code, ErrorCode::kCorrupt);
}

struct IsolatedTracerTest : TracerTest {
  IsolatedTracerTest() : TracerTest(IsolationLevel::kProcess) {}
};

TEST_F(IsolatedTracerTest, NobodySeesIntoAnIsolatedGuest) {
  Client client;
  for (const TraceCategory category : {TraceCategory::kVcpu, TraceCategory::kTranslation, TraceCategory::kInterrupt}) {
    const auto refused = start(client, bit(category) | bit(TraceCategory::kVirtio));
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, ErrorCode::kPermission);
    EXPECT_THAT(refused.error().message, HasSubstr("isolation is 'process'"));
  }
  EXPECT_TRUE(start(client, bit(TraceCategory::kVirtio) | bit(TraceCategory::kVsock)));
}

}  // namespace
}  // namespace adyton::vmm
