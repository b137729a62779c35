#include "hypervisor/soft/psci.h"

#include <gtest/gtest.h>

namespace adyton::hypervisor::soft {
namespace {

using Action = FirmwareOutcome::Action;

class PsciTest : public ::testing::Test {
 protected:
  PsciTest() : power_([this](unsigned cpu) { woken_.push_back(cpu); }) {
    for (uint64_t affinity : {0x0, 0x1, 0x100}) power_.add_cpu(affinity);
    power_.set_powered(0, true);
  }
  FirmwareOutcome call(uint64_t x0, uint64_t x1 = 0, uint64_t x2 = 0, uint64_t x3 = 0) {
    return firmware_call({x0, x1, x2, x3}, power_);
  }
  int64_t value(uint64_t x0, uint64_t x1 = 0, uint64_t x2 = 0, uint64_t x3 = 0) {
    FirmwareOutcome outcome = call(x0, x1, x2, x3);
    EXPECT_EQ(outcome.action, Action::kReturn);
    return outcome.value;
  }
  std::vector<unsigned> woken_;
  PowerController power_;
};

TEST_F(PsciTest, SaysWhatItIs) {
  EXPECT_EQ(value(0x84000000), 0x10001);
  EXPECT_EQ(value(0x80000000), 0x10001);
  EXPECT_EQ(value(0x84000006), 2);
  for (uint32_t id : {0x84000000u, 0x84000001u, 0xc4000001u, 0x84000002u, 0xc4000003u, 0xc4000004u, 0x84000008u, 0x84000009u,
                      0x8400000au, 0x80000000u}) {
    EXPECT_EQ(value(0x8400000a, id), 0) << std::hex << id;
  }
  for (uint32_t id : {0xc4000000u, 0xc4000002u, 0x84000005u, 0x8400000eu, 0xc400000eu, 0x12345678u})
    EXPECT_EQ(value(0x8400000a, id), -1) << std::hex << id;
}

TEST_F(PsciTest, NeedsNoWorkarounds) {
  EXPECT_EQ(value(0x80000001, 0x80008000), 1);
  EXPECT_EQ(value(0x80000001, 0x80003fff), 1);
  EXPECT_EQ(value(0x80000001, 0x80007fff), -2);
  EXPECT_EQ(value(0x80000001, 0x80000002), -1) << "SOC_ID";
  EXPECT_EQ(value(0x80008000), 0);
}

TEST_F(PsciTest, RefusesWhatItDoesNotKnow) {
  for (uint64_t id : {0x84000050ull, 0x8600ff01ull, 0x84000020ull, 0ull, 0xffffffffull, 0xc5000020ull})
    EXPECT_EQ(value(id), -1) << std::hex << id;
  EXPECT_EQ(value(0xffffffff'84000000), 0x10001) << "the identifier is 32 bits";
}

TEST_F(PsciTest, PowersCpusOn) {
  EXPECT_EQ(value(0xc4000004, 1, 0), 1) << "off";
  EXPECT_EQ(value(0xc4000003, 1, 0x4000'1000, 0x1234'5678'9abc), 0);
  EXPECT_EQ(woken_, std::vector<unsigned>{1});
  EXPECT_EQ(value(0xc4000004, 1, 0), 2) << "pending";
  EXPECT_EQ(value(0xc4000003, 1, 0, 0), -5) << "pending";
  auto start = power_.take_start(1);
  ASSERT_TRUE(start);
  EXPECT_EQ(start->entry, 0x4000'1000u);
  EXPECT_EQ(start->context, 0x1234'5678'9abcu);
  EXPECT_FALSE(power_.take_start(1)) << "only once";
  EXPECT_EQ(value(0xc4000004, 1, 0), 0) << "on";
  EXPECT_EQ(value(0xc4000003, 1, 0, 0), -4);
  EXPECT_EQ(value(0xc4000003, 0, 0, 0), -4) << "the caller itself";
  EXPECT_EQ(value(0xc4000003, 2, 0, 0), -2) << "nobody there";
  EXPECT_EQ(value(0xc4000003, 1ull << 32, 0, 0), -2);
  power_.set_powered(1, false);
  EXPECT_EQ(value(0xc4000003, 1, 0x4000'2000, 0), 0) << "again";
}

TEST_F(PsciTest, NarrowCallsUseLowerHalves) {
  EXPECT_EQ(value(0x84000003, 0xffffffff'00000100, 0xdead'4000'1000, 0xdead'0000'0007), 0);
  auto start = power_.take_start(2);
  ASSERT_TRUE(start);
  EXPECT_EQ(start->entry, 0x4000'1000u);
  EXPECT_EQ(start->context, 7u);
}

TEST_F(PsciTest, AffinityLevels) {
  EXPECT_EQ(value(0xc4000004, 0x1, 1), 0) << "CPU 0 of the cluster is on";
  EXPECT_EQ(value(0xc4000004, 0x100, 1), 1);
  EXPECT_EQ(value(0xc4000004, 0x200, 1), -2);
  EXPECT_EQ(value(0xc4000004, 0x100, 2), 0);
  EXPECT_EQ(value(0xc4000004, 0, 4), -2);
}

TEST_F(PsciTest, Actions) {
  EXPECT_EQ(call(0x84000002).action, Action::kCpuOff);
  EXPECT_EQ(call(0x84000008).action, Action::kSystemOff);
  EXPECT_EQ(call(0x84000009).action, Action::kSystemReset);
  EXPECT_EQ(call(0xc4000001, 0x10000, 1, 2).action, Action::kStandby);
  EXPECT_EQ(call(0xc4000012, 0).action, Action::kSystemReset);
  EXPECT_EQ(value(0xc4000012, 0x80000000), -2);
}

}  // namespace
}  // namespace adyton::hypervisor::soft
