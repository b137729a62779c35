#include "engine/arm64/sysreg.h"

#include <gtest/gtest.h>

#include <cstring>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "engine/arm64/exception.h"

namespace adyton::engine::arm64 {
namespace {

class FakeEffects : public SystemEffects {
 public:
  void translation_context_changed() override { ++translation; }
  void fp_mode_changed() override { ++fp; }
  void interrupt_mask_changed() override { ++interrupts; }
  void debug_changed() override { ++debug; }
  void tlbi(uint16_t, uint64_t) override { ++maintenance; }
  void instruction_cache(uint16_t, uint64_t) override { ++maintenance; }
  uint64_t physical_count() override { return count; }
  void timer_changed() override { ++timer; }
  bool read_icc(uint16_t encoding, uint64_t& value) override {
    value = icc[encoding];
    return icc_present;
  }
  bool write_icc(uint16_t encoding, uint64_t value) override {
    icc[encoding] = value;
    return icc_present;
  }
  uint64_t pending_interrupts() override { return pending; }
  [[nodiscard]] int calls() const { return translation + fp + interrupts + debug + timer + maintenance; }

  int translation = 0, fp = 0, interrupts = 0, debug = 0, timer = 0, maintenance = 0;
  uint64_t count = 1000, pending = 0;
  bool icc_present = true;
  std::map<uint16_t, uint64_t> icc;
};

struct TableRow {
  const char* name;
  uint16_t encoding;
  unsigned read_el, write_el;
  std::string gate;
};

std::vector<TableRow> table() {
  constexpr unsigned E0 = 0, E1 = 1, NO = 9;
  std::vector<TableRow> rows;
#define ENC(op0, op1, crn, crm, op2) sysreg_encoding(op0, op1, crn, crm, op2)
#define CONSTANT(name, encoding, gate, value) \
  rows.push_back({#name, encoding, std::strcmp(#gate, "NONE") == 0 ? E1 : E0, NO, #gate});
#define STORAGE(name, encoding, reader, writer, gate, field, writable, ones, effect) \
  rows.push_back({#name, encoding, reader, writer, #gate});
#define COMPUTED(name, encoding, reader, writer, gate, read, write) rows.push_back({#name, encoding, reader, writer, #gate});
#define ICC(name, encoding, reader, writer) rows.push_back({#name, encoding, reader, writer, "NONE"});
#include "engine/arm64/sysreg_table.inc"
#undef ENC
#undef CONSTANT
#undef STORAGE
#undef COMPUTED
#undef ICC
  return rows;
}

// SCTLR_EL1 and CNTKCTL_EL1 let EL0 do everything that they can let it do, or nothing.
void open_gates(CpuState& cpu, bool open) {
  cpu.sctlr_el[1] = open ? (1ull << 15) | (1ull << 9) : 1ull << 20;
  cpu.cntkctl_el1 = open ? 0x303 : 0;
  cpu.mdscr_el1 = open ? 0 : 1ull << 12;
}

class SysRegTest : public testing::Test {
 protected:
  void SetUp() override { reset(cpu, 0x0102); }
  void select_level(unsigned el) { select_stack(cpu, el, el); }
  uint64_t read(uint16_t encoding) {
    uint64_t value = 0xdeadbeefdeadbeef;
    EXPECT_EQ(read_sysreg(cpu, effects, encoding, value), SysRegResult::kDone) << sysreg_name(encoding);
    return value;
  }
  void write(uint16_t encoding, uint64_t value) {
    EXPECT_EQ(write_sysreg(cpu, effects, encoding, value), SysRegResult::kDone) << sysreg_name(encoding);
  }
  SysRegResult try_read(uint16_t encoding) {
    uint64_t value = 0;
    return read_sysreg(cpu, effects, encoding, value);
  }
  SysRegResult try_write(uint16_t encoding, uint64_t value = 0) { return write_sysreg(cpu, effects, encoding, value); }

  CpuState cpu{};
  FakeEffects effects;
};

constexpr uint16_t kSctlr = sysreg_encoding(3, 0, 1, 0, 0), kTcr = sysreg_encoding(3, 0, 2, 0, 2),
                   kDaif = sysreg_encoding(3, 3, 4, 2, 1);
constexpr uint16_t kSpEl0 = sysreg_encoding(3, 0, 4, 1, 0), kCtr = sysreg_encoding(3, 3, 0, 0, 1),
                   kDczid = sysreg_encoding(3, 3, 0, 0, 7);
constexpr uint16_t kMdscr = sysreg_encoding(2, 0, 0, 2, 2), kOslar = sysreg_encoding(2, 0, 1, 0, 4),
                   kOslsr = sysreg_encoding(2, 0, 1, 1, 4);
constexpr uint16_t kCntvct = sysreg_encoding(3, 3, 14, 0, 2), kCntpct = sysreg_encoding(3, 3, 14, 0, 1);
constexpr uint16_t kCntvTval = sysreg_encoding(3, 3, 14, 3, 0), kCntvCtl = sysreg_encoding(3, 3, 14, 3, 1),
                   kCntvCval = sysreg_encoding(3, 3, 14, 3, 2);
constexpr uint16_t kCntpTval = sysreg_encoding(3, 3, 14, 2, 0), kCntpCtl = sysreg_encoding(3, 3, 14, 2, 1),
                   kCntpCval = sysreg_encoding(3, 3, 14, 2, 2);

TEST_F(SysRegTest, EveryRowObeysItsLevels) {
  for (const TableRow& row : table()) {
    SCOPED_TRACE(row.name);
    EXPECT_STREQ(sysreg_name(row.encoding), row.name);
    for (const unsigned el : {0u, 1u}) {
      SCOPED_TRACE(el);
      const auto expected = [&](unsigned lowest, bool open) {
        if (el < lowest) return SysRegResult::kUndefined;
        const bool gated = el == 0 && row.gate != "NONE";
        return gated && !open ? SysRegResult::kTrapped : SysRegResult::kDone;
      };
      for (const bool open : {false, true}) {
        reset(cpu, 0);
        select_level(el);
        open_gates(cpu, open);
        EXPECT_EQ(try_read(row.encoding), expected(row.read_el, open));
        EXPECT_EQ(try_write(row.encoding), expected(row.write_el, open));
      }
    }
  }
}

TEST_F(SysRegTest, UserSeesOnlyWhatTheArchitectureNames) {
  // Arm ARM D19: the registers of this profile with an EL0 access, written down independently of the table.
  const std::set<std::string> readable = {"CTR_EL0",       "DCZID_EL0",     "NZCV",         "DAIF",          "DIT",
                                          "FPCR",          "FPSR",          "TPIDR_EL0",    "TPIDRRO_EL0",   "SCXTNUM_EL0",
                                          "CNTFRQ_EL0",    "CNTPCT_EL0",    "CNTVCT_EL0",   "CNTP_TVAL_EL0", "CNTP_CTL_EL0",
                                          "CNTP_CVAL_EL0", "CNTV_TVAL_EL0", "CNTV_CTL_EL0", "CNTV_CVAL_EL0", "MDCCSR_EL0",
                                          "DBGDTR_EL0",    "DBGDTRRX_EL0"};
  const std::set<std::string> writable = {
      "NZCV", "DAIF", "DIT", "FPCR", "FPSR", "TPIDR_EL0", "SCXTNUM_EL0", "CNTP_TVAL_EL0", "CNTP_CTL_EL0", "CNTP_CVAL_EL0",
      "CNTV_TVAL_EL0", "CNTV_CTL_EL0", "CNTV_CVAL_EL0", "DBGDTR_EL0", "DBGDTRRX_EL0"};
  for (unsigned encoding = 0; encoding <= 0xffff; ++encoding) {
    reset(cpu, 0);
    select_level(0);
    open_gates(cpu, true);
    const auto e = static_cast<uint16_t>(encoding);
    EXPECT_EQ(try_read(e) == SysRegResult::kDone, readable.count(sysreg_name(e)) == 1) << sysreg_name(e);
    EXPECT_EQ(try_write(e) == SysRegResult::kDone, writable.count(sysreg_name(e)) == 1) << sysreg_name(e);
  }
}

TEST_F(SysRegTest, IdentificationSpaceReadsAsConstants) {
  EXPECT_EQ(read(sysreg_encoding(3, 0, 0, 4, 0)), 0x1301000001000011u);
  EXPECT_EQ(read(sysreg_encoding(3, 0, 0, 6, 0)), 0x0210100010211120u);
  EXPECT_EQ(read(sysreg_encoding(3, 0, 0, 7, 2)), 0x1001000000000011u);
  EXPECT_EQ(read(sysreg_encoding(3, 0, 0, 0, 0)) >> 24, 0u);       // MIDR_EL1.Implementer
  EXPECT_EQ(read(sysreg_encoding(3, 0, 0, 0, 5)), 0x80000102u);    // MPIDR_EL1
  for (unsigned crm = 0; crm < 8; ++crm) {
    for (unsigned op2 = 0; op2 < 8; ++op2) {
      const uint16_t encoding = sysreg_encoding(3, 0, 0, crm, op2);
      cpu.el = 1;
      EXPECT_EQ(try_read(encoding), SysRegResult::kDone);
      EXPECT_EQ(try_write(encoding), SysRegResult::kUndefined);
      cpu.el = 0;
      EXPECT_EQ(try_read(encoding), SysRegResult::kUndefined);
    }
  }
}

TEST_F(SysRegTest, AbsentFeaturesAreUndefined) {
  for (const uint16_t encoding : {
           sysreg_encoding(3, 3, 9, 12, 0), sysreg_encoding(3, 3, 9, 14, 0),    // PMCR_EL0, PMUSERENR_EL0
           sysreg_encoding(3, 3, 2, 4, 0),                                      // RNDR
           sysreg_encoding(3, 0, 2, 1, 0),                                      // APIAKeyLo_EL1
           sysreg_encoding(3, 0, 1, 2, 0),                                      // ZCR_EL1
           sysreg_encoding(3, 0, 1, 0, 6), sysreg_encoding(3, 3, 4, 2, 7),      // GCR_EL1, TCO
           sysreg_encoding(3, 3, 4, 2, 6),                                      // SSBS
           sysreg_encoding(3, 0, 10, 4, 3),                                     // LORC_EL1
           sysreg_encoding(3, 0, 5, 3, 0), sysreg_encoding(3, 0, 12, 1, 1),     // ERRIDR_EL1, DISR_EL1
           sysreg_encoding(3, 4, 1, 1, 0), sysreg_encoding(3, 6, 1, 1, 0),      // HCR_EL2, SCR_EL3
           sysreg_encoding(3, 4, 4, 1, 0), sysreg_encoding(3, 5, 1, 0, 0),      // SP_EL1, SCTLR_EL12
           sysreg_encoding(3, 7, 14, 2, 1),                                     // CNTPS_CTL_EL1
           sysreg_encoding(3, 1, 0, 0, 2),                                      // CCSIDR2_EL1
           sysreg_encoding(3, 0, 15, 0, 0),                                     // IMPLEMENTATION DEFINED
           sysreg_encoding(2, 0, 0, 6, 4), sysreg_encoding(2, 0, 0, 4, 6),      // DBGBVR6_EL1, DBGWVR4_EL1
           sysreg_encoding(2, 1, 0, 0, 1)}) {                                   // TRCTRACEIDR
    EXPECT_EQ(try_read(encoding), SysRegResult::kUndefined) << sysreg_name(encoding);
    EXPECT_EQ(try_write(encoding), SysRegResult::kUndefined) << sysreg_name(encoding);
  }
  EXPECT_STREQ(sysreg_name(sysreg_encoding(3, 3, 9, 12, 0)), "S3_3_C9_C12_0");
}

TEST_F(SysRegTest, ReservedBitsKeepTheirValues) {
  write(kSctlr, 0);
  EXPECT_EQ(read(kSctlr), 0x30400980u);
  write(kSctlr, ~0ull);
  EXPECT_EQ(read(kSctlr), 0x34dddb9fu);
  write(kTcr, ~0ull);
  EXPECT_EQ(read(kTcr), 0x018007f7ffffffbfu);
  write(sysreg_encoding(3, 0, 12, 0, 0), 0xffffffffffffffff);
  EXPECT_EQ(read(sysreg_encoding(3, 0, 12, 0, 0)), 0xfffffffffffff800u);  // VBAR_EL1
  write(sysreg_encoding(3, 0, 1, 0, 2), ~0ull);
  EXPECT_EQ(read(sysreg_encoding(3, 0, 1, 0, 2)), 0x300000u);             // CPACR_EL1
  write(sysreg_encoding(3, 0, 1, 0, 1), ~0ull);
  EXPECT_EQ(read(sysreg_encoding(3, 0, 1, 0, 1)), 0u);                    // ACTLR_EL1
  write(sysreg_encoding(3, 3, 4, 4, 0), ~0ull);
  EXPECT_EQ(read(sysreg_encoding(3, 3, 4, 4, 0)), 0x07c00000u);           // FPCR
  write(sysreg_encoding(3, 3, 4, 4, 1), ~0ull);
  EXPECT_EQ(read(sysreg_encoding(3, 3, 4, 4, 1)), 0x0800009fu);           // FPSR
}

TEST_F(SysRegTest, ResetStartsAtEl1WithTheMmuOff) {
  EXPECT_EQ(cpu.el, 1);
  EXPECT_EQ(cpu.sp_sel, 1);
  EXPECT_EQ(cpu.daif, 0x3c0u);
  EXPECT_EQ(cpu.nzcv(), 0u);
  EXPECT_EQ(cpu.sctlr_el[1], 0x30d00980u);
  EXPECT_EQ(read(kOslsr), 0xau);
  cpu.cntfrq = 62500000;
  cpu.cntvoff = 5;
  cpu.x[3] = 1;
  reset(cpu, 0);
  EXPECT_EQ(cpu.cntfrq, 62500000u);
  EXPECT_EQ(cpu.cntvoff, 5u);
  EXPECT_EQ(cpu.x[3], 0u);
}

TEST_F(SysRegTest, WritesTellTheRightListener) {
  struct Case {
    uint16_t encoding;
    int FakeEffects::*counter;
  };
  for (const Case& c :
       {Case{kSctlr, &FakeEffects::translation}, Case{kTcr, &FakeEffects::translation},
        Case{sysreg_encoding(3, 0, 2, 0, 0), &FakeEffects::translation},
        Case{sysreg_encoding(3, 0, 2, 0, 1), &FakeEffects::translation},
        Case{sysreg_encoding(3, 0, 10, 2, 0), &FakeEffects::translation},
        Case{sysreg_encoding(3, 0, 1, 0, 2), &FakeEffects::translation},
        Case{sysreg_encoding(3, 0, 4, 2, 3), &FakeEffects::translation},
        Case{sysreg_encoding(3, 0, 4, 2, 4), &FakeEffects::translation}, Case{kDaif, &FakeEffects::interrupts},
        Case{kMdscr, &FakeEffects::debug}, Case{kOslar, &FakeEffects::debug},
        Case{sysreg_encoding(2, 0, 0, 3, 5), &FakeEffects::debug}, Case{sysreg_encoding(2, 0, 0, 3, 6), &FakeEffects::debug},
        Case{sysreg_encoding(3, 3, 4, 4, 0), &FakeEffects::fp}, Case{sysreg_encoding(3, 3, 4, 4, 1), &FakeEffects::fp},
        Case{kCntvCtl, &FakeEffects::timer}, Case{kCntvCval, &FakeEffects::timer}, Case{kCntpTval, &FakeEffects::timer},
        Case{sysreg_encoding(3, 0, 14, 1, 0), &FakeEffects::timer}}) {
    effects = FakeEffects{};
    write(c.encoding, 1);
    EXPECT_EQ(effects.*c.counter, 1) << sysreg_name(c.encoding);
    EXPECT_EQ(effects.calls(), 1) << sysreg_name(c.encoding);
  }
}

TEST_F(SysRegTest, InlineAccessAgreesWithTheFunctions) {
  for (unsigned number = 0x8000; number <= 0xffff; ++number) {
    const auto encoding = static_cast<uint16_t>(number);
    for (const unsigned el : {0u, 1u}) {
      reset(cpu, 0);
      select_level(el);
      open_gates(cpu, false);
      const SysRegAccess reading = inline_read(encoding, el, el == 1);
      using Kind = SysRegAccess::Kind;
      if (reading.kind != Kind::kHelper) {
        auto* bytes = reinterpret_cast<uint8_t*>(&cpu) + reading.offset;
        uint64_t expected = reading.value;
        if (reading.kind == Kind::kStorage) {
          expected = 0x0123456789abcdef;
          std::memcpy(bytes, &expected, 8);
        } else if (reading.kind == Kind::kStorage32) {
          expected = 0x89abcdef;
          std::memcpy(bytes, &expected, 4);
        }
        EXPECT_EQ(read(encoding), expected) << sysreg_name(encoding);
      }
      const SysRegAccess writing = inline_write(encoding, el, el == 1);
      if (writing.kind == Kind::kStorage || writing.kind == Kind::kStorage32) {
        effects = FakeEffects{};
        CpuState by_hand = cpu;
        const uint64_t value = 0xfedcba9876543210;
        std::memcpy(reinterpret_cast<uint8_t*>(&by_hand) + writing.offset, &value, writing.kind == Kind::kStorage ? 8 : 4);
        write(encoding, value);
        EXPECT_EQ(std::memcmp(&by_hand, &cpu, sizeof cpu), 0) << sysreg_name(encoding);
        EXPECT_EQ(effects.calls(), 0) << sysreg_name(encoding);
      }
    }
  }
}

TEST_F(SysRegTest, HotRegistersAreInline) {
  using Kind = SysRegAccess::Kind;
  for (const uint16_t encoding : {sysreg_encoding(3, 0, 13, 0, 4), sysreg_encoding(3, 0, 4, 0, 1), sysreg_encoding(3, 0, 5, 2, 0),
                                  sysreg_encoding(3, 0, 6, 0, 0), sysreg_encoding(3, 3, 13, 0, 2)}) {
    EXPECT_EQ(inline_read(encoding, 1).kind, Kind::kStorage);
    EXPECT_EQ(inline_write(encoding, 1).kind, Kind::kStorage);
  }
  EXPECT_EQ(inline_read(sysreg_encoding(3, 0, 4, 0, 0), 1).kind, Kind::kStorage32);  // SPSR_EL1
  EXPECT_EQ(inline_read(sysreg_encoding(3, 3, 13, 0, 2), 0).kind, Kind::kStorage);   // TPIDR_EL0
  EXPECT_EQ(inline_write(sysreg_encoding(3, 3, 13, 0, 3), 0).kind, Kind::kHelper);   // TPIDRRO_EL0
  EXPECT_EQ(inline_read(sysreg_encoding(3, 0, 0, 4, 0), 1).kind, Kind::kConstant);
  EXPECT_EQ(inline_read(sysreg_encoding(3, 0, 0, 4, 0), 0).kind, Kind::kHelper);
  EXPECT_EQ(inline_read(kSpEl0, 1, true).kind, Kind::kStorage);
  EXPECT_EQ(inline_read(kSpEl0, 1).kind, Kind::kHelper);
  EXPECT_EQ(inline_read(kCtr, 1).kind, Kind::kConstant);
  EXPECT_EQ(inline_read(kCtr, 0).kind, Kind::kHelper);
  EXPECT_EQ(inline_write(kTcr, 1).kind, Kind::kHelper);
}

TEST_F(SysRegTest, SpEl0IsUndefinedWhileItIsCurrent) {
  cpu.sp_el[0] = 0x77;
  EXPECT_EQ(read(kSpEl0), 0x77u);
  write(sysreg_encoding(3, 0, 4, 2, 0), 0);  // SPSel
  EXPECT_EQ(cpu.sp(), 0x77u);
  EXPECT_EQ(try_read(kSpEl0), SysRegResult::kUndefined);
  EXPECT_EQ(try_write(kSpEl0), SysRegResult::kUndefined);
}

TEST_F(SysRegTest, ProcessorStateFields) {
  write(sysreg_encoding(3, 3, 4, 2, 0), 0xf0000000);
  EXPECT_EQ(cpu.nzcv(), 15u);
  EXPECT_EQ(read(sysreg_encoding(3, 3, 4, 2, 0)), 0xf0000000u);
  EXPECT_EQ(read(sysreg_encoding(3, 0, 4, 2, 2)), 4u);  // CurrentEL
  EXPECT_EQ(write_pstate_field(cpu, effects, 3, 7, 0b0010), SysRegResult::kDone);  // DAIFClr #2
  EXPECT_EQ(cpu.daif, 0x3c0u & ~kDaifI);
  EXPECT_EQ(write_pstate_field(cpu, effects, 3, 6, 0b0010), SysRegResult::kDone);  // DAIFSet #2
  EXPECT_EQ(cpu.daif, 0x3c0u);
  EXPECT_EQ(write_pstate_field(cpu, effects, 0, 4, 1), SysRegResult::kDone);
  EXPECT_EQ(read(sysreg_encoding(3, 0, 4, 2, 3)), 1u << 22);
  EXPECT_EQ(write_pstate_field(cpu, effects, 0, 3, 1), SysRegResult::kDone);
  EXPECT_EQ(read(sysreg_encoding(3, 0, 4, 2, 4)), 1u << 23);
  EXPECT_EQ(write_pstate_field(cpu, effects, 3, 2, 1), SysRegResult::kDone);
  EXPECT_EQ(read(sysreg_encoding(3, 3, 4, 2, 5)), 1u << 24);
  EXPECT_EQ(write_pstate_field(cpu, effects, 0, 5, 0), SysRegResult::kDone);
  EXPECT_EQ(cpu.sp_sel, 0);
  EXPECT_EQ(write_pstate_field(cpu, effects, 3, 4, 1), SysRegResult::kUndefined);  // TCO
  select_level(0);
  EXPECT_EQ(write_pstate_field(cpu, effects, 0, 4, 1), SysRegResult::kUndefined);
  EXPECT_EQ(write_pstate_field(cpu, effects, 3, 6, 2), SysRegResult::kTrapped);    // SCTLR_EL1.UMA = 0
}

TEST_F(SysRegTest, CacheIdentification) {
  constexpr uint16_t kCcsidr = sysreg_encoding(3, 1, 0, 0, 0), kCsselr = sysreg_encoding(3, 2, 0, 0, 0);
  EXPECT_EQ(read(kCcsidr) & 7, 2u);  // 64-byte lines
  write(kCsselr, 2);
  EXPECT_EQ(read(kCcsidr) >> 13, 1023u);
  write(kCsselr, 4);
  EXPECT_EQ(read(kCcsidr), 0u);
  EXPECT_EQ(read(kCtr), 0x9444c004u);
  EXPECT_EQ(read(kDczid), 4u);
  select_level(0);
  open_gates(cpu, true);
  EXPECT_EQ(read(kDczid), 0x14u);     // DZP: SCTLR_EL1.DZE = 0
  cpu.sctlr_el[1] |= 1ull << 14;
  EXPECT_EQ(read(kDczid), 4u);
}

TEST_F(SysRegTest, TimersCompareUnsignedAndCountDown) {
  cpu.cntvoff = 400;
  EXPECT_EQ(read(kCntpct), 1000u);
  EXPECT_EQ(read(kCntvct), 600u);
  write(kCntvTval, 50);
  EXPECT_EQ(read(kCntvCval), 650u);
  EXPECT_EQ(read(kCntvTval), 50u);
  write(kCntvCtl, 7);  // ISTATUS is read-only
  EXPECT_EQ(read(kCntvCtl), 3u);
  effects.count = 1050;
  EXPECT_EQ(read(kCntvCtl), 7u);
  effects.count = 1060;
  EXPECT_EQ(read(kCntvTval), 0xfffffff6u);  // -10
  write(kCntvCtl, 0);
  EXPECT_EQ(read(kCntvCtl), 0u);
  write(kCntpTval, 0xffffffff);  // -1: in the past
  EXPECT_EQ(read(kCntpCval), 1059u);
  write(kCntpCtl, 1);
  EXPECT_EQ(read(kCntpCtl), 5u);
  write(kCntpCval, ~0ull);
  EXPECT_EQ(read(kCntpCtl), 1u);
}

TEST_F(SysRegTest, DebugRegistersFollowTheOsLock) {
  write(kMdscr, ~0ull);  // locked after reset: software may restore everything
  EXPECT_NE(read(kMdscr) & (1ull << 14), 0u);
  write(kMdscr, 0);
  write(kOslar, 0);
  EXPECT_EQ(read(kOslsr), 8u);
  write(kMdscr, ~0ull);
  EXPECT_EQ(read(kMdscr), 0xb001u);
  constexpr uint16_t kSet = sysreg_encoding(2, 0, 7, 8, 6), kClear = sysreg_encoding(2, 0, 7, 9, 6);
  write(kSet, 0x5);
  EXPECT_EQ(read(kSet), 0xffu);
  EXPECT_EQ(read(kClear), 5u);
  write(kClear, 1);
  EXPECT_EQ(read(kClear), 4u);
}

TEST_F(SysRegTest, InterruptControllerIsForwarded) {
  constexpr uint16_t kPmr = sysreg_encoding(3, 0, 4, 6, 0), kIar1 = sysreg_encoding(3, 0, 12, 12, 0);
  write(kPmr, 0xf0);
  EXPECT_EQ(effects.icc[kPmr], 0xf0u);
  effects.icc[kIar1] = 27;
  EXPECT_EQ(read(kIar1), 27u);
  effects.icc_present = false;
  EXPECT_EQ(try_read(kIar1), SysRegResult::kUndefined);
  EXPECT_EQ(try_write(kPmr), SysRegResult::kUndefined);
  effects.pending = 0x80;
  EXPECT_EQ(read(sysreg_encoding(3, 0, 12, 1, 0)), 0x80u);  // ISR_EL1
}

TEST(SysRegSyndromeTest, IssRearrangesTheInstruction) {
  // MRS X5, CTR_EL0 = 0xd53b0025: op0 3, op1 3, CRn 0, CRm 0, op2 1, read.
  EXPECT_EQ(sysreg_encoding_of(0xd53b0025), kCtr);
  EXPECT_EQ(sysreg_trap_iss(0xd53b0025), (3u << 20) | (1u << 17) | (3u << 14) | (5u << 5) | 1u);
  // MSR DAIFSet, #2 = 0xd50342df: op0 0, op1 3, CRn 4, CRm 2, op2 6, Rt 31, write.
  EXPECT_EQ(sysreg_trap_iss(0xd50342df), (6u << 17) | (3u << 14) | (4u << 10) | (31u << 5) | (2u << 1));
}

}  // namespace
}  // namespace adyton::engine::arm64
