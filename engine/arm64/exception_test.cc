#include "engine/arm64/exception.h"

#include <gtest/gtest.h>

#include <random>

#include "engine/arm64/debug.h"
#include "engine/arm64/sysreg.h"

namespace adyton::engine::arm64 {
namespace {

constexpr uint32_t kAllMasked = kDaifD | kDaifA | kDaifI | kDaifF;

class ExceptionTest : public testing::Test {
 protected:
  void SetUp() override {
    reset(cpu, 0);
    cpu.vbar_el[1] = 0xffff800008010800;
    cpu.x[31] = 0x1111;     // SP_EL1, current
    cpu.sp_el[0] = 0x2222;
  }
  void go_to_user() {
    cpu.spsr_el[1] = 0;
    cpu.elr_el[1] = 0x400000;
    exception_return(cpu);
  }
  CpuState cpu{};
};

TEST_F(ExceptionTest, SpsrHasEachFieldInItsPlace) {
  struct Case {
    void (*set)(CpuState&);
    uint32_t bits;
  };
  const Case cases[] = {
      {[](CpuState& c) { c.set_nzcv(8); }, 1u << 31}, {[](CpuState& c) { c.set_nzcv(4); }, 1u << 30},
      {[](CpuState& c) { c.set_nzcv(2); }, 1u << 29}, {[](CpuState& c) { c.set_nzcv(1); }, 1u << 28},
      {[](CpuState& c) { c.dit = 1; }, 1u << 24},     {[](CpuState& c) { c.uao = 1; }, 1u << 23},
      {[](CpuState& c) { c.pan = 1; }, 1u << 22},     {[](CpuState& c) { c.ss = 1; }, 1u << 21},
      {[](CpuState& c) { c.il = 1; }, 1u << 20},      {[](CpuState& c) { c.daif = kDaifD; }, 1u << 9},
      {[](CpuState& c) { c.daif = kDaifA; }, 1u << 8}, {[](CpuState& c) { c.daif = kDaifI; }, 1u << 7},
      {[](CpuState& c) { c.daif = kDaifF; }, 1u << 6}, {[](CpuState& c) { select_stack(c, 1, 1); }, 5},
      {[](CpuState& c) { select_stack(c, 1, 0); }, 4},
  };
  for (const Case& c : cases) {
    CpuState state{};
    state.set_nzcv(0);
    c.set(state);
    EXPECT_EQ(spsr_from_pstate(state), c.bits);
  }
}

TEST_F(ExceptionTest, PstateSurvivesTheRoundTrip) {
  const unsigned seed = std::random_device{}();
  SCOPED_TRACE(testing::Message() << "seed " << seed);
  std::mt19937 random(seed);
  constexpr uint32_t kStored = 0xf1d003c0;  // NZCV, DIT, UAO, PAN, IL, DAIF; SS depends on MDSCR_EL1
  constexpr uint32_t kModes[] = {0b0000, 0b0100, 0b0101};
  for (int i = 0; i < 1000; ++i) {
    reset(cpu, 0);
    const uint32_t spsr = (static_cast<uint32_t>(random()) & kStored) | kModes[random() % 3];
    pstate_from_spsr(cpu, spsr);
    EXPECT_EQ(spsr_from_pstate(cpu), spsr);
  }
}

TEST_F(ExceptionTest, EachLevelKeepsItsStackPointer) {
  select_stack(cpu, 1, 0);
  EXPECT_EQ(cpu.sp(), 0x2222u);
  cpu.x[31] = 0x3333;
  select_stack(cpu, 1, 1);
  EXPECT_EQ(cpu.sp(), 0x1111u);
  select_stack(cpu, 0, 0);
  EXPECT_EQ(cpu.sp(), 0x3333u);
  select_stack(cpu, 0, 0);
  EXPECT_EQ(cpu.sp(), 0x3333u);
}

TEST_F(ExceptionTest, SupervisorCallFromUserAndBack) {
  go_to_user();
  ASSERT_EQ(cpu.el, 0);
  ASSERT_EQ(cpu.pc, 0x400000u);
  ASSERT_EQ(cpu.sp(), 0x2222u);
  cpu.set_nzcv(0b1010);
  cpu.pan = 0;
  cpu.uao = 1;
  cpu.dit = 1;
  cpu.sctlr_el[1] &= ~(1ull << 23);  // SPAN = 0: entry sets PAN

  take_sync_exception(cpu, ExceptionClass::kSvc64, 0x1234, 0x400004);
  EXPECT_EQ(cpu.pc, 0xffff800008010c00u);  // lower EL, AArch64
  EXPECT_EQ(cpu.el, 1);
  EXPECT_EQ(cpu.sp_sel, 1);
  EXPECT_EQ(cpu.sp(), 0x1111u);
  EXPECT_EQ(cpu.daif, kAllMasked);
  EXPECT_EQ(cpu.pan, 1);
  EXPECT_EQ(cpu.uao, 0);
  EXPECT_EQ(cpu.dit, 1);
  EXPECT_EQ(cpu.esr_el[1], (0x15ull << 26) | (1ull << 25) | 0x1234);
  EXPECT_EQ(cpu.elr_el[1], 0x400004u);
  EXPECT_EQ(cpu.spsr_el[1], 0xa1800000u);

  exception_return(cpu);
  EXPECT_EQ(cpu.el, 0);
  EXPECT_EQ(cpu.pc, 0x400004u);
  EXPECT_EQ(cpu.sp(), 0x2222u);
  EXPECT_EQ(cpu.nzcv(), 0b1010u);
  EXPECT_EQ(cpu.pan, 0);
  EXPECT_EQ(cpu.uao, 1);
  EXPECT_EQ(cpu.daif, 0u);
}

TEST_F(ExceptionTest, SpanKeepsPan) {
  cpu.sctlr_el[1] |= 1ull << 23;
  take_sync_exception(cpu, ExceptionClass::kBrk, 0, 0);
  EXPECT_EQ(cpu.pan, 0);
}

TEST_F(ExceptionTest, VectorsFollowSourceAndKind) {
  constexpr uint64_t kBase = 0xffff800008010800;
  struct Source {
    unsigned el, sp_sel;
    uint64_t offset;
  };
  for (const Source source : {Source{1, 0, 0x000}, Source{1, 1, 0x200}, Source{0, 0, 0x400}}) {
    const auto enter = [&](auto take) {
      reset(cpu, 0);
      cpu.vbar_el[1] = kBase | 0x7ff;  // RES0 bits take no part
      select_stack(cpu, source.el, source.sp_sel);
      take(cpu);
      return cpu.pc - kBase - source.offset;
    };
    EXPECT_EQ(enter([](CpuState& c) { take_sync_exception(c, ExceptionClass::kUnknown, 0, 0); }), 0x000u);
    EXPECT_EQ(enter([](CpuState& c) { take_interrupt(c, Interrupt::kIrq, 0); }), 0x080u);
    EXPECT_EQ(enter([](CpuState& c) { take_interrupt(c, Interrupt::kFiq, 0); }), 0x100u);
    EXPECT_EQ(enter([](CpuState& c) { take_interrupt(c, Interrupt::kSError, 0); }), 0x180u);
  }
}

TEST_F(ExceptionTest, AbortsChooseLowerOrSameByTheSource) {
  cpu.esr_el[1] = 0;
  take_sync_exception(cpu, ExceptionClass::kDataAbortLower, 0x46, 0x1000, 0xdead);
  EXPECT_EQ(cpu.esr_el[1] >> 26, 0x25u);
  EXPECT_EQ(cpu.far_el[1], 0xdeadu);
  go_to_user();
  take_sync_exception(cpu, ExceptionClass::kDataAbortLower, 0x46, 0x1000, 0xbeef);
  EXPECT_EQ(cpu.esr_el[1] >> 26, 0x24u);
  EXPECT_EQ(cpu.far_el[1], 0xbeefu);
  // SVC has one class and no FAR.
  take_sync_exception(cpu, ExceptionClass::kSvc64, 0, 0x1000);
  EXPECT_EQ(cpu.esr_el[1] >> 26, 0x15u);
  EXPECT_EQ(cpu.far_el[1], 0xbeefu);
}

TEST_F(ExceptionTest, InterruptsLeaveTheSyndromeAlone) {
  cpu.esr_el[1] = 0x77;
  take_interrupt(cpu, Interrupt::kIrq, 0x5000);
  EXPECT_EQ(cpu.esr_el[1], 0x77u);
  EXPECT_EQ(cpu.elr_el[1], 0x5000u);
  take_interrupt(cpu, Interrupt::kSError, 0x5000);
  EXPECT_EQ(cpu.esr_el[1], (0x2full << 26) | (1ull << 25));
}

TEST_F(ExceptionTest, IllegalReturnsSetIlAndStay) {
  // AArch32, EL2, EL3, EL1 with M[1], EL0 with SPx.
  for (const uint32_t mode : {0b10000u, 0b01000u, 0b01001u, 0b01100u, 0b00110u, 0b00010u, 0b00001u}) {
    reset(cpu, 0);
    cpu.x[31] = 0x1111;
    cpu.spsr_el[1] = mode | (0b0110u << 28) | kDaifI | (1u << 22);
    cpu.elr_el[1] = 0x8000;
    exception_return(cpu);
    EXPECT_EQ(cpu.il, 1) << mode;
    EXPECT_EQ(cpu.el, 1) << mode;
    EXPECT_EQ(cpu.sp_sel, 1) << mode;
    EXPECT_EQ(cpu.sp(), 0x1111u) << mode;
    EXPECT_EQ(cpu.pc, 0x8000u) << mode;
    // These are restored by an illegal return, too.
    EXPECT_EQ(cpu.nzcv(), 0b0110u) << mode;
    EXPECT_EQ(cpu.daif, kDaifI) << mode;
    EXPECT_EQ(cpu.pan, 1) << mode;
  }
}

TEST_F(ExceptionTest, ExceptionEntryClearsIlAndSs) {
  cpu.il = 1;
  cpu.ss = 1;
  take_sync_exception(cpu, ExceptionClass::kIllegalState, 0, 0x8000);
  EXPECT_EQ(cpu.il, 0);
  EXPECT_EQ(cpu.ss, 0);
  EXPECT_EQ(cpu.spsr_el[1] & (3u << 20), 3u << 20);
}

TEST_F(ExceptionTest, ReturnAddressLosesItsTagWhenTheTopByteIsIgnored) {
  cpu.elr_el[1] = 0x5500000000400000;
  cpu.spsr_el[1] = 0;
  CpuState without = cpu;
  exception_return(without);
  EXPECT_EQ(without.pc, 0x5500000000400000u);
  cpu.tcr_el[1] = 1ull << 37;
  exception_return(cpu);
  EXPECT_EQ(cpu.pc, 0x400000u);
}

TEST_F(ExceptionTest, FpEnableFollowsFpen) {
  const bool expected[4][2] = {{false, false}, {false, true}, {false, false}, {true, true}};
  for (unsigned fpen = 0; fpen < 4; ++fpen) {
    cpu.cpacr_el1 = static_cast<uint64_t>(fpen) << 20;
    for (unsigned el = 0; el < 2; ++el) {
      cpu.el = static_cast<uint8_t>(el);
      EXPECT_EQ(fp_enabled(cpu), expected[fpen][el]) << fpen << " EL" << el;
    }
  }
}

}  // namespace
}  // namespace adyton::engine::arm64
