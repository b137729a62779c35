#include "engine/arm64/system_instruction.h"

#include <gtest/gtest.h>

#include <map>

#include "engine/arm64/exception.h"
#include "engine/arm64/testing/translation_tables.h"

namespace adyton::engine::arm64 {
namespace {

using namespace testing;
using enum SystemInstruction;

constexpr uint16_t sys(unsigned op1, unsigned crn, unsigned crm, unsigned op2) { return sysreg_encoding(1, op1, crn, crm, op2); }

TEST(SystemInstructionTest, DecodesExactlyTheProfilesInstructions) {
  std::map<uint16_t, SystemInstruction> expected = {
      {sys(0, 7, 1, 0), kIcIalluis}, {sys(0, 7, 5, 0), kIcIallu}, {sys(3, 7, 5, 1), kIcIvau},
      {sys(0, 7, 6, 1), kDcIvac},    {sys(0, 7, 6, 2), kDcIsw},   {sys(0, 7, 10, 2), kDcCsw}, {sys(0, 7, 14, 2), kDcCisw},
      {sys(3, 7, 4, 1), kDcZva},     {sys(3, 7, 10, 1), kDcCvac}, {sys(3, 7, 11, 1), kDcCvau}, {sys(3, 7, 12, 1), kDcCvap},
      {sys(3, 7, 14, 1), kDcCivac},  {sys(0, 7, 8, 0), kAtS1e1r}, {sys(0, 7, 8, 1), kAtS1e1w}, {sys(0, 7, 8, 2), kAtS1e0r},
      {sys(0, 7, 8, 3), kAtS1e0w},   {sys(0, 7, 9, 0), kAtS1e1rp}, {sys(0, 7, 9, 1), kAtS1e1wp},
  };
  for (const unsigned crm : {1u, 3u, 7u}) {
    for (const unsigned op2 : {0u, 1u, 2u, 3u, 5u, 7u}) expected[sys(0, 8, crm, op2)] = kTlbi;
  }
  for (const unsigned crm : {2u, 5u, 6u}) {
    for (const unsigned op2 : {1u, 3u, 5u, 7u}) expected[sys(0, 8, crm, op2)] = kTlbi;
  }
  for (unsigned encoding = 0; encoding <= 0xffff; ++encoding) {
    const auto e = static_cast<uint16_t>(encoding);
    const auto found = expected.find(e);
    EXPECT_EQ(decode_system_instruction(e), found == expected.end() ? kUndefined : found->second) << sysreg_name(e);
  }
}

TEST(SystemInstructionTest, UserNeedsTheKernelsConsent) {
  CpuState cpu{};
  reset(cpu, 0);
  for (const SystemInstruction i : {kDcZva, kDcIvac, kDcCisw, kDcCvac, kIcIallu, kIcIvau, kAtS1e0r, kTlbi}) {
    EXPECT_EQ(check_system_instruction(cpu, i), SysRegResult::kDone);
  }
  EXPECT_EQ(check_system_instruction(cpu, kUndefined), SysRegResult::kUndefined);
  select_stack(cpu, 0, 0);
  for (const SystemInstruction i : {kDcIvac, kDcIsw, kDcCsw, kDcCisw, kIcIallu, kIcIalluis, kAtS1e1r, kAtS1e0r, kTlbi}) {
    EXPECT_EQ(check_system_instruction(cpu, i), SysRegResult::kUndefined);
  }
  for (const SystemInstruction i : {kDcCvac, kDcCvau, kDcCvap, kDcCivac, kIcIvau}) {
    cpu.sctlr_el[1] &= ~(1ull << 26);
    EXPECT_EQ(check_system_instruction(cpu, i), SysRegResult::kTrapped);
    cpu.sctlr_el[1] |= 1ull << 26;
    EXPECT_EQ(check_system_instruction(cpu, i), SysRegResult::kDone);
  }
  EXPECT_EQ(check_system_instruction(cpu, kDcZva), SysRegResult::kTrapped);
  cpu.sctlr_el[1] |= 1ull << 14;
  EXPECT_EQ(check_system_instruction(cpu, kDcZva), SysRegResult::kDone);
}

TEST(SystemInstructionTest, WaitingAtEl0Traps) {
  CpuState cpu{};
  reset(cpu, 0);
  EXPECT_FALSE(wfx_traps(cpu, false));
  select_stack(cpu, 0, 0);
  EXPECT_TRUE(wfx_traps(cpu, false));
  EXPECT_TRUE(wfx_traps(cpu, true));
  cpu.sctlr_el[1] |= 1ull << 16;
  EXPECT_FALSE(wfx_traps(cpu, false));
  EXPECT_TRUE(wfx_traps(cpu, true));
  cpu.sctlr_el[1] |= 1ull << 18;
  EXPECT_FALSE(wfx_traps(cpu, true));
  EXPECT_EQ(wfx_trap_iss(true), 0x1e00001u);
}

TEST(SystemInstructionTest, MaintenanceAsksForTheRightAccess) {
  AccessKind kind = AccessKind::kExecute;
  EXPECT_TRUE(maintenance_access(kDcZva, kind));
  EXPECT_EQ(kind, AccessKind::kWrite);
  EXPECT_TRUE(maintenance_access(kDcIvac, kind));
  EXPECT_EQ(kind, AccessKind::kWrite);
  EXPECT_TRUE(maintenance_access(kDcCvac, kind));
  EXPECT_EQ(kind, AccessKind::kCacheMaintenance);
  EXPECT_FALSE(maintenance_access(kDcCisw, kind));
  EXPECT_FALSE(maintenance_access(kIcIallu, kind));
  EXPECT_FALSE(maintenance_access(kTlbi, kind));
  EXPECT_EQ(maintenance_abort_iss(kDcCvac, {FaultType::kTranslation, 2}), 0x146u);
  EXPECT_EQ(maintenance_abort_iss(kDcZva, {FaultType::kTranslation, 2}), 0x46u);
  CpuState cpu{};
  reset(cpu, 0);
  cpu.pan = 1;
  EXPECT_TRUE(maintenance_context(cpu, kDcZva).pan);
  EXPECT_FALSE(maintenance_context(cpu, kDcCvac).pan);
}

class AddressTranslateTest : public ::testing::Test {
 protected:
  void SetUp() override {
    reset(cpu, 0);
    cpu.sctlr_el[1] |= 1;
    cpu.tcr_el[1] = tcr_for(g);
    cpu.mair_el[1] = 0x0400ff;  // 0: Normal write-back, 1: Device-nGnRnE, 2: Device-nGnRE
    cpu.ttbr0_el[1] = root = tables.new_table();
  }
  uint64_t par(SystemInstruction instruction, uint64_t va) {
    Fault fault;
    EXPECT_FALSE(address_translate(cpu, tables.memory, instruction, va, fault));
    return cpu.par_el1;
  }
  CpuState cpu{};
  TranslationTables tables;
  Geometry g{12, 48};
  uint64_t root = 0;
};

TEST_F(AddressTranslateTest, ReportsAddressAndAttributes) {
  tables.map(g, root, 0x1000, 0x123456789000, 3, kAf | (3ull << 8));
  EXPECT_EQ(par(kAtS1e1r, 0x1abc), (0xffull << 56) | 0x123456789000 | (1ull << 11) | (3ull << 7));
  tables.map(g, root, 0x2000, 0x09000000, 3, kAf | attr_index(2));
  EXPECT_EQ(par(kAtS1e1w, 0x2000), (0x04ull << 56) | 0x09000000 | (1ull << 11) | (2ull << 7));
}

TEST_F(AddressTranslateTest, ReportsFaults) {
  EXPECT_EQ(par(kAtS1e1r, 0x1000), (1ull << 11) | (0x04ull << 1) | 1);  // level 0
  tables.map(g, root, 0x1000, 0x40000000, 3, kAf | kReadOnly);
  EXPECT_EQ(par(kAtS1e1r, 0x1000) & 1, 0u);
  EXPECT_EQ(par(kAtS1e1w, 0x1000), (1ull << 11) | (0x0full << 1) | 1);
  EXPECT_EQ(par(kAtS1e0r, 0x1000), (1ull << 11) | (0x0full << 1) | 1);
}

TEST_F(AddressTranslateTest, PanOnlyInThePanForms) {
  tables.map(g, root, 0x1000, 0x40000000, 3, kAf | kUser);
  cpu.pan = 1;
  EXPECT_EQ(par(kAtS1e1r, 0x1000) & 1, 0u);
  EXPECT_EQ(par(kAtS1e1w, 0x1000) & 1, 0u);
  EXPECT_EQ(par(kAtS1e1rp, 0x1000) & 1, 1u);
  EXPECT_EQ(par(kAtS1e1wp, 0x1000) & 1, 1u);
  cpu.pan = 0;
  EXPECT_EQ(par(kAtS1e1wp, 0x1000) & 1, 0u);
}

TEST_F(AddressTranslateTest, LeavesTheTablesAlone) {
  cpu.tcr_el[1] |= 3ull << 39;  // HA, HD
  const uint64_t entry = tables.map(g, root, 0x1000, 0x40000000, 3, kReadOnly | kDbm);
  const uint64_t before = tables.load(entry);
  EXPECT_EQ(par(kAtS1e1w, 0x1000) & 1, 0u);
  EXPECT_EQ(tables.load(entry), before);
}

TEST_F(AddressTranslateTest, ExternalAbortIsTakenInstead) {
  cpu.ttbr0_el[1] = 0x1000;
  cpu.par_el1 = 0x77;
  Fault fault;
  EXPECT_TRUE(address_translate(cpu, tables.memory, kAtS1e1r, 0x1000, fault));
  EXPECT_EQ(fault.type, FaultType::kSyncExternalOnWalk);
  EXPECT_EQ(cpu.par_el1, 0x77u);
}

}  // namespace
}  // namespace adyton::engine::arm64
