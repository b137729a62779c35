#include "engine/arm64/debug.h"

#include <gtest/gtest.h>

#include "engine/arm64/exception.h"
#include "engine/arm64/sysreg.h"

namespace adyton::engine::arm64 {
namespace {

constexpr uint64_t kEnable = 1, kAtEl1 = 1ull << 1, kAtEl0 = 2ull << 1, kAllBytes = 0xfull << 5;
constexpr uint64_t kLoad = 1ull << 3, kStore = 2ull << 3;
constexpr uint64_t bas(uint64_t bytes) { return bytes << 5; }

class DebugTest : public ::testing::Test {
 protected:
  void SetUp() override {
    reset(cpu, 0);
    cpu.oslsr_el1 = 8;  // unlocked
    cpu.mdscr_el1 = kMdscrMde;
  }
  void at_el0() { select_stack(cpu, 0, 0); }
  void enable_in_kernel() {
    cpu.mdscr_el1 |= kMdscrKde;
    cpu.daif &= ~kDaifD;
  }
  CpuState cpu{};
};

TEST_F(DebugTest, KernelDebugNeedsKdeAndUnmaskedD) {
  EXPECT_FALSE(debug_exceptions_enabled(cpu));
  cpu.mdscr_el1 |= kMdscrKde;
  EXPECT_FALSE(debug_exceptions_enabled(cpu));
  cpu.daif &= ~kDaifD;
  EXPECT_TRUE(debug_exceptions_enabled(cpu));
  at_el0();
  cpu.mdscr_el1 = 0;
  cpu.daif |= kDaifD;
  EXPECT_TRUE(debug_exceptions_enabled(cpu));  // neither matters at EL0
  cpu.oslsr_el1 |= kOslsrLocked;
  EXPECT_FALSE(debug_exceptions_enabled(cpu));
  cpu.oslsr_el1 &= ~kOslsrLocked;
  cpu.osdlr_el1 = 1;
  EXPECT_FALSE(debug_exceptions_enabled(cpu));
  cpu.dbgprcr_el1 = 1;  // the core must not power down: no double lock
  EXPECT_TRUE(debug_exceptions_enabled(cpu));
}

TEST_F(DebugTest, SteppingOneUserInstruction) {
  // The kernel arms a step and returns to EL0 (Arm ARM D2.12.4).
  cpu.mdscr_el1 = kMdscrSs;
  EXPECT_EQ(step_state(cpu), StepState::kInactive);
  cpu.spsr_el[1] = 1u << 21;
  cpu.elr_el[1] = 0x1000;
  exception_return(cpu);
  EXPECT_EQ(cpu.ss, 1);
  EXPECT_EQ(step_state(cpu), StepState::kActiveNotPending);
  step_completed(cpu);
  EXPECT_EQ(step_state(cpu), StepState::kActivePending);
  take_sync_exception(cpu, ExceptionClass::kStepLower, step_exception_iss(true, false), 0x1004);
  EXPECT_EQ(cpu.esr_el[1], (0x32ull << 26) | (1ull << 25) | (1ull << 24) | 0x22);
  EXPECT_EQ(step_state(cpu), StepState::kInactive);
  EXPECT_EQ(cpu.spsr_el[1] & (1u << 21), 0u);
  // Returning with SPSR.SS = 0 makes the exception pending at once.
  exception_return(cpu);
  EXPECT_EQ(step_state(cpu), StepState::kActivePending);
}

TEST_F(DebugTest, FaultingInstructionKeepsItsStep) {
  cpu.mdscr_el1 = kMdscrSs;
  cpu.spsr_el[1] = 1u << 21;
  exception_return(cpu);
  take_sync_exception(cpu, ExceptionClass::kDataAbortLower, 7, 0x1000, 0);
  EXPECT_NE(cpu.spsr_el[1] & (1u << 21), 0u);
  exception_return(cpu);
  EXPECT_EQ(step_state(cpu), StepState::kActiveNotPending);
}

TEST_F(DebugTest, SteppingTheKernelEndsWhenDebugWasEnabledAlready) {
  cpu.mdscr_el1 = kMdscrSs | kMdscrKde;
  cpu.spsr_el[1] = (1u << 21) | 5;
  exception_return(cpu);  // D masked before, clear after
  EXPECT_EQ(step_state(cpu), StepState::kActiveNotPending);
  step_completed(cpu);
  exception_return(cpu);  // enabled at the source: the step is over, its exception due
  EXPECT_EQ(cpu.ss, 0);
  EXPECT_EQ(step_state(cpu), StepState::kActivePending);
}

TEST_F(DebugTest, BreakpointMatchesAddressAndPrivilege) {
  cpu.dbgbvr[2] = 0x400100;
  cpu.dbgbcr[2] = kEnable | kAtEl0 | kAllBytes;
  at_el0();
  EXPECT_TRUE(breakpoints_armed(cpu));
  EXPECT_TRUE(breakpoint_matches(cpu, 0x400100));
  EXPECT_FALSE(breakpoint_matches(cpu, 0x400104));
  cpu.dbgbcr[2] = kEnable | kAtEl1 | kAllBytes;
  EXPECT_FALSE(breakpoint_matches(cpu, 0x400100));
  cpu.dbgbcr[2] = kAtEl0 | kAllBytes;
  EXPECT_FALSE(breakpoints_armed(cpu));
  cpu.dbgbcr[2] = kEnable | kAtEl0 | kAllBytes;
  cpu.mdscr_el1 = 0;  // MDE
  EXPECT_FALSE(breakpoint_matches(cpu, 0x400100));
}

TEST_F(DebugTest, KernelBreakpointIsSignExtended) {
  enable_in_kernel();
  cpu.dbgbvr[0] = 0x0001800008000000;  // bit 48 is the sign
  cpu.dbgbcr[0] = kEnable | kAtEl1 | kAllBytes;
  EXPECT_TRUE(breakpoint_matches(cpu, 0xffff800008000000));
  at_el0();
  EXPECT_FALSE(breakpoint_matches(cpu, 0xffff800008000000));
}

TEST_F(DebugTest, LinkedBreakpointAsksForTheContext) {
  at_el0();
  cpu.contextidr_el[1] = 42;
  cpu.dbgbvr[0] = 0x1000;
  cpu.dbgbcr[0] = kEnable | kAtEl0 | kAllBytes | (1ull << 20) | (5ull << 16);
  EXPECT_FALSE(breakpoint_matches(cpu, 0x1000));
  cpu.dbgbvr[5] = 42;
  cpu.dbgbcr[5] = kEnable | kAtEl0 | kAllBytes | (3ull << 20);
  EXPECT_TRUE(breakpoint_matches(cpu, 0x1000));
  EXPECT_FALSE(breakpoint_matches(cpu, 0x2000));  // the linked one hits nothing by itself
  cpu.contextidr_el[1] = 43;
  EXPECT_FALSE(breakpoint_matches(cpu, 0x1000));
  // Breakpoint 1 is not context-aware.
  cpu.dbgbcr[0] = kEnable | kAtEl0 | kAllBytes | (1ull << 20) | (1ull << 16);
  cpu.dbgbvr[1] = 43;
  cpu.dbgbcr[1] = kEnable | kAtEl0 | kAllBytes | (3ull << 20);
  EXPECT_FALSE(breakpoint_matches(cpu, 0x1000));
}

TEST_F(DebugTest, WatchpointMatchesBytesAndDirection) {
  at_el0();
  cpu.dbgwvr[1] = 0x1000;
  cpu.dbgwcr[1] = kEnable | kAtEl0 | kStore | bas(0b00110000);
  const auto hit = [&](uint64_t va, uint64_t size, bool write, unsigned el = 0) {
    return watchpoint_matches(cpu, {.va = va, .size = size, .read = !write, .write = write, .el = el});
  };
  EXPECT_TRUE(hit(0x1004, 1, true).hit);
  EXPECT_TRUE(hit(0x1005, 1, true).hit);
  EXPECT_FALSE(hit(0x1006, 1, true).hit);
  EXPECT_FALSE(hit(0x1000, 4, true).hit);
  EXPECT_TRUE(hit(0x1000, 8, true).hit);
  EXPECT_EQ(hit(0x1000, 8, true).far, 0x1004u);
  EXPECT_TRUE(hit(0x0ffc, 16, true).hit);
  EXPECT_FALSE(hit(0x1004, 4, false).hit);
  EXPECT_FALSE(hit(0x1004, 4, true, 1).hit);
  cpu.dbgwcr[1] = kEnable | kAtEl0 | kLoad | kStore | bas(0x0f);
  EXPECT_TRUE(hit(0x1003, 1, false).hit);
  EXPECT_FALSE(hit(0x1004, 1, false).hit);
  cpu.dbgwvr[1] = 0x1004;  // word-aligned: four bytes of BAS count
  EXPECT_TRUE(hit(0x1004, 1, false).hit);
  EXPECT_FALSE(hit(0x1008, 1, false).hit);
}

TEST_F(DebugTest, WatchpointWatchesMaskedRanges) {
  enable_in_kernel();
  cpu.dbgwvr[3] = 0x0001ffff80001000;
  cpu.dbgwcr[3] = kEnable | kAtEl1 | kLoad | kStore | bas(0xff) | (12ull << 24);
  const auto hit = [&](uint64_t va, uint64_t size) { return watchpoint_matches(cpu, {.va = va, .size = size, .read = true}); };
  EXPECT_TRUE(hit(0xffffffff80001000, 1).hit);
  EXPECT_TRUE(hit(0xffffffff80001fff, 8).hit);
  EXPECT_FALSE(hit(0xffffffff80002000, 8).hit);
  EXPECT_FALSE(hit(0xffffffff80000ff8, 8).hit);
  EXPECT_EQ(hit(0xffffffff80000ffc, 8).far, 0xffffffff80001000u);
}

TEST_F(DebugTest, Syndromes) {
  EXPECT_EQ(watchpoint_iss(false, false), 0x22u);
  EXPECT_EQ(watchpoint_iss(true, false), 0x62u);
  EXPECT_EQ(watchpoint_iss(false, true), 0x162u);
  EXPECT_EQ(step_exception_iss(false, false), 0x22u);
  EXPECT_EQ(step_exception_iss(true, true), 0x1000062u);
}

}  // namespace
}  // namespace adyton::engine::arm64
