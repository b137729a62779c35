// What the random tests cannot see: access attributes, faults, restartability, exclusives, and the choices made where the manual
// leaves one.
#include <gtest/gtest.h>

#include "engine/interp/interpreter.h"
#include "engine/interp/testing/step_fixture.h"

namespace adyton::engine::interp::testing {
namespace {

using LoadStore = StepFixture;
using Kind = FlatEnvironment::Event::Kind;

TEST_F(LoadStore, ChecksSpAlignmentOnlyWhenAsked) {
  cpu.x[31] = kDataAddress + 8;
  EXPECT_EQ(run(0xf94003e0), Outcome::kDone);  // ldr x0, [sp]
  cpu.sctlr_el[1] |= 1u << 4;                  // SA0 is EL0's
  EXPECT_EQ(run(0xf94003e0), Outcome::kDone);
  cpu.sctlr_el[1] |= 1u << 3;                  // SA
  EXPECT_EQ(run(0xf98003e0), Outcome::kDone);  // prfm never faults
  for (const uint32_t word :
       {0xf94003e0u, 0xf8008fe0u /* str x0, [sp, #8]! */, 0xac8107e0u /* stp q0, q1, [sp], #32 */,
        0x4cdf73e0u /* ld1 {v0.16b}, [sp], #16 */, 0xc85f7fe0u /* ldxr x0, [sp] */, 0xf8bfc3e0u /* ldapr x0, [sp] */}) {
    cpu.x[31] = kDataAddress + 8;
    EXPECT_EQ(run(word), Outcome::kException) << std::hex << word;
    EXPECT_EQ(exception_class(), 0x26u);
    EXPECT_EQ(iss(), 0u);
    EXPECT_EQ(cpu.elr_el[1], kCodeAddress);
    EXPECT_EQ(cpu.x[31], kDataAddress + 8);
  }
  cpu.x[31] = kDataAddress;
  EXPECT_EQ(run(0xf8408fe0), Outcome::kDone);  // ldr x0, [sp, #8]!: the base is aligned
}

struct Expected {
  uint32_t word;
  Kind kind;
  unsigned size;
  bool acquire, release, exclusive, atomic;
};

TEST_F(LoadStore, TellsTheEnvironmentWhatTheAccessIs) {
  static constexpr Expected kExpected[] = {
      {0xf9400020, Kind::kRead, 8, false, false, false, false},            // ldr x0, [x1]
      {0xc8dffc20, Kind::kRead, 8, true, false, false, false},             // ldar x0, [x1]
      {0x889ffc20, Kind::kWrite, 4, false, true, false, false},            // stlr w0, [x1]
      {0xf8bfc020, Kind::kRead, 8, true, false, false, false},             // ldapr x0, [x1]
      {0xd9408020, Kind::kRead, 8, true, false, false, false},             // ldapur x0, [x1, #8]
      {0xd9008020, Kind::kWrite, 8, false, true, false, false},            // stlur x0, [x1, #8]
      {0xf8e00022, Kind::kAtomic, 8, true, true, false, true},             // ldaddal x0, x2, [x1]
      {0xf8e0003f, Kind::kAtomic, 8, false, true, false, true},            // ldaddal x0, xzr, [x1]: no acquire
      {0xf8628024, Kind::kAtomic, 8, false, true, false, true},            // swpl x2, x4, [x1]
      {0x88e2fc24, Kind::kCompareAndSwap, 4, true, true, false, true},     // casal w2, w4, [x1]
      {0x4862fc24, Kind::kCompareAndSwap, 16, true, true, false, true},    // caspal x2, x3, x4, x5, [x1]
      {0xc85f7c20, Kind::kLoadExclusive, 8, false, false, true, false},    // ldxr x0, [x1]
      {0x885ffc20, Kind::kLoadExclusive, 4, true, false, true, false},     // ldaxr w0, [x1]
      {0xc87f1424, Kind::kLoadExclusive, 16, false, false, true, false},   // ldxp x4, x5, [x1]
      {0x8803fc22, Kind::kStoreExclusive, 4, false, true, true, false},    // stlxr w3, w2, [x1]
      {0xc8231822, Kind::kStoreExclusive, 16, false, false, true, false},  // stxp w3, x2, x6, [x1]
  };
  for (const Expected& expected : kExpected) {
    SCOPED_TRACE(::testing::Message() << std::hex << expected.word);
    cpu.x[1] = kDataAddress + 64;
    EXPECT_EQ(run(expected.word), Outcome::kDone);
    ASSERT_EQ(environment.events.size(), 1u);
    const Event& event = environment.events[0];
    EXPECT_EQ(event.kind, expected.kind);
    EXPECT_EQ(event.size, expected.size);
    EXPECT_EQ(event.access.acquire, expected.acquire);
    EXPECT_EQ(event.access.release, expected.release);
    EXPECT_EQ(event.access.exclusive, expected.exclusive);
    EXPECT_EQ(event.access.atomic, expected.atomic);
    EXPECT_FALSE(event.access.unprivileged);
  }
}

TEST_F(LoadStore, UnprivilegedAccessesObeyUao) {
  cpu.x[1] = kDataAddress;
  for (const uint32_t word : {0xf8400820u /* ldtr x0, [x1] */, 0xb8000820u /* sttr w0, [x1] */}) {
    cpu.el = 1;
    cpu.uao = 0;
    EXPECT_EQ(run(word), Outcome::kDone);
    EXPECT_TRUE(environment.events.at(0).access.unprivileged);
    cpu.uao = 1;
    EXPECT_EQ(run(word), Outcome::kDone);
    EXPECT_FALSE(environment.events.at(0).access.unprivileged);
  }
}

TEST_F(LoadStore, PairsAreTwoAccessesOfOneRegister) {
  cpu.x[1] = kDataAddress;
  EXPECT_EQ(run(0x29000420), Outcome::kDone);  // stp w0, w1, [x1]
  ASSERT_EQ(environment.events.size(), 2u);
  EXPECT_EQ(environment.events[0].address, kDataAddress);
  EXPECT_EQ(environment.events[1].address, kDataAddress + 4);
  EXPECT_EQ(environment.events[1].size, 4u);
}

// Instructions with base x1 = kDataAddress + 0x40 that touch the 16 bytes from there; write-back forms where there are any.
constexpr uint32_t kRestartable[] = {
    0xa8c10c22,  // ldp x2, x3, [x1], #16
    0xa8810c22,  // stp x2, x3, [x1], #16
    0x3cc10420,  // ldr q0, [x1], #16
    0x3c810420,  // str q0, [x1], #16
    0xacc10420,  // ldp q0, q1, [x1], #32
    0xac810420,  // stp q0, q1, [x1], #32
    0x4cdf0020,  // ld4 {v0.16b-v3.16b}, [x1], #64
    0x4c9f0020,  // st4 {v0.16b-v3.16b}, [x1], #64
    0x4ddf8420,  // ld1 {v0.d}[1], [x1], #8
    0x4dffe820,  // ld4r {v0.4s-v3.4s}, [x1], #16
    0xa9400821,  // ldp x1, x2, [x1]
    0xc87f1424,  // ldxp x4, x5, [x1]
    0x4862fc24,  // caspal x2, x3, x4, x5, [x1]
    0xf8e00022,  // ldaddal x0, x2, [x1]
};

TEST_F(LoadStore, FaultsChangeNoRegisterWhereverTheyHappen) {
  for (const uint32_t word : kRestartable) {
    SCOPED_TRACE(::testing::Message() << std::hex << word);
    for (unsigned hole = 0; hole < 8; hole++) {
      cpu.x[1] = kDataAddress + 0x40;
      environment.faulting_from = kDataAddress + 0x40 + hole;
      environment.faulting_to = environment.faulting_from + 1;
      const auto before = std::make_unique<arm64::CpuState>(cpu);
      ASSERT_EQ(run(word), Outcome::kException);
      EXPECT_EQ(exception_class(), 0x25u);
      EXPECT_EQ(cpu.elr_el[1], kCodeAddress);
      expect_unchanged(*before);
      cpu = *before;
    }
  }
  // The second half only.
  for (const uint32_t word :
       {0xa8c10c22u, 0xa8810c22u, 0xacc10420u, 0xac810420u, 0x4cdf0020u, 0x4c9f0020u, 0x4dffe820u, 0xa9400821u}) {
    SCOPED_TRACE(::testing::Message() << std::hex << word);
    cpu.x[1] = kDataAddress + 0x40;
    environment.faulting_from = kDataAddress + 0x40 + 12;
    environment.faulting_to = environment.faulting_from + 64;
    const auto before = std::make_unique<arm64::CpuState>(cpu);
    ASSERT_EQ(run(word), Outcome::kException);
    expect_unchanged(*before);
    cpu = *before;
    environment.faulting_from = environment.faulting_to = 0;
    EXPECT_EQ(run(word), Outcome::kDone);
    cpu = *before;
  }
}

TEST_F(LoadStore, DevicesLeaveTheInstructionToBeRunAgain) {
  for (const uint32_t word : kRestartable) {
    SCOPED_TRACE(::testing::Message() << std::hex << word);
    cpu.x[1] = kDataAddress + 0x40;
    environment.device_from = kDataAddress + 0x44;
    environment.device_to = environment.device_from + 64;
    const auto before = std::make_unique<arm64::CpuState>(cpu);
    EXPECT_EQ(run(word), Outcome::kExit);
    expect_unchanged(*before);
    EXPECT_EQ(cpu.pc, kCodeAddress);
    EXPECT_EQ(cpu.el, before->el);
  }
}

TEST_F(LoadStore, ReportsTheFaultingAddressAndDirection) {
  cpu.x[1] = kDataAddress + 0x40;
  environment.faulting_from = kDataAddress + 0x48;
  environment.faulting_to = kDataAddress + 0x50;
  EXPECT_EQ(run(0xa8810c22), Outcome::kException);  // stp x2, x3, [x1], #16
  EXPECT_EQ(cpu.far_el[1], kDataAddress + 0x48);
  EXPECT_TRUE(iss() & (1u << 6)) << "WnR";
  EXPECT_EQ(run(0xa8c10c22), Outcome::kException);  // ldp x2, x3, [x1], #16
  EXPECT_FALSE(iss() & (1u << 6));
}

TEST_F(LoadStore, SpecialAccessesMustBeAligned) {
  for (const uint32_t word : {0xc8dffc20u /* ldar */, 0xf8e00022u /* ldaddal */, 0xc85f7c20u /* ldxr */, 0xc8037c22u /* stxr */,
                              0xc8a27c24u /* cas */}) {
    cpu.x[1] = kDataAddress + 4;
    EXPECT_EQ(run(word), Outcome::kException) << std::hex << word;
    EXPECT_EQ(exception_class(), 0x25u);
    EXPECT_EQ(iss() & 0x3f, 0x21u);
  }
  cpu.x[1] = kDataAddress + 8;
  EXPECT_EQ(run(0x48227c24), Outcome::kException);  // casp of two doublewords wants 16 bytes
}

TEST_F(LoadStore, ExclusivesSucceedOnlyWithTheMonitor) {
  cpu.x[1] = kDataAddress + 16;
  cpu.x[2] = 0xfeedface;
  const uint64_t old = word_at(kDataAddress + 16);
  EXPECT_EQ(run(0xc8037c22), Outcome::kDone);  // stxr w3, x2, [x1]: nothing armed
  EXPECT_EQ(cpu.x[3], 1u);
  EXPECT_EQ(word_at(kDataAddress + 16), old);

  EXPECT_EQ(run(0xc85f7c20), Outcome::kDone);  // ldxr x0, [x1]
  EXPECT_EQ(cpu.x[0], old);
  EXPECT_EQ(run(0xc8037c22), Outcome::kDone);
  EXPECT_EQ(cpu.x[3], 0u);
  EXPECT_EQ(word_at(kDataAddress + 16), 0xfeedfaceu);
  EXPECT_EQ(run(0xc8037c22), Outcome::kDone);  // the monitor has been used up
  EXPECT_EQ(cpu.x[3], 1u);

  EXPECT_EQ(run(0xc85f7c20), Outcome::kDone);
  EXPECT_EQ(run(0xd5033f5f), Outcome::kDone);  // clrex
  EXPECT_EQ(run(0xc8037c22), Outcome::kDone);
  EXPECT_EQ(cpu.x[3], 1u);

  EXPECT_EQ(run(0xc87f1424), Outcome::kDone);  // ldxp x4, x5, [x1]
  EXPECT_EQ(cpu.x[4], 0xfeedfaceu);
  EXPECT_EQ(cpu.x[5], word_at(kDataAddress + 24));
  cpu.x[6] = 0x6666;
  EXPECT_EQ(run(0xc8231822), Outcome::kDone);  // stxp w3, x2, x6, [x1]
  EXPECT_EQ(cpu.x[3], 0u);
  EXPECT_EQ(word_at(kDataAddress + 24), 0x6666u);
}

TEST_F(LoadStore, WriteBackChoices) {
  cpu.x[3] = kDataAddress + 32;
  EXPECT_EQ(run(0xf8408463), Outcome::kDone);  // ldr x3, [x3], #8
  EXPECT_EQ(cpu.x[3], word_at(kDataAddress + 32));
  cpu.x[3] = kDataAddress + 32;
  EXPECT_EQ(run(0xf8008c63), Outcome::kDone);  // str x3, [x3, #8]!
  EXPECT_EQ(word_at(kDataAddress + 40), kDataAddress + 32);
  EXPECT_EQ(cpu.x[3], kDataAddress + 40);
  cpu.x[1] = kDataAddress;
  EXPECT_EQ(run(0xa9400020), Outcome::kDone);  // ldp x0, x0, [x1]
  EXPECT_EQ(cpu.x[0], word_at(kDataAddress + 8));
}

TEST_F(LoadStore, StructuresWriteBackToSp) {
  const uint64_t sp = cpu.x[31];
  EXPECT_EQ(run(0x4cdf73e0), Outcome::kDone);  // ld1 {v0.16b}, [sp], #16
  EXPECT_EQ(cpu.x[31], sp + 16);
  cpu.x[2] = 0x20;
  EXPECT_EQ(run(0x4cc273e0), Outcome::kDone);  // ld1 {v0.16b}, [sp], x2
  EXPECT_EQ(cpu.x[31], sp + 0x30);
}

TEST_F(LoadStore, LoadLiteralIsRelativeToTheInstruction) {
  set_word_at(kCodeAddress + 8, 0x8877665544332211);
  EXPECT_EQ(run(0x18000040), Outcome::kDone);  // ldr w0, .+8
  EXPECT_EQ(cpu.x[0], 0x44332211u);
}

}  // namespace
}  // namespace adyton::engine::interp::testing
