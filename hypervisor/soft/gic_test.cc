#include "hypervisor/soft/gic.h"

#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <random>
#include <thread>

namespace adyton::hypervisor::soft {
namespace {

constexpr GuestPhysAddr kDist = 0x0800'0000, kRedist = 0x080a'0000;
constexpr uint32_t kSgiFrame = 0x10000;

struct Inputs final : CpuInterruptInputs {
  void set_irq(bool level) override { irq = level; }
  void set_fiq(bool level) override { fiq = level; }
  std::atomic<bool> irq = false, fiq = false;
};

struct Observer final : IrqchipObserver {
  using IrqchipObserver::want_interrupts;
  void spi_raised(uint32_t intid) override { told.push_back({intid, 0, 0}); }
  void ppi_raised(uint32_t intid, unsigned vcpu) override { told.push_back({intid, vcpu, 0}); }
  void sgi_raised(uint32_t intid, unsigned vcpu, unsigned from) override { told.push_back({intid, vcpu, from}); }
  std::vector<std::array<uint32_t, 3>> told;
};

class GicTest : public ::testing::Test {
 protected:
  void SetUp() override { create(4); }
  void create(unsigned cpus, uint32_t nr_irqs = 128) {
    gic_.reset();
    inputs_ = std::vector<Inputs>(cpus);
    std::vector<Gic::CpuPort> ports;
    for (unsigned i = 0; i < cpus; ++i) ports.push_back({vcpu_affinity(i), &inputs_[i]});
    auto gic = Gic::create({kDist, kRedist, nr_irqs}, ports);
    ASSERT_TRUE(gic) << gic.error().message;
    gic_ = std::move(*gic);
  }

  uint64_t read(GuestPhysAddr address, unsigned size = 4) {
    uint64_t value = ~0ull;
    EXPECT_TRUE(gic_->read(address, size, value)) << std::hex << address;
    return value;
  }
  void write(GuestPhysAddr address, uint64_t value, unsigned size = 4) {
    EXPECT_TRUE(gic_->write(address, size, value)) << std::hex << address;
  }
  GuestPhysAddr rd(unsigned cpu, uint32_t offset) { return kRedist + cpu * kRedistributorSize + offset; }
  uint64_t icc(unsigned cpu, uint16_t encoding) {
    uint64_t value = ~0ull;
    EXPECT_TRUE(gic_->read_icc(cpu, encoding, value));
    return value;
  }
  void set_icc(unsigned cpu, uint16_t encoding, uint64_t value) { EXPECT_TRUE(gic_->write_icc(cpu, encoding, value)); }

  // As Linux sets it up: everything in group 1 at priority 0xa0, all CPUs awake.
  void bring_up() {
    write(kDist, 0x12);
    for (unsigned bank = 1; bank < 4; ++bank) {
      write(kDist + kIgroupr + 4 * bank, ~0u);
      for (unsigned i = 0; i < 8; ++i) write(kDist + kIpriorityr + 32 * bank + 4 * i, 0xa0a0a0a0);
    }
    for (unsigned cpu = 0; cpu < inputs_.size(); ++cpu) {
      write(rd(cpu, 0x14), 0);
      write(rd(cpu, kSgiFrame + kIgroupr), ~0u);
      write(rd(cpu, kSgiFrame + kIsenabler), ~0u);
      for (unsigned i = 0; i < 8; ++i) write(rd(cpu, kSgiFrame + kIpriorityr + 4 * i), 0xa0a0a0a0);
      set_icc(cpu, icc::kPmr, 0xf0);
      set_icc(cpu, icc::kIgrpen1, 1);
    }
  }
  void enable_spi(uint32_t intid, uint64_t route = 0) {
    write(kDist + kIsenabler + intid / 32 * 4, 1u << (intid % 32));
    write(kDist + 0x6000 + 8 * intid, route, 8);
  }

  std::vector<Inputs> inputs_;
  std::unique_ptr<Gic> gic_;
};

TEST_F(GicTest, IdentifiesItself) {
  EXPECT_EQ(read(kDist + 0xffe8) >> 4 & 0xf, 3u) << "architecture revision";
  EXPECT_EQ(read(kDist + 4) & 0x1f, 3u) << "128 interrupts";
  EXPECT_EQ(read(kDist + 4) & (1u << 17), 0u) << "no LPIs";
  EXPECT_EQ(read(kDist) & 0x50, 0x50u) << "affinity routing, one security state";
  for (unsigned cpu = 0; cpu < 4; ++cpu) {
    EXPECT_EQ(read(rd(cpu, 0xffe8)) >> 4 & 0xf, 3u);
    uint64_t typer = read(rd(cpu, 8), 8);
    EXPECT_EQ(typer >> 32, cpu);
    EXPECT_EQ(typer >> 8 & 0xffff, cpu);
    EXPECT_EQ((typer >> 4 & 1) != 0, cpu == 3) << "last";
    EXPECT_EQ(read(rd(cpu, 8)), typer & 0xffffffff);
    EXPECT_EQ(read(rd(cpu, 12)), typer >> 32);
    EXPECT_EQ(read(rd(cpu, 0x14)), 6u) << "asleep";
  }
  uint64_t value;
  EXPECT_FALSE(gic_->read(kDist + 0x10000, 4, value));
  EXPECT_FALSE(gic_->read(kRedist + 4 * kRedistributorSize, 4, value));
  EXPECT_EQ(icc(0, icc::kCtlr) >> 8 & 7, 4u) << "five priority bits";
  EXPECT_EQ(icc(0, icc::kSre), 7u);
}

TEST_F(GicTest, RefusesBadConfigurations) {
  Inputs input;
  std::vector<Gic::CpuPort> ports{{0, &input}};
  EXPECT_FALSE(Gic::create({kDist, kRedist, 48}, ports));
  EXPECT_FALSE(Gic::create({kDist, kRedist, 1056}, ports));
  EXPECT_FALSE(Gic::create({kDist + 0x1000, kRedist, 64}, ports));
  EXPECT_FALSE(Gic::create({kRedist, kRedist, 64}, ports));
  EXPECT_FALSE(Gic::create({kDist, kRedist, 64}, {}));
}

TEST_F(GicTest, DeliversALevelInterruptUntilTheLineFalls) {
  bring_up();
  enable_spi(33);
  gic_->set_spi(33, true);
  EXPECT_TRUE(inputs_[0].irq);
  EXPECT_TRUE(gic_->interrupt_signalled(0));
  EXPECT_FALSE(inputs_[1].irq);
  EXPECT_EQ(icc(0, icc::kHppir1), 33u);
  EXPECT_EQ(icc(0, icc::kIar1), 33u);
  EXPECT_FALSE(inputs_[0].irq) << "active interrupts are not delivered again";
  EXPECT_EQ(icc(0, icc::kRpr), 0xa0u);
  EXPECT_EQ(read(kDist + kIsactiver + 4), 2u);
  EXPECT_EQ(read(kDist + kIspendr + 4), 2u) << "the line is still up";
  set_icc(0, icc::kEoir1, 33);
  EXPECT_EQ(icc(0, icc::kRpr), 0xffu);
  EXPECT_TRUE(inputs_[0].irq) << "the line is still up";
  gic_->set_spi(33, false);
  EXPECT_FALSE(inputs_[0].irq);
  EXPECT_EQ(icc(0, icc::kIar1), kSpuriousIntid);
}

TEST_F(GicTest, LatchesAnEdge) {
  bring_up();
  enable_spi(40);
  write(kDist + kIcfgr + 8, 2u << (2 * 8));
  EXPECT_EQ(read(kDist + kIcfgr + 8), 2u << (2 * 8));
  gic_->set_spi(40, true);
  gic_->set_spi(40, false);
  EXPECT_EQ(icc(0, icc::kIar1), 40u);
  gic_->set_spi(40, true);  // again, while active
  set_icc(0, icc::kEoir1, 40);
  EXPECT_TRUE(inputs_[0].irq);
  EXPECT_EQ(icc(0, icc::kIar1), 40u);
  set_icc(0, icc::kEoir1, 40);
  EXPECT_FALSE(inputs_[0].irq) << "a level that stays is no new edge";
}

TEST_F(GicTest, MaskedInterruptsStayPending) {
  bring_up();
  gic_->set_spi(50, true);  // not enabled
  EXPECT_FALSE(inputs_[0].irq);
  EXPECT_EQ(read(kDist + kIspendr + 4), 1u << 18);
  enable_spi(50);
  EXPECT_TRUE(inputs_[0].irq);
  set_icc(0, icc::kPmr, 0xa0);
  EXPECT_FALSE(inputs_[0].irq) << "priority 0xa0 is not above the mask";
  EXPECT_EQ(icc(0, icc::kHppir1), 50u) << "the mask does not hide it";
  set_icc(0, icc::kPmr, 0xa8);
  EXPECT_TRUE(inputs_[0].irq);
  set_icc(0, icc::kIgrpen1, 0);
  EXPECT_FALSE(inputs_[0].irq);
  set_icc(0, icc::kIgrpen1, 1);
  write(kDist, 0);
  EXPECT_FALSE(inputs_[0].irq);
  write(kDist, 2);
  EXPECT_TRUE(inputs_[0].irq);
  write(kDist + kIcenabler + 4, 1u << 18);
  EXPECT_FALSE(inputs_[0].irq);
}

TEST_F(GicTest, PriorityRegistersTakeBytesAndWords) {
  write(kDist + kIpriorityr + 33, 0x47, 1);
  EXPECT_EQ(read(kDist + kIpriorityr + 33, 1), 0x40u) << "five bits";
  EXPECT_EQ(read(kDist + kIpriorityr + 32), 0x4000u);
  EXPECT_EQ(read(kDist + kIpriorityr + 32, 2), 0u) << "halfwords are not allowed";
  write(rd(1, kSgiFrame + kIpriorityr + 27), 0xff, 1);
  EXPECT_EQ(read(rd(1, kSgiFrame + kIpriorityr + 24)), 0xf8000000u);
  EXPECT_EQ(read(rd(0, kSgiFrame + kIpriorityr + 24)), 0u);
  EXPECT_EQ(read(kDist + kIpriorityr + 4), 0u) << "private interrupts are not in the distributor";
}

TEST_F(GicTest, MoreUrgentInterruptsPreempt) {
  bring_up();
  enable_spi(34);
  enable_spi(35);
  write(kDist + kIpriorityr + 35, 0x20, 1);
  gic_->set_spi(34, true);
  EXPECT_EQ(icc(0, icc::kIar1), 34u);
  gic_->set_spi(35, true);
  EXPECT_TRUE(inputs_[0].irq) << "0x20 preempts 0xa0";
  EXPECT_EQ(icc(0, icc::kIar1), 35u);
  EXPECT_EQ(icc(0, icc::kRpr), 0x20u);
  EXPECT_EQ(icc(0, icc::kAp1r0), (1u << 4) | (1u << 20));
  gic_->set_spi(35, false);
  gic_->set_spi(34, false);
  set_icc(0, icc::kEoir1, 35);
  EXPECT_EQ(icc(0, icc::kRpr), 0xa0u);
  set_icc(0, icc::kEoir1, 34);
  EXPECT_EQ(icc(0, icc::kAp1r0), 0u);
}

TEST_F(GicTest, BinaryPointLimitsPreemption) {
  bring_up();
  enable_spi(34);
  enable_spi(35);
  set_icc(0, icc::kBpr1, 0);
  EXPECT_EQ(icc(0, icc::kBpr1), 3u) << "the smallest with five priority bits";
  set_icc(0, icc::kBpr1, 6);  // group priority is bits 7:6
  write(kDist + kIpriorityr + 35, 0x80, 1);
  gic_->set_spi(34, true);
  EXPECT_EQ(icc(0, icc::kIar1), 34u);
  gic_->set_spi(35, true);
  EXPECT_FALSE(inputs_[0].irq) << "0x80 and 0xa0 share a group";
  write(kDist + kIpriorityr + 35, 0x78, 1);
  EXPECT_TRUE(inputs_[0].irq);
  // With CBPR, BPR0 splits group 1 too, one bit higher.
  set_icc(0, icc::kBpr0, 6);
  set_icc(0, icc::kCtlr, 1);
  EXPECT_EQ(icc(0, icc::kBpr1), 7u);
  EXPECT_TRUE(inputs_[0].irq) << "bit 7 still differs";
  write(kDist + kIpriorityr + 35, 0x98, 1);
  EXPECT_FALSE(inputs_[0].irq);
}

TEST_F(GicTest, EqualPrioritiesGoByNumberAndUrgencyFirst) {
  bring_up();
  for (uint32_t intid : {60u, 45u, 90u}) {
    enable_spi(intid);
    gic_->set_spi(intid, true);
  }
  gic_->set_ppi(0, 27, true);
  write(kDist + kIpriorityr + 90, 0x10, 1);
  std::vector<uint64_t> order;
  for (int i = 0; i < 5; ++i) {
    uint64_t intid = icc(0, icc::kIar1);
    order.push_back(intid);
    if (intid == 27)
      gic_->set_ppi(0, 27, false);
    else if (intid != kSpuriousIntid)
      gic_->set_spi(static_cast<uint32_t>(intid), false);
    set_icc(0, icc::kEoir1, intid);
  }
  EXPECT_EQ(order, (std::vector<uint64_t>{90, 27, 45, 60, kSpuriousIntid}));
}

TEST_F(GicTest, SplitEndOfInterrupt) {
  bring_up();
  enable_spi(33);
  set_icc(0, icc::kCtlr, 2);
  gic_->set_spi(33, true);
  gic_->set_ppi(0, 27, true);
  EXPECT_EQ(icc(0, icc::kIar1), 27u);
  set_icc(0, icc::kEoir1, 27);
  EXPECT_EQ(icc(0, icc::kRpr), 0xffu);
  EXPECT_EQ(read(rd(0, kSgiFrame + kIsactiver)), 1u << 27) << "dropped, not deactivated";
  EXPECT_EQ(icc(0, icc::kIar1), 33u);
  set_icc(0, icc::kEoir1, 33);
  EXPECT_FALSE(inputs_[0].irq);
  set_icc(0, icc::kDir, 27);
  EXPECT_TRUE(inputs_[0].irq);
  EXPECT_EQ(icc(0, icc::kIar1), 27u);
  gic_->set_ppi(0, 27, false);
  set_icc(0, icc::kEoir1, 27);
  set_icc(0, icc::kDir, 27);
  set_icc(0, icc::kDir, 33);
  EXPECT_EQ(icc(0, icc::kIar1), 33u);
}

TEST_F(GicTest, GroupZeroIsTheFiq) {
  bring_up();
  write(kDist, 3);
  write(kDist + kIgroupr + 4, ~2u);  // 33 in group 0
  enable_spi(33);
  set_icc(0, icc::kIgrpen0, 1);
  gic_->set_spi(33, true);
  EXPECT_TRUE(inputs_[0].fiq);
  EXPECT_FALSE(inputs_[0].irq);
  EXPECT_EQ(icc(0, icc::kIar1), kSpuriousIntid);
  EXPECT_EQ(icc(0, icc::kHppir0), 33u);
  EXPECT_EQ(icc(0, icc::kIar0), 33u);
  EXPECT_EQ(icc(0, icc::kAp0r0), 1u << 20);
  gic_->set_spi(33, false);
  set_icc(0, icc::kEoir1, 33);
  EXPECT_EQ(icc(0, icc::kRpr), 0xa0u) << "the wrong group's EOIR does nothing";
  set_icc(0, icc::kEoir0, 33);
  EXPECT_EQ(icc(0, icc::kRpr), 0xffu);
  EXPECT_FALSE(inputs_[0].fiq);
}

TEST_F(GicTest, SgisReachTheirTargets) {
  bring_up();
  set_icc(0, icc::kSgi1r, (5ull << 24) | 0b1010);
  EXPECT_FALSE(inputs_[0].irq);
  EXPECT_TRUE(inputs_[1].irq);
  EXPECT_FALSE(inputs_[2].irq);
  EXPECT_TRUE(inputs_[3].irq);
  EXPECT_EQ(icc(1, icc::kIar1), 5u);
  set_icc(1, icc::kEoir1, 5);
  EXPECT_FALSE(inputs_[1].irq);
  EXPECT_EQ(icc(3, icc::kIar1), 5u);
  set_icc(3, icc::kEoir1, 5);
  // All but self.
  set_icc(2, icc::kSgi1r, (1ull << 40) | (3ull << 24));
  for (unsigned cpu = 0; cpu < 4; ++cpu) EXPECT_EQ(icc(cpu, icc::kIar1), cpu == 2 ? kSpuriousIntid : 3u);
  // Group 1 SGIs are out of reach of SGI0R.
  set_icc(0, icc::kSgi0r, (6ull << 24) | 4);
  EXPECT_EQ(icc(2, icc::kHppir1), kSpuriousIntid);
  // A cluster, a range, or a number that does not exist.
  set_icc(0, icc::kSgi1r, (6ull << 24) | (1 << 16) | 0xffff);
  set_icc(0, icc::kSgi1r, (6ull << 24) | (1ull << 44) | 0xffff);
  set_icc(0, icc::kSgi1r, (6ull << 24) | (1ull << 32) | 0xffff);
  set_icc(0, icc::kSgi1r, (6ull << 24) | 0xfff0);
  for (unsigned cpu = 0; cpu < 4; ++cpu) EXPECT_EQ(icc(cpu, icc::kHppir1), kSpuriousIntid);
}

TEST_F(GicTest, SgisReachTheSecondCluster) {
  create(18);
  bring_up();
  EXPECT_EQ(read(rd(17, 8), 8) >> 32, 0x101u);
  set_icc(0, icc::kSgi1r, (7ull << 24) | (1 << 16) | 2);
  EXPECT_EQ(icc(17, icc::kIar1), 7u);
  EXPECT_EQ(icc(1, icc::kIar1), kSpuriousIntid);
  enable_spi(33, 0x100);
  gic_->set_spi(33, true);
  EXPECT_TRUE(inputs_[16].irq);
}

TEST_F(GicTest, RoutingFollowsIrouter) {
  bring_up();
  enable_spi(33, 2);
  gic_->set_spi(33, true);
  EXPECT_TRUE(inputs_[2].irq);
  write(kDist + 0x6000 + 8 * 33, 1, 8);
  EXPECT_FALSE(inputs_[2].irq);
  EXPECT_TRUE(inputs_[1].irq);
  EXPECT_EQ(read(kDist + 0x6000 + 8 * 33, 8), 1u);
  write(kDist + 0x6000 + 8 * 33, 3);  // the lower half alone
  EXPECT_TRUE(inputs_[3].irq);
  write(kDist + 0x6000 + 8 * 33 + 4, 1);  // Aff3: nobody
  EXPECT_FALSE(inputs_[3].irq);
  EXPECT_EQ(read(kDist + 0x6000 + 8 * 33, 8), 0x1'0000'0003u);
  write(kDist + 0x6000 + 8 * 33, 0, 8);
  EXPECT_TRUE(inputs_[0].irq);
}

TEST_F(GicTest, AnyOneProcessorTakesAnInterrupt) {
  bring_up();
  enable_spi(33, 1ull << 31);
  gic_->set_spi(33, true);
  int signalled = 0;
  unsigned taker = 0;
  for (unsigned cpu = 0; cpu < 4; ++cpu) {
    if (!inputs_[cpu].irq) continue;
    ++signalled;
    taker = cpu;
  }
  EXPECT_EQ(signalled, 1);
  // When the chosen one leaves, another gets it.
  write(rd(taker, 0x14), 2);
  EXPECT_FALSE(inputs_[taker].irq);
  signalled = 0;
  for (unsigned cpu = 0; cpu < 4; ++cpu) signalled += inputs_[cpu].irq && cpu != taker;
  EXPECT_EQ(signalled, 1);
}

TEST_F(GicTest, SoftwareMayPendActivateAndClear) {
  bring_up();
  enable_spi(64);
  write(kDist + kIspendr + 8, 1);
  EXPECT_EQ(icc(0, icc::kIar1), 64u);
  EXPECT_EQ(read(kDist + kIspendr + 8), 0u) << "acknowledging takes the pending state";
  set_icc(0, icc::kEoir1, 64);
  write(kDist + kIspendr + 8, 1);
  write(kDist + kIcpendr + 8, 1);
  EXPECT_FALSE(inputs_[0].irq);
  gic_->set_spi(64, true);
  write(kDist + kIcpendr + 8, 1);
  EXPECT_TRUE(inputs_[0].irq) << "a level cannot be cleared by hand";
  write(kDist + kIsactiver + 8, 1);
  EXPECT_FALSE(inputs_[0].irq);
  write(kDist + kIcactiver + 8, 1);
  EXPECT_TRUE(inputs_[0].irq);
}

TEST_F(GicTest, IgnoresWhatDoesNotExist) {
  create(1, 1024);
  bring_up();
  write(kDist + kIsenabler + 4 * 31, ~0u);
  EXPECT_EQ(read(kDist + kIsenabler + 4 * 31), 0x0fffffffu) << "1020 to 1023 are special";
  gic_->set_spi(1020, true);
  gic_->set_spi(5, true);
  gic_->set_spi(4000, true);
  set_icc(0, icc::kEoir1, 0xffffff);
  set_icc(0, icc::kEoir1, 1023);
  uint64_t value;
  EXPECT_FALSE(gic_->read_icc(0, icc::reg(12, 9, 1), value)) << "AP1R1 needs more priority bits";
  EXPECT_FALSE(gic_->write_icc(0, icc::kIar1, 0));
  EXPECT_FALSE(gic_->read_icc(0, icc::kSgi1r, value));
  EXPECT_EQ(read(kDist + 0x6000 + 8 * 1019, 8), 0u);
}

// Any access of any size anywhere is answered.
TEST_F(GicTest, SurvivesRandomAccesses) {
  std::random_device device;
  unsigned seed = device();
  SCOPED_TRACE(seed);
  std::mt19937_64 random(seed);
  constexpr uint16_t kRegisters[] = {icc::kPmr,    icc::kIar0,   icc::kIar1, icc::kEoir0,   icc::kEoir1,
                                     icc::kHppir0, icc::kHppir1, icc::kBpr0, icc::kBpr1,    icc::kAp0r0,
                                     icc::kAp1r0,  icc::kDir,    icc::kRpr,  icc::kSgi0r,   icc::kSgi1r,
                                     icc::kAsgi1r, icc::kCtlr,   icc::kSre,  icc::kIgrpen0, icc::kIgrpen1};
  for (int i = 0; i < 100'000; ++i) {
    unsigned cpu = random() % 4;
    uint64_t value = random() >> (random() % 64);
    unsigned size = 1u << (random() % 4);
    GuestPhysAddr frame = random() % 2 ? kDist : rd(cpu, random() % 2 ? kSgiFrame : 0);
    GuestPhysAddr address = frame + random() % (random() % 2 ? 0x1000 : 0x10000);
    switch (random() % 6) {
      case 0: (void)gic_->read(address, size, value); break;
      case 1: (void)gic_->write(address, size, value); break;
      case 2: gic_->set_spi(static_cast<uint32_t>(random() % 140), value & 1); break;
      case 3: gic_->set_ppi(cpu, 16 + random() % 16, value & 1); break;
      case 4: (void)gic_->read_icc(cpu, kRegisters[random() % std::size(kRegisters)], value); break;
      default: (void)gic_->write_icc(cpu, kRegisters[random() % std::size(kRegisters)], value); break;
    }
  }
}

// Every edge of every thread is taken exactly once, whoever takes it.
TEST_F(GicTest, ConcurrentDeliveryLosesNothing) {
  bring_up();
  constexpr int kRounds = 20'000;
  for (unsigned i = 0; i < 4; ++i) {
    enable_spi(32 + i, i);
    write(kDist + kIcfgr + 8, 0xaa);
  }
  std::atomic<int> spis[4] = {}, sgis[4] = {};
  std::atomic<bool> done = false;
  std::vector<std::jthread> cpus;
  for (unsigned cpu = 0; cpu < 4; ++cpu) {
    cpus.emplace_back([&, cpu] {
      while (!done) {
        uint64_t intid;
        gic_->read_icc(cpu, icc::kIar1, intid);
        if (intid == kSpuriousIntid) {
          std::this_thread::yield();
          continue;
        }
        gic_->write_icc(cpu, icc::kEoir1, intid);
        // Counted after the end of interrupt, so that the next one can come.
        ++(intid < 16 ? sgis : spis)[cpu];
      }
    });
  }
  {
    std::vector<std::jthread> senders;
    for (unsigned i = 0; i < 4; ++i) {
      senders.emplace_back([&, i] {
        for (int round = 0; round < kRounds / 10; ++round) {
          gic_->set_spi(32 + i, true);
          gic_->set_spi(32 + i, false);
          gic_->write_icc(i, icc::kSgi1r, (uint64_t{i} << 24) | (1u << ((i + 1) % 4)));
          while (spis[i] != round + 1 || sgis[(i + 1) % 4] != round + 1) std::this_thread::yield();
        }
      });
    }
  }
  done = true;
  for (unsigned i = 0; i < 4; ++i) {
    EXPECT_EQ(spis[i], kRounds / 10);
    EXPECT_EQ(sgis[i], kRounds / 10);
  }
}

TEST_F(GicTest, ItsObserverHearsWhatIsRaised) {
  Observer observer;
  gic_->observe(observer);
  bring_up();
  gic_->set_ppi(1, 27, true);
  EXPECT_TRUE(observer.told.empty()) << "nobody wanted to know";
  gic_->set_ppi(1, 27, false);
  observer.want_interrupts(true);
  gic_->set_ppi(1, 27, true);
  gic_->set_ppi(1, 27, false);
  gic_->set_spi(33, true);
  gic_->set_spi(33, false);
  set_icc(2, icc::kSgi1r, 5ull << 24 | 0b1001);      // vCPUs 0 and 3
  set_icc(2, icc::kSgi1r, 5ull << 24 | 0b0001);      // has it already
  set_icc(1, icc::kSgi0r, 6ull << 24 | 0b0001);      // of another group
  set_icc(3, icc::kSgi1r, 7ull << 24 | 1ull << 40);  // everyone else
  using Told = std::array<uint32_t, 3>;
  EXPECT_EQ(observer.told, (std::vector<Told>{{27, 1, 0}, {33, 0, 0}, {5, 0, 2}, {5, 3, 2}, {7, 0, 3}, {7, 1, 3}, {7, 2, 3}}));
}

}  // namespace
}  // namespace adyton::hypervisor::soft
