// A GoogleTest fixture for directed tests: one CPU at EL1 over the flat window, executing words given by the test.
#pragma once
#include <gtest/gtest.h>

#include <cstring>
#include <memory>
#include <utility>
#include <vector>

#include "engine/interp/interpreter.h"
#include "engine/interp/testing/flat_environment.h"
#include "engine/interp/testing/machine_state.h"

namespace adyton::engine::interp::testing {

constexpr uint64_t kVectors = 0x1000;  // VBAR_EL1; nothing is executed there

class StepFixture : public ::testing::Test {
 protected:
  using Event = FlatEnvironment::Event;

  StepFixture() {
    cpu.el = 1;
    cpu.sp_sel = 1;
    cpu.cpacr_el1 = 3u << 20;  // FPEN: FP and SIMD everywhere
    cpu.vbar_el[1] = kVectors;
    cpu.sctlr_el[1] = 1u << 23;  // SPAN: PAN stays as it is
    cpu.pc = kCodeAddress;
    for (unsigned i = 0; i < 31; i++) cpu.x[i] = 0x1111111100000000 * (i & 7) + i;
    cpu.x[31] = kDataAddress + 512;
    environment.record = true;
    for (size_t i = 0; i < kDataSize; i++) byte(kDataAddress + i) = static_cast<uint8_t>(i * 7 + 3);
  }

  Outcome run(uint32_t word) {
    std::memcpy(&byte(kCodeAddress), &word, sizeof word);
    cpu.pc = kCodeAddress;
    environment.events.clear();
    return step(cpu, environment);
  }

  static uint8_t& byte(uint64_t address) { return *reinterpret_cast<uint8_t*>(address); }
  static uint64_t word_at(uint64_t address) {
    uint64_t value;
    std::memcpy(&value, &byte(address), sizeof value);
    return value;
  }
  static void set_word_at(uint64_t address, uint64_t value) { std::memcpy(&byte(address), &value, sizeof value); }

  [[nodiscard]] unsigned exception_class() const { return static_cast<unsigned>(cpu.esr_el[1] >> 26); }
  [[nodiscard]] uint32_t iss() const { return cpu.esr_el[1] & 0x1ffffff; }

  // Runs `word` and expects that it is UNDEFINED and changes nothing else.
  void expect_undefined(uint32_t word, const char* what) {
    SCOPED_TRACE(what);
    const auto before = std::make_unique<arm64::CpuState>(cpu);
    EXPECT_EQ(run(word), Outcome::kException);
    EXPECT_EQ(exception_class(), 0u);
    EXPECT_EQ(iss(), 0u);
    EXPECT_EQ(cpu.elr_el[1], kCodeAddress);
    EXPECT_EQ(cpu.el, 1);
    EXPECT_EQ(cpu.pc, kVectors + (before->el == 0 ? 0x400 : 0x200));
    EXPECT_EQ(std::memcmp(before->x, cpu.x, 31 * sizeof cpu.x[0]), 0);
    EXPECT_EQ(before->nzcv(), cpu.nzcv());
    cpu = *before;
  }

  void expect_unchanged(const arm64::CpuState& before) {
    EXPECT_EQ(std::memcmp(before.x, cpu.x, sizeof cpu.x), 0) << "a general register or SP changed";
    EXPECT_EQ(std::memcmp(before.v, cpu.v, sizeof cpu.v), 0) << "a vector register changed";
    EXPECT_EQ(before.nzcv(), cpu.nzcv());
  }

  FixedMemory window{kWindowAddress, kWindowSize};
  std::unique_ptr<arm64::CpuState> cpu_owner = std::make_unique<arm64::CpuState>();
  arm64::CpuState& cpu = *cpu_owner;
  FlatEnvironment environment{cpu, window};
};

}  // namespace adyton::engine::interp::testing
