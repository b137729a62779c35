// Exceptions, system instructions and what they tell the environment.
#include <gtest/gtest.h>

#include "engine/interp/interpreter.h"
#include "engine/interp/testing/step_fixture.h"

namespace adyton::engine::interp::testing {
namespace {

class BranchSystem : public StepFixture {
 protected:
  [[nodiscard]] bool saw(Event::Kind kind, uint64_t address = 0) const {
    for (const Event& event : environment.events) {
      if (event.kind == kind && event.address == address) return true;
    }
    return false;
  }
  void to_el0() {
    cpu.el = 0;
    cpu.sp_sel = 0;
  }
};

using Kind = FlatEnvironment::Event::Kind;

TEST_F(BranchSystem, SvcReturnsToTheNextInstruction) {
  to_el0();
  cpu.set_nzcv(0b1010);
  EXPECT_EQ(run(0xd4024681), Outcome::kException);  // svc #0x1234
  EXPECT_EQ(exception_class(), 0x15u);
  EXPECT_EQ(iss(), 0x1234u);
  EXPECT_EQ(cpu.elr_el[1], kCodeAddress + 4);
  EXPECT_EQ(cpu.pc, kVectors + 0x400);
  EXPECT_EQ(cpu.spsr_el[1] >> 28, 0b1010u);
}

TEST_F(BranchSystem, BrkReturnsToItself) {
  EXPECT_EQ(run(0xd4200840), Outcome::kException);  // brk #0x42
  EXPECT_EQ(exception_class(), 0x3cu);
  EXPECT_EQ(iss(), 0x42u);
  EXPECT_EQ(cpu.elr_el[1], kCodeAddress);
}

TEST_F(BranchSystem, HypercallsLeaveWithThePcPastThem) {
  EXPECT_EQ(run(0xd40000e2), Outcome::kExit);  // hvc #7
  EXPECT_TRUE(saw(Kind::kHypervisorCall, 7));
  EXPECT_EQ(cpu.pc, kCodeAddress + 4);
  EXPECT_EQ(run(0xd4000063), Outcome::kExit);  // smc #3
  EXPECT_TRUE(saw(Kind::kSecureMonitorCall, 3));
  EXPECT_EQ(cpu.pc, kCodeAddress + 4);
}

TEST_F(BranchSystem, El0CannotUsePrivilegedInstructions) {
  to_el0();
  cpu.sctlr_el[1] = 0;
  expect_undefined(0xd40000e2, "hvc");
  expect_undefined(0xd4000063, "smc");
  expect_undefined(0xd69f03e0, "eret");
  expect_undefined(0xd500419f, "msr pan, #1");
  expect_undefined(0xd500417f, "msr uao, #1");
  expect_undefined(0xd50040bf, "msr spsel, #0");
  expect_undefined(0xd538c000, "mrs x0, vbar_el1");
}

TEST_F(BranchSystem, EretRestoresStateAndClearsTheMonitor) {
  cpu.spsr_el[1] = 0x60000000;  // EL0t, Z and C
  cpu.elr_el[1] = kCodeAddress + 0x100;
  cpu.sp_el[0] = 0x1230;
  const uint64_t sp_el1 = cpu.x[31];
  EXPECT_EQ(run(0xd69f03e0), Outcome::kDone);
  EXPECT_EQ(cpu.el, 0);
  EXPECT_EQ(cpu.pc, kCodeAddress + 0x100);
  EXPECT_EQ(cpu.nzcv(), 6u);
  EXPECT_EQ(cpu.x[31], 0x1230u);
  EXPECT_EQ(cpu.sp_el[1], sp_el1);
  EXPECT_TRUE(saw(Kind::kClearExclusive));
  EXPECT_TRUE(saw(Kind::kPstateChanged));
}

TEST_F(BranchSystem, MsrImmediateSetsPstate) {
  EXPECT_EQ(run(0xd5034fdf), Outcome::kDone);  // msr daifset, #15
  EXPECT_EQ(cpu.daif, 0x3c0u);
  EXPECT_TRUE(saw(Kind::kPstateChanged));
  EXPECT_EQ(run(0xd50342ff), Outcome::kDone);  // msr daifclr, #2
  EXPECT_EQ(cpu.daif, 0x340u);
  EXPECT_EQ(run(0xd500419f), Outcome::kDone);  // msr pan, #1
  EXPECT_EQ(cpu.pan, 1);
  EXPECT_EQ(run(0xd500417f), Outcome::kDone);  // msr uao, #1
  EXPECT_EQ(cpu.uao, 1);
  EXPECT_EQ(run(0xd503415f), Outcome::kDone);  // msr dit, #1
  EXPECT_EQ(cpu.dit, 1);
  cpu.sp_el[0] = 0x40;
  const uint64_t sp_el1 = cpu.x[31];
  EXPECT_EQ(run(0xd50040bf), Outcome::kDone);  // msr spsel, #0
  EXPECT_EQ(cpu.x[31], 0x40u);
  EXPECT_EQ(cpu.sp_el[1], sp_el1);
  EXPECT_EQ(cpu.pc, kCodeAddress + 4);
}

TEST_F(BranchSystem, El0ChangesDaifOnlyWithUma) {
  to_el0();
  EXPECT_EQ(run(0xd50342ff), Outcome::kException);  // msr daifclr, #2
  EXPECT_EQ(exception_class(), 0x18u);
  // Op0 = 0, Op2 = 7, Op1 = 3, CRn = 4, Rt = 31, CRm = 2, a write.
  EXPECT_EQ(iss(), 7u << 17 | 3u << 14 | 4u << 10 | 31u << 5 | 2u << 1);
  EXPECT_EQ(cpu.elr_el[1], kCodeAddress);

  to_el0();
  cpu.daif = 0x3c0;
  cpu.sctlr_el[1] |= 1u << 9;
  EXPECT_EQ(run(0xd50342ff), Outcome::kDone);
  EXPECT_EQ(cpu.daif, 0x340u);
}

TEST_F(BranchSystem, WaitsLeaveWithThePcPastThem) {
  EXPECT_EQ(run(0xd503207f), Outcome::kExit);  // wfi
  EXPECT_TRUE(saw(Kind::kWaitForInterrupt));
  EXPECT_EQ(cpu.pc, kCodeAddress + 4);
  EXPECT_EQ(run(0xd503205f), Outcome::kExit);  // wfe
  EXPECT_TRUE(saw(Kind::kWaitForEvent));
  EXPECT_EQ(run(0xd503209f), Outcome::kDone);  // sev
  EXPECT_TRUE(saw(Kind::kSendEvent));
  EXPECT_EQ(run(0xd503203f), Outcome::kDone);  // yield
  EXPECT_TRUE(saw(Kind::kYield));
}

TEST_F(BranchSystem, WaitsOfEl0TrapUnlessAllowed) {
  to_el0();
  EXPECT_EQ(run(0xd503207f), Outcome::kException);  // wfi
  EXPECT_EQ(exception_class(), 0x01u);
  EXPECT_EQ(iss(), 0x1e00000u);
  EXPECT_EQ(cpu.elr_el[1], kCodeAddress);
  to_el0();
  EXPECT_EQ(run(0xd503205f), Outcome::kException);  // wfe
  EXPECT_EQ(iss(), 0x1e00001u);
  to_el0();
  cpu.sctlr_el[1] |= 1u << 16 | 1u << 18;
  EXPECT_EQ(run(0xd503207f), Outcome::kExit);
  EXPECT_EQ(run(0xd503205f), Outcome::kExit);
}

TEST_F(BranchSystem, BarriersTellWhetherStoresComeBeforeLoads) {
  static constexpr std::pair<uint32_t, uint64_t> kBarriers[] = {
      {0xd5033bbf, 1},  // dmb ish
      {0xd50339bf, 0},  // dmb ishld
      {0xd5033abf, 0},  // dmb ishst
      {0xd50330bf, 1},  // dmb with a reserved option: full
      {0xd5033f9f, 1},  // dsb sy
      {0xd5033a9f, 1},  // dsb ishst
  };
  for (const auto& [word, full] : kBarriers) {
    EXPECT_EQ(run(word), Outcome::kDone);
    EXPECT_TRUE(saw(Kind::kMemoryBarrier, full)) << std::hex << word;
  }
  EXPECT_EQ(run(0xd5033fdf), Outcome::kDone);  // isb
  EXPECT_TRUE(saw(Kind::kInstructionBarrier));
  EXPECT_EQ(run(0xd5033f5f), Outcome::kDone);  // clrex
  EXPECT_TRUE(saw(Kind::kClearExclusive));
  EXPECT_EQ(run(0xd50330ff), Outcome::kDone);  // sb
}

TEST_F(BranchSystem, MovesSystemRegisters) {
  cpu.x[0] = 0x123456789abcdef0;
  EXPECT_EQ(run(0xd51bd040), Outcome::kDone);  // msr tpidr_el0, x0
  cpu.x[0] = 0;
  EXPECT_EQ(run(0xd53bd040), Outcome::kDone);  // mrs x0, tpidr_el0
  EXPECT_EQ(cpu.x[0], 0x123456789abcdef0u);
  EXPECT_EQ(cpu.pc, kCodeAddress + 4);
  cpu.x[0] = 0x1000000;
  EXPECT_EQ(run(0xd51b4400), Outcome::kDone);  // msr fpcr, x0
  EXPECT_TRUE(saw(Kind::kFpControlChanged));
  EXPECT_EQ(cpu.fpcr, 0x1000000u);
  expect_undefined(0xd53bff00, "mrs of a register that does not exist");
}

TEST_F(BranchSystem, FpRegistersTrapWhenDisabled) {
  cpu.cpacr_el1 = 1u << 20;  // EL0 only
  to_el0();
  for (const uint32_t word :
       {0x1e612800u /* fadd d0, d0, d1 */, 0x3dc00020u /* ldr q0, [x1] */, 0xd53b4400u /* mrs x0, fpcr */,
        0xd51b4420u /* msr fpsr, x0 */, 0x4cdf0020u /* ld4 */, 0xad000420u /* stp q0, q1 */, 0x1c000040u /* ldr s0, literal */}) {
    to_el0();
    EXPECT_EQ(run(word), Outcome::kException) << std::hex << word;
    EXPECT_EQ(exception_class(), 0x07u) << std::hex << word;
    EXPECT_EQ(iss(), 0x1e00000u);
    EXPECT_EQ(cpu.elr_el[1], kCodeAddress);
  }
  // UNDEFINED has priority.
  to_el0();
  expect_undefined(0x0c001000, "structures, opcode 1");
  expect_undefined(0x1e202008 | 0x1f, "fcmp with a reserved opcode2");
}

TEST_F(BranchSystem, ZeroesABlock) {
  cpu.x[1] = kDataAddress + 70;
  EXPECT_EQ(run(0xd50b7421), Outcome::kDone);  // dc zva, x1
  EXPECT_NE(byte(kDataAddress + 63), 0);
  for (unsigned i = 64; i < 128; i++) EXPECT_EQ(byte(kDataAddress + i), 0);
  EXPECT_NE(byte(kDataAddress + 128), 0);
}

TEST_F(BranchSystem, IndirectBranchesDropTheTag) {
  cpu.tcr_el[1] = 1ull << 37;  // TBI0
  cpu.x[1] = 0xab00'0000'0000'0000 | (kCodeAddress + 0x40);
  EXPECT_EQ(run(0xd61f0020), Outcome::kDone);  // br x1
  EXPECT_EQ(cpu.pc, kCodeAddress + 0x40);
  cpu.tcr_el[1] = 0;
  EXPECT_EQ(run(0xd61f0020), Outcome::kDone);
  EXPECT_EQ(cpu.pc, cpu.x[1]);
}

TEST_F(BranchSystem, BlrX30BranchesToTheOldValue) {
  cpu.x[30] = kCodeAddress + 0x80;
  EXPECT_EQ(run(0xd63f03c0), Outcome::kDone);
  EXPECT_EQ(cpu.pc, kCodeAddress + 0x80);
  EXPECT_EQ(cpu.x[30], kCodeAddress + 4);
}

}  // namespace
}  // namespace adyton::engine::interp::testing
