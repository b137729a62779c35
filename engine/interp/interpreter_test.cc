// Fetch, UNDEFINED encodings, and results where the random tests' oracle is wrong.
#include "engine/interp/interpreter.h"

#include <gtest/gtest.h>

#include "engine/interp/testing/random_program.h"
#include "engine/interp/testing/step_fixture.h"

namespace adyton::engine::interp::testing {
namespace {

using Interpreter = StepFixture;

TEST_F(Interpreter, AdvancesThePcByOneInstruction) {
  cpu.x[0] = 41;
  EXPECT_EQ(run(0x91000400), Outcome::kDone);  // add x0, x0, #1
  EXPECT_EQ(cpu.x[0], 42u);
  EXPECT_EQ(cpu.pc, kCodeAddress + 4);
}

TEST_F(Interpreter, FaultsOnMisalignedPc) {
  cpu.pc = kCodeAddress + 2;
  EXPECT_EQ(step(cpu, environment), Outcome::kException);
  EXPECT_EQ(exception_class(), 0x22u);
  EXPECT_EQ(iss(), 0u);
  EXPECT_EQ(cpu.far_el[1], kCodeAddress + 2);
  EXPECT_EQ(cpu.elr_el[1], kCodeAddress + 2);
  EXPECT_EQ(cpu.pc, kVectors + 0x200);
}

TEST_F(Interpreter, ReportsInstructionAborts) {
  cpu.pc = kWindowAddress + kWindowSize;
  EXPECT_EQ(step(cpu, environment), Outcome::kException);
  EXPECT_EQ(exception_class(), 0x21u);
  EXPECT_EQ(cpu.elr_el[1], kWindowAddress + kWindowSize);
}

TEST_F(Interpreter, TakesIllegalStateBeforeTheInstruction) {
  cpu.il = 1;
  EXPECT_EQ(run(0xd4024681), Outcome::kException);  // svc #0x1234
  EXPECT_EQ(exception_class(), 0x0eu);
  EXPECT_EQ(iss(), 0u);
  EXPECT_EQ(cpu.elr_el[1], kCodeAddress);
  EXPECT_EQ(cpu.il, 0);
}

TEST_F(Interpreter, RefusesReservedAndUnadvertisedEncodings) {
  static constexpr std::pair<uint32_t, const char*> kWords[] = {
      {0x00000000, "udf #0"},
      {0x0000ffff, "udf #65535"},
      {0x02000000, "unallocated main group"},
      {0xd4400020, "hlt #1"},
      {0xd4a00001, "dcps1"},
      {0xd4000000, "exception generation with LL = 0"},
      {0xd4000005, "svc with op2 = 1"},
      {0xd6bf03e0, "drps"},
      {0xd69f03c0, "eret with Rn = 30"},
      {0xd6df03e0, "branch register, opc = 6"},
      {0xd71f0801, "braa x0, x1"},
      {0xd65f0bff, "retaa"},
      {0x54000010, "bc.eq"},
      {0x55000000, "b.cond with o1 = 1"},
      {0xdac10020, "pacia x0, x1"},
      {0xf8200420, "ldraa x0, [x1]"},
      {0xd500403f, "xaflag"},
      {0xd500405f, "axflag"},
      {0xd503413f, "msr ssbs, #1"},
      {0xd503419f, "msr tco, #1"},
      {0xd5031000, "wfet x0"},
      {0xd503201e, "hint with Rt != 31"},
      {0xd503323f, "dsb nXS"},
      {0xd5287100, "sysl x0, #0, c7, c1, #0"},
      {0xd9600020, "ldg x0, [x1]"},
      {0xbac20020, "subps x0, x1, x2"},
      {0x9adf1020, "irg x0, x1"},
      {0x91800000, "addg"},
      {0xc8df7c20, "ldlar x0, [x1]"},
      {0xc89f7c20, "stllr x0, [x1]"},
      {0xf83fd040, "ld64b x0, [x2]"},
      {0x48237c24, "casp with odd Rs"},
      {0x48227c25, "casp with odd Rt"},
      {0xc8a26c24, "cas with Rt2 != 31"},
      {0x12400000, "and w with N = 1"},
      {0x9240fc00, "and x with all ones"},
      {0x1200fc00, "and w with no element size"},
      {0x12a00000 | 3u << 21, "movn w, lsl #48"},
      {0x32800000, "move wide, opc = 1"},
      {0x53400000, "ubfm w with N = 1"},
      {0x93000000, "sbfm x with N = 0"},
      {0x53200000, "ubfm w, immr = 32"},
      {0x53008000, "ubfm w, imms = 32"},
      {0xf3400000, "bitfield, opc = 3"},
      {0x13808000, "extr w, lsb = 32"},
      {0x13c00000, "extr w with N = 1"},
      {0x93800000, "extr x with N = 0"},
      {0x93e00000, "extr with o0 = 1"},
      {0x0bc00000, "add with ror"},
      {0x0b008000, "add w, lsl #32"},
      {0x0a008000, "and w, lsl #32"},
      {0x8b201400, "add extended by 5"},
      {0x8b600000, "add extended, opt = 1"},
      {0x9a000400, "adc with op3 = 1"},
      {0x3a00000d | 0x0800u | 0x8000, "setf with opcode2 != 0"},
      {0x3a00080f, "setf8 with mask != 13"},
      {0x3a000400, "rmif, 32-bit"},
      {0x1a400000, "ccmp without S"},
      {0xba400400, "ccmp with o2"},
      {0xba400010, "ccmp with o3"},
      {0xba800000, "csel with S"},
      {0x9a800800, "csel with op2 = 2"},
      {0x9ac00000, "subp"},
      {0x9ac04c00 & ~0x80000000u, "crc32x, 32-bit"},
      {0x9ac04000, "crc32b, 64-bit"},
      {0x5ac00c00, "rev, opcode 3, 32-bit"},
      {0xdac01800, "ctz"},
      {0xdac02000, "abs"},
      {0x1b200000, "smaddl, 32-bit"},
      {0x9b408000, "smulh with o0 = 1"},
      {0x9b600000, "three sources, op31 = 3"},
      {0xbb000000, "three sources, op54 = 1"},
      {0xf8810000 | 0x400, "prfm, post-indexed"},
      {0xb8c00000, "ldrs with size 2, opc 3"},
      {0xf8600000 | 0x800, "ldr register, option 0"},
      {0x68000000, "stgp"},
      {0x68400000 & ~0x01800000u, "ldnpsw"},
      {0xe8000000, "pair, opc = 3"},
      {0xdc000000, "ldr literal, V = 1, opc = 3"},
      {0xd9c00000, "ldapurs with size 3, opc 3"},
      {0x7cc00000, "ldr vector with size 1, opc 3"},
      {0x3c000800, "vector unprivileged"},
      {0x0c000c00, "st4 .1d"},
      {0x0c001000, "structures, opcode 1"},
      {0x0c010000, "structures with Rm and no post-index"},
      {0x0d000400 | 0x4000, "st1 .h with size 1"},
      {0x0d00c000, "st1r"},
      {0x0d40d000, "ld1r with S = 1"},
      {0x8c000000, "structures with bit 31"},
  };
  for (const auto& [word, what] : kWords) expect_undefined(word, what);
  cpu.el = 0;
  for (const auto& [word, what] : kWords) expect_undefined(word, what);
}

TEST_F(Interpreter, TreatsHintsOfAbsentExtensionsAsNop) {
  for (const uint32_t word : {0xd503201fu, 0xd503233fu, 0xd503245fu, 0xd503221fu, 0xd503229fu, 0xd50320ffu, 0xd5032fffu}) {
    const auto before = std::make_unique<arm64::CpuState>(cpu);
    EXPECT_EQ(run(word), Outcome::kDone) << std::hex << word;
    EXPECT_EQ(cpu.pc, kCodeAddress + 4);
    expect_unchanged(*before);
    EXPECT_TRUE(environment.events.empty());
  }
}

TEST_F(Interpreter, Movk32ClearsTheUpperHalf) {
  cpu.x[9] = 0xffffffff80001234;
  EXPECT_EQ(run(0x72bce1a9), Outcome::kDone);  // movk w9, #0xe70d, lsl #16
  EXPECT_EQ(cpu.x[9], 0xe70d1234u);
}

TEST_F(Interpreter, SignedMaximumReturnsTheOldByteZeroExtended) {
  cpu.x[3] = kDataAddress;
  byte(kDataAddress) = 0xd9;
  cpu.x[1] = 5;
  EXPECT_EQ(run(0x38214062), Outcome::kDone);  // ldsmaxb w1, w2, [x3]
  EXPECT_EQ(cpu.x[2], 0xd9u);
  EXPECT_EQ(byte(kDataAddress), 5);
}

// Any word in any state ends in one of the three ways, and the two that promise that nothing changed keep the promise.
TEST_F(Interpreter, SurvivesArbitraryWords) {
  const FuzzConfig config = fuzz_config(100'000);
  const auto before = std::make_unique<arm64::CpuState>();
  environment.record = false;
  environment.device_from = kDataAddress + 768;
  environment.device_to = kDataAddress + kDataSize;
  for (uint64_t i = 0; i < config.count; i++) {
    SCOPED_TRACE(::testing::Message() << "ADYTON_FUZZ_SEED=" << config.seed + i << " ADYTON_FUZZ_COUNT=1");
    Random random(Random(config.seed + i).next());
    cpu.el = random.one_in(2) ? 1 : 0;
    cpu.sp_sel = cpu.el;
    cpu.daif = cpu.uao = cpu.pan = cpu.dit = cpu.il = cpu.ss = 0;
    cpu.cpacr_el1 = random.one_in(4) ? 0 : 3u << 20;
    cpu.sctlr_el[1] = 1u << 23 | (random.next() & (1u << 1 | 3u << 3 | 1u << 9 | 1u << 16 | 1u << 18));
    cpu.vbar_el[1] = kVectors;
    cpu.tcr_el[1] = 0;
    cpu.mdscr_el1 = 0;
    cpu.fpcr = static_cast<uint32_t>(random.next()) & 0x07c00000;
    cpu.set_nzcv(static_cast<uint32_t>(random.below(16)));
    for (uint64_t& x : cpu.x) x = random.one_in(2) ? kDataAddress + random.below(kDataSize) : interesting_integer(random);
    for (arm64::Vector& v : cpu.v) v = interesting_vector(random);
    auto word = static_cast<uint32_t>(random.next());
    if (random.one_in(4)) word = (word & 0x003fffff) | 0xd5000000;  // system instructions are rare otherwise
    *before = cpu;
    const Outcome outcome = run(word);
    if (outcome == Outcome::kException) {
      ASSERT_EQ(cpu.el, 1);
      ASSERT_EQ(cpu.pc & ~0x780ull, kVectors) << std::hex << word;
      ASSERT_TRUE(cpu.elr_el[1] == kCodeAddress || (exception_class() == 0x15 && cpu.elr_el[1] == kCodeAddress + 4))
          << std::hex << word;
      ASSERT_EQ(std::memcmp(before->x, cpu.x, 31 * sizeof cpu.x[0]), 0) << std::hex << word;
      ASSERT_EQ(std::memcmp(before->v, cpu.v, sizeof cpu.v), 0) << std::hex << word;
    } else if (outcome == Outcome::kExit) {
      ASSERT_TRUE(cpu.pc == kCodeAddress || cpu.pc == kCodeAddress + 4) << std::hex << word;
      expect_unchanged(*before);
    } else {
      ASSERT_NE(cpu.pc, kVectors) << std::hex << word;
    }
  }
}

}  // namespace
}  // namespace adyton::engine::interp::testing
