// A debugger outside the guest: breakpoints, watchpoints, single steps, changed code.
#include <gtest/gtest.h>

#include <initializer_list>

#include "engine/engine.h"

namespace adyton::engine::jit {
namespace {

constexpr uint64_t kCode = 0x4000'0000, kData = 0x4001'0000, kVectors = 0x4002'0000;
constexpr uint64_t kLoadsAndStores = 3 << 3, kLoads = 1 << 3, kStores = 2 << 3;
constexpr uint64_t kEveryLevel = 3 << 1;  // PMC, PAC
constexpr uint32_t kBreakpointClass = 0x30, kStepClass = 0x32, kWatchpointClass = 0x34, kBrkClass = 0x3c;

// Instructions of the programs.
constexpr uint32_t kOne = 0xd2800020;        // mov x0, #1
constexpr uint32_t kIncrement = 0x91000400;  // add x0, x0, #1
constexpr uint32_t kDecrement = 0xd1000400;  // sub x0, x0, #1
constexpr uint32_t kNop = 0xd503201f, kHvc = 0xd4000002, kBrk7 = 0xd42000e0, kWfi = 0xd503207f;
constexpr uint32_t kBack1IfNotZero = 0xb5ffffe0;  // cbnz x0, the instruction before

class NoHost final : public CpuHost {
 public:
  bool read_icc(uint16_t, uint64_t&) override { return false; }
  bool write_icc(uint16_t, uint64_t) override { return false; }
  void timer_changed() override {}
  void send_event() override {}
};

// The parameter: in the interpreter.
class OutsideDebug : public ::testing::TestWithParam<bool> {
 protected:
  void SetUp() override {
    ASSERT_TRUE(memory_.add_ram(kCode, 0x40000));
    auto machine = Machine::create({.interpret = GetParam(), .code_cache_size = 64 << 20}, memory_);
    ASSERT_TRUE(machine) << machine.error().message;
    machine_ = std::move(*machine);
    cpu_ = *machine_->create_cpu({}, host_);
    for (uint64_t offset = 0; offset < 0x800; offset += 4) store(kVectors + offset, kHvc);
    at(kCode);
    state().vbar_el[1] = kVectors;
    state().cpacr_el1 = 3u << 20;
    state().x[3] = kData;
  }
  arm64::CpuState& state() { return cpu_->state(); }
  void store(uint64_t address, uint32_t word) { ASSERT_TRUE(memory_.store(address, word)); }
  void program(std::initializer_list<uint32_t> words) {
    uint64_t address = kCode;
    for (const uint32_t word : words) store(address, word), address += 4;
    machine_->invalidate_code(kCode, 4 * words.size());
  }
  void at(uint64_t pc) {
    state().pc = pc;
    cpu_->state_changed();
  }
  void breakpoint(unsigned n, uint64_t address) {
    control_.breakpoint_value[n] = address;
    control_.breakpoint_control[n] = address ? 0xfull << 5 | kEveryLevel | 1 : 0;
    cpu_->set_debug(control_);
  }
  void watchpoint(unsigned n, uint64_t address, uint64_t bytes, uint64_t kinds) {
    control_.watchpoint_value[n] = address & ~7ull;
    control_.watchpoint_control[n] = bytes ? (((1ull << bytes) - 1) << (address & 7)) << 5 | kinds | kEveryLevel | 1 : 0;
    cpu_->set_debug(control_);
  }
  void expect_debug_exit(uint32_t expected_class, uint64_t pc) {
    const Exit exit = cpu_->run();
    ASSERT_EQ(exit.reason, Exit::Reason::kDebug) << exit.message << " at " << std::hex << state().pc;
    EXPECT_EQ(exit.debug.syndrome >> 26, expected_class);
    EXPECT_EQ(state().pc, pc);
    last_ = exit.debug;
  }
  void expect_end() {
    const Exit exit = cpu_->run();
    EXPECT_EQ(exit.reason, Exit::Reason::kHypercall) << std::hex << state().pc << " " << exit.debug.syndrome;
    EXPECT_LT(state().pc, kVectors);
  }
  void step_to(uint64_t pc) {
    control_.single_step = true;
    cpu_->set_debug(control_);
    expect_debug_exit(kStepClass, pc);
    control_.single_step = false;
    cpu_->set_debug(control_);
  }

  GuestMemory memory_;
  NoHost host_;
  std::unique_ptr<Machine> machine_;
  Cpu* cpu_ = nullptr;
  DebugControl control_;
  Exit::Debug last_;
};

TEST_P(OutsideDebug, StopsAtAHardwareBreakpointBeforeItsInstruction) {
  program({kOne, kIncrement, kIncrement, kHvc});
  expect_end();  // translated, and forgotten by nobody
  at(kCode);
  breakpoint(3, kCode + 8);
  expect_debug_exit(kBreakpointClass, kCode + 8);
  EXPECT_EQ(state().x[0], 2u);
  expect_debug_exit(kBreakpointClass, kCode + 8);  // it is still there
  breakpoint(3, 0);
  expect_end();
  EXPECT_EQ(state().x[0], 3u);
}

TEST_P(OutsideDebug, MeetsABreakpointInALoopEachTime) {
  program({kDecrement, kBack1IfNotZero, kHvc});
  state().x[0] = 3;
  for (uint64_t left : {2u, 1u, 0u}) {
    breakpoint(0, kCode + 4);
    expect_debug_exit(kBreakpointClass, kCode + 4);
    EXPECT_EQ(state().x[0], left);
    breakpoint(0, 0);
    step_to(left ? kCode : kCode + 8);
  }
  expect_end();
}

TEST_P(OutsideDebug, ABreakpointOnAnotherPageIsReachedByABranch) {
  program({0x14000400, kHvc});  // b +0x1000
  store(kCode + 0x1000, kOne);
  store(kCode + 0x1004, kHvc);
  expect_end();
  at(kCode);
  breakpoint(0, kCode + 0x1000);
  expect_debug_exit(kBreakpointClass, kCode + 0x1000);
}

TEST_P(OutsideDebug, StepsOneInstruction) {
  program({kOne, kIncrement, kBack1IfNotZero, kHvc});
  step_to(kCode + 4);
  step_to(kCode + 8);
  EXPECT_EQ(state().x[0], 2u);
  step_to(kCode + 4);
  EXPECT_EQ(last_.syndrome & 0x3f, 0x22u);
}

TEST_P(OutsideDebug, AStepMayBeAnExceptionAHypercallOrAWait) {
  program({0xd4000001, kNop, kHvc, kWfi, kNop});  // svc #0
  step_to(kVectors + 0x200);
  EXPECT_EQ(state().esr_el[1] >> 26, 0x15u);
  at(kCode + 8);
  control_.single_step = true;
  cpu_->set_debug(control_);
  EXPECT_EQ(cpu_->run().reason, Exit::Reason::kHypercall);
  expect_debug_exit(kStepClass, kCode + 12);
  EXPECT_EQ(cpu_->run().reason, Exit::Reason::kWaitForInterrupt);
  expect_debug_exit(kStepClass, kCode + 16);
}

TEST_P(OutsideDebug, InterruptsWaitForTheEndOfAStep) {
  program({kOne, kNop, kNop});
  state().daif = 0;
  cpu_->state_changed();
  cpu_->set_irq(true);
  step_to(kCode + 4);
  EXPECT_EQ(cpu_->run().reason, Exit::Reason::kHypercall);
  EXPECT_EQ(state().pc, kVectors + 0x280 + 4);
}

TEST_P(OutsideDebug, AStepOverADeviceAccessEndsWhenTheDeviceHasAnswered) {
  program({0xf9400064, kNop});  // ldr x4, [x3]
  state().x[3] = 0x900'0000;
  control_.single_step = true;
  cpu_->set_debug(control_);
  ASSERT_EQ(cpu_->run().reason, Exit::Reason::kMmio);
  cpu_->complete_mmio(77);
  expect_debug_exit(kStepClass, kCode + 4);
  EXPECT_EQ(state().x[4], 77u);
}

TEST_P(OutsideDebug, AnAnswerOfADeviceIsNotForAnotherInstruction) {
  program({0xf9400064, 0xf9400064, kHvc});
  state().x[3] = 0x900'0000;
  ASSERT_EQ(cpu_->run().reason, Exit::Reason::kMmio);
  cpu_->complete_mmio(77);
  at(kCode + 4);  // a debugger sets the PC
  const Exit exit = cpu_->run();
  ASSERT_EQ(exit.reason, Exit::Reason::kMmio);
  cpu_->complete_mmio(78);
  expect_end();
  EXPECT_EQ(state().x[4], 78u);
}

TEST_P(OutsideDebug, BrkIsTheDebuggersWhenHeWantsIt) {
  program({kOne, kBrk7, kHvc});
  control_.software_breakpoints = true;
  cpu_->set_debug(control_);
  expect_debug_exit(kBrkClass, kCode + 4);
  EXPECT_EQ(last_.syndrome & 0xffff, 7u);
  control_.software_breakpoints = false;
  cpu_->set_debug(control_);
  EXPECT_EQ(cpu_->run().reason, Exit::Reason::kHypercall);  // the guest's own
  EXPECT_EQ(state().esr_el[1], 0x3cull << 26 | 1u << 25 | 7u);
  EXPECT_EQ(state().elr_el[1], kCode + 4);
}

TEST_P(OutsideDebug, CodeThatWasPokedFromOutsideTakesEffect) {
  program({kOne, kNop, kHvc});
  control_.software_breakpoints = true;
  cpu_->set_debug(control_);
  expect_end();
  store(kCode + 4, kBrk7);
  machine_->invalidate_code(kCode + 4, 4);
  at(kCode);
  expect_debug_exit(kBrkClass, kCode + 4);
  store(kCode + 4, kIncrement);
  machine_->invalidate_code(kCode + 4, 4);
  expect_end();
  EXPECT_EQ(state().x[0], 2u);
}

// One instruction each, that accesses [x3] or what is said.
struct Access {
  const char* name;
  uint32_t word;
  bool reads, writes;
  unsigned size;
};
constexpr Access kAccesses[] = {
    {"str", 0xf9000060, false, true, 8},         // str x0, [x3]
    {"ldr", 0xf9400064, true, false, 8},         // ldr x4, [x3]
    {"ldp", 0xa9401865, true, false, 16},        // ldp x5, x6, [x3]
    {"stp_q", 0xad000460, false, true, 32},      // stp q0, q1, [x3]
    {"ldadd", 0xf8200067, true, true, 8},        // ldadd x0, x7, [x3]
    {"ldxr", 0xc85f7c68, true, false, 8},        // ldxr x8, [x3]
    {"casp", 0x482a7c6c, true, true, 16},        // casp x10, x11, x12, x13, [x3]
    {"dc_zva", 0xd50b7423, false, true, 64},     // dc zva, x3
    {"ld1", 0x4c40a060, true, false, 32},        // ld1 {v0.16b, v1.16b}, [x3]
    {"cas", 0xc8a07c61, true, true, 8},          // cas x0, x1, [x3]
};

TEST_P(OutsideDebug, WatchesEveryKindOfAccess) {
  for (const Access& access : kAccesses) {
    SCOPED_TRACE(access.name);
    ASSERT_TRUE(memory_.store(kData, uint64_t{5}));
    state().x[3] = kData;
    program({access.word, kHvc});
    // Its last byte, then the first one behind it; then only the other direction.
    for (const uint64_t kinds : {kLoads, kStores, kLoadsAndStores}) {
      const bool wanted = ((kinds & kLoads) && access.reads) || ((kinds & kStores) && access.writes);
      at(kCode);
      state().x[3] = kData;
      watchpoint(0, kData + access.size - 1, 1, kinds);
      if (wanted) {
        expect_debug_exit(kWatchpointClass, kCode);
        EXPECT_EQ(last_.far, kData + access.size - 1);
        watchpoint(0, 0, 0, 0);
      }
      expect_end();
    }
    at(kCode);
    watchpoint(0, kData + access.size, 1, kLoadsAndStores);
    expect_end();
    watchpoint(0, 0, 0, 0);
  }
}

TEST_P(OutsideDebug, AWatchpointStopsBeforeTheAccess) {
  program({0xf9000060, kHvc});
  state().x[0] = 9;
  ASSERT_TRUE(memory_.store(kData, uint64_t{5}));
  watchpoint(2, kData, 8, kStores);
  expect_debug_exit(kWatchpointClass, kCode);
  EXPECT_EQ(last_.syndrome & 0x40, 0x40u);  // WnR
  EXPECT_EQ(*memory_.load<uint64_t>(kData), 5u);
  watchpoint(2, 0, 0, 0);
  step_to(kCode + 4);
  EXPECT_EQ(*memory_.load<uint64_t>(kData), 9u);
}

TEST_P(OutsideDebug, OtherWordsOfAWatchedPageAreNotWatched) {
  program({0xf9000060, 0xf9400464, kHvc});  // str x0, [x3]; ldr x4, [x3, #8]
  state().x[0] = 9;
  watchpoint(0, kData + 64, 8, kLoadsAndStores);
  expect_end();
  EXPECT_EQ(*memory_.load<uint64_t>(kData), 9u);
}

TEST_P(OutsideDebug, WatchesAnAccessThatComesFromThePageBefore) {
  // Unaligned accesses need Normal memory, so translation on: one block of 1 GiB.
  ASSERT_TRUE(memory_.store(kCode + 0x3000 + 8, uint64_t{kCode | 1 << 10 | 1}));
  state().ttbr0_el[1] = kCode + 0x3000;
  state().tcr_el[1] = 25 | (1 << 23);
  state().mair_el[1] = 0xff;
  state().sctlr_el[1] |= 1;
  program({0xb85fe064, kHvc});  // ldur w4, [x3, #-2]
  state().x[3] = kData;
  at(kCode);
  watchpoint(0, kData, 1, kLoads);
  expect_debug_exit(kWatchpointClass, kCode);
  EXPECT_EQ(last_.far, kData);
  EXPECT_EQ(cpu_->debug_translate(kData + 5), kData + 5);
  EXPECT_EQ(cpu_->debug_translate(0x8000'0000), std::nullopt);
}

INSTANTIATE_TEST_SUITE_P(Engine, OutsideDebug, ::testing::Bool(),
                         [](const auto& parameter) { return parameter.param ? "Interpreted" : "Translated"; });

}  // namespace
}  // namespace adyton::engine::jit
