// What a walk allows: access permissions, execution, PAN, and hardware management of the access flag and dirty state.
#include <gtest/gtest.h>

#include <atomic>
#include <string>
#include <thread>

#include "engine/arm64/mmu.h"
#include "engine/arm64/sysreg.h"
#include "engine/arm64/testing/translation_tables.h"

namespace adyton::engine::arm64 {
namespace {

using namespace testing;

constexpr uint64_t kVa = 0x1000, kPa = 0x40100000;
constexpr uint64_t kHa = 1ull << 39, kHd = 1ull << 40, kHpd0 = 1ull << 41;
constexpr uint64_t kWxn = 1ull << 19;
constexpr AccessContext kUserContext{.el = 0}, kKernel{.el = 1}, kKernelPan{.el = 1, .pan = true};

class MmuPermissionTest : public ::testing::Test {
 protected:
  void SetUp() override {
    reset(cpu, 0);
    cpu.sctlr_el[1] |= 1;
    cpu.tcr_el[1] = tcr_for(g);
    cpu.ttbr0_el[1] = root = tables.new_table();
  }
  uint64_t map(uint64_t attributes) { return tables.map(g, root, kVa, kPa, 3, attributes); }
  Translation walk(AccessKind kind, AccessContext context) { return translate(cpu, tables.memory, kVa, kind, context); }
  bool allowed(AccessKind kind, AccessContext context) {
    const Translation t = walk(kind, context);
    if (t.fault.type == FaultType::kNone) return true;
    EXPECT_EQ(t.fault.type, FaultType::kPermission);
    EXPECT_EQ(t.fault.level, 3);
    return false;
  }
  // "rwx" of EL0 and EL1, as accesses decide; checks that the flags of Translation say the same.
  std::string rights() {
    std::string text;
    for (const AccessContext& context : {kUserContext, kKernel}) {
      const bool r = allowed(AccessKind::kRead, context), w = allowed(AccessKind::kWrite, context),
                 x = allowed(AccessKind::kExecute, context);
      const Translation t = walk(AccessKind::kRead, kKernel);
      EXPECT_EQ(r, context.el ? t.priv_read : t.user_read);
      EXPECT_EQ(w, context.el ? t.priv_write : t.user_write);
      EXPECT_EQ(x, context.el ? t.priv_exec : t.user_exec);
      EXPECT_EQ(allowed(AccessKind::kAtomicReadWrite, context), r && w);
      EXPECT_EQ(allowed(AccessKind::kCacheMaintenance, context), r);
      text += r ? 'r' : '-';
      text += w ? 'w' : '-';
      text += x ? 'x' : '-';
      if (context.el == 0) text += ' ';
    }
    return text;
  }

  CpuState cpu{};
  TranslationTables tables;
  Geometry g{12, 48};
  uint64_t root = 0;
};

TEST_F(MmuPermissionTest, AccessPermissionsAndExecuteNever) {
  // Arm ARM tables D8-42 and D8-43.
  const struct {
    uint64_t attributes;
    const char* rights;
    const char* with_wxn;
  } cases[] = {
      {0, "--x rwx", "--x rw-"},
      {kUser, "rwx rw-", "rw- rw-"},  // EL0 can write: not executable at EL1
      {kReadOnly, "--x r-x", "--x r-x"},
      {kUser | kReadOnly, "r-x r-x", "r-x r-x"},
      {kUxn, "--- rwx", "--- rw-"},
      {kUser | kUxn, "rw- rw-", "rw- rw-"},
      {kReadOnly | kUxn, "--- r-x", "--- r-x"},
      {kUser | kReadOnly | kUxn, "r-- r-x", "r-- r-x"},
      {kPxn, "--x rw-", "--x rw-"},
      {kUser | kPxn, "rwx rw-", "rw- rw-"},
      {kUser | kReadOnly | kPxn, "r-x r--", "r-x r--"},
      {kUser | kReadOnly | kPxn | kUxn, "r-- r--", "r-- r--"},
  };
  for (const auto& c : cases) {
    map(c.attributes | kAf);
    cpu.sctlr_el[1] &= ~kWxn;
    EXPECT_EQ(rights(), c.rights) << std::hex << c.attributes;
    cpu.sctlr_el[1] |= kWxn;
    EXPECT_EQ(rights(), c.with_wxn) << std::hex << c.attributes;
  }
}

TEST_F(MmuPermissionTest, HierarchicalLimits) {
  const struct {
    uint64_t table_attributes;
    const char* rights;
  } cases[] = {
      {0, "rwx rw-"},         {kReadOnlyTable, "r-x r-x"}, {kNoUserTable, "--x rwx"}, {kUxnTable, "rw- rw-"},
      {kPxnTable, "rwx rw-"}, {kReadOnlyTable | kNoUserTable | kPxnTable | kUxnTable, "--- r--"},
  };
  for (const auto& c : cases) {
    cpu.ttbr0_el[1] = root = tables.new_table();
    cpu.tcr_el[1] = tcr_for(g);
    tables.map(g, root, kVa, kPa, 3, kAf | kUser, c.table_attributes);
    EXPECT_EQ(rights(), c.rights) << std::hex << c.table_attributes;
    cpu.tcr_el[1] |= kHpd0;
    EXPECT_EQ(rights(), "rwx rw-");
  }
}

TEST_F(MmuPermissionTest, PanKeepsEl1AwayFromUserData) {
  map(kUser | kAf);
  EXPECT_TRUE(allowed(AccessKind::kRead, kKernel));
  EXPECT_FALSE(allowed(AccessKind::kRead, kKernelPan));
  EXPECT_FALSE(allowed(AccessKind::kWrite, kKernelPan));
  EXPECT_FALSE(allowed(AccessKind::kAtomicReadWrite, kKernelPan));
  EXPECT_TRUE(allowed(AccessKind::kCacheMaintenance, kKernelPan));
  const Translation t = walk(AccessKind::kRead, kKernelPan);
  EXPECT_TRUE(t.priv_read && t.priv_write && t.user_read);  // described without PAN
  EXPECT_TRUE(allowed(AccessKind::kRead, {.el = 0, .pan = true}));
  // Execute-only for EL0 is no user data: FEAT_PAN3 is not there.
  map(kAf);
  EXPECT_TRUE(allowed(AccessKind::kRead, kKernelPan));
  map(kUser | kReadOnly | kAf);
  EXPECT_TRUE(allowed(AccessKind::kExecute, kKernelPan));
}

TEST_F(MmuPermissionTest, AccessFlagFaultsOrIsSetByHardware) {
  const uint64_t entry = map(0);
  const Translation without = walk(AccessKind::kRead, kKernel);
  EXPECT_EQ(without.fault.type, FaultType::kAccessFlag);
  EXPECT_EQ(without.fault.level, 3);
  cpu.tcr_el[1] |= kHa;
  const uint64_t before = tables.load(entry);
  EXPECT_EQ(walk(AccessKind::kRead, {.el = 1, .update_tables = false}).fault.type, FaultType::kNone);
  EXPECT_EQ(tables.load(entry), before);
  EXPECT_FALSE(allowed(AccessKind::kRead, kUserContext));  // a permission fault does not mark the page
  EXPECT_EQ(tables.load(entry), before);
  EXPECT_TRUE(allowed(AccessKind::kRead, kKernel));
  EXPECT_EQ(tables.load(entry), before | kAf);
}

TEST_F(MmuPermissionTest, AccessFlagFaultAtEachLeafLevel) {
  for (unsigned level = 1; level <= 3; ++level) {
    cpu.ttbr0_el[1] = root = tables.new_table();
    tables.map(g, root, kVa, 0, level, 0);
    const Translation t = walk(AccessKind::kRead, kKernel);
    EXPECT_EQ(t.fault.status_code(), 8 + level);
  }
}

TEST_F(MmuPermissionTest, DirtyStateIsSetByTheFirstWrite) {
  cpu.tcr_el[1] |= kHa | kHd;
  const uint64_t entry = map(kUser | kReadOnly | kDbm | kAf | kUxn | kPxn);
  const uint64_t clean = tables.load(entry);
  Translation t = walk(AccessKind::kRead, kUserContext);
  EXPECT_TRUE(t.user_write && t.priv_write && t.dirty_on_write);
  EXPECT_EQ(tables.load(entry), clean);
  EXPECT_TRUE(walk(AccessKind::kWrite, {.el = 0, .update_tables = false}).dirty_on_write);
  EXPECT_EQ(tables.load(entry), clean);
  t = walk(AccessKind::kWrite, kUserContext);
  EXPECT_EQ(t.fault.type, FaultType::kNone);
  EXPECT_FALSE(t.dirty_on_write);
  EXPECT_EQ(tables.load(entry), clean & ~kReadOnly);
  EXPECT_FALSE(walk(AccessKind::kRead, kUserContext).dirty_on_write);
  // Flag and dirty state in one step.
  map(kUser | kReadOnly | kDbm);
  EXPECT_TRUE(allowed(AccessKind::kAtomicReadWrite, kUserContext));
  EXPECT_EQ(tables.load(entry), kPa | kUser | kDbm | kAf | 3);
}

TEST_F(MmuPermissionTest, DirtyStateNeedsBothControlsAndTheTablesLeave) {
  const uint64_t entry = map(kUser | kReadOnly | kDbm | kAf);
  for (const uint64_t controls : {uint64_t{0}, kHa, kHd}) {
    cpu.tcr_el[1] = tcr_for(g) | controls;
    EXPECT_FALSE(allowed(AccessKind::kWrite, kKernel));
    EXPECT_FALSE(walk(AccessKind::kRead, kKernel).dirty_on_write);
  }
  cpu.tcr_el[1] = tcr_for(g) | kHa | kHd;
  cpu.ttbr0_el[1] = root = tables.new_table();
  const uint64_t limited = tables.map(g, root, kVa, kPa, 3, kUser | kReadOnly | kDbm | kAf, kReadOnlyTable);
  EXPECT_FALSE(allowed(AccessKind::kWrite, kKernel));
  EXPECT_FALSE(walk(AccessKind::kRead, kKernel).dirty_on_write);
  EXPECT_EQ(tables.load(limited) & kReadOnly, kReadOnly);
  EXPECT_EQ(tables.load(entry) & kReadOnly, kReadOnly);
}

TEST_F(MmuPermissionTest, WritableCleanPagesAreNotExecutableAtEl1) {
  cpu.tcr_el[1] |= kHa | kHd;
  map(kUser | kReadOnly | kDbm | kAf);
  EXPECT_TRUE(allowed(AccessKind::kExecute, kUserContext));
  EXPECT_FALSE(allowed(AccessKind::kExecute, kKernel));
}

TEST_F(MmuPermissionTest, UpdatesDoNotOverwriteAConcurrentChange) {
  // One thread walks with hardware management, the other toggles a software bit and unmaps; no state outside these may ever be
  // seen.
  cpu.tcr_el[1] |= kHa | kHd;
  constexpr uint64_t kSoftware = 1ull << 55;
  const uint64_t mapped = kPa | kUser | kReadOnly | kDbm | 3;
  const uint64_t entry = map(kUser | kReadOnly | kDbm);
  auto* descriptor = reinterpret_cast<uint64_t*>(tables.memory.slice(entry, 8).data());
  std::atomic_ref<uint64_t> shared(*descriptor);
  std::atomic<bool> stop = false;
  std::thread walker([&] {
    while (!stop) (void)walk(AccessKind::kWrite, kUserContext);
  });
  for (int i = 0; i < 20000; ++i) {
    const uint64_t seen = shared.exchange(0);
    const uint64_t expected = i % 2 == 0 ? mapped : mapped | kSoftware;
    EXPECT_TRUE(seen == expected || seen == ((expected | kAf) & ~kReadOnly)) << std::hex << seen;
    EXPECT_EQ(shared.load(), 0u);  // nothing brings an unmapped page back
    shared.store(i % 2 == 0 ? mapped | kSoftware : mapped);
  }
  stop = true;
  walker.join();
}

TEST_F(MmuPermissionTest, AtomicFaultsSayWriteOnlyWhenAReadWouldPass) {
  const auto iss = [&](AccessContext context) {
    return data_abort_iss(walk(AccessKind::kAtomicReadWrite, context), AccessKind::kAtomicReadWrite, context);
  };
  map(kUser | kReadOnly | kAf);
  EXPECT_EQ(iss(kUserContext), 0x4fu);
  map(kAf);
  EXPECT_EQ(iss(kUserContext), 0x0fu);
  tables.store(tables.entry_address(g, root, kVa, 3), 0);
  EXPECT_EQ(iss(kUserContext), 0x07u);
  map(kUser | kAf);
  EXPECT_EQ(iss(kKernelPan), 0x0fu);
}

}  // namespace
}  // namespace adyton::engine::arm64
