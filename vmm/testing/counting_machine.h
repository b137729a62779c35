// A machine whose guest counts for ever, so that a test sees in its memory whether it goes on. Started by whoever derives from
// this.
#pragma once
#include <gtest/gtest.h>

#include <cstring>
#include <memory>
#include <thread>
#include <vector>

#include "hypervisor/soft/soft_vm.h"
#include "vmm/machine.h"

namespace adyton::vmm::testing {

inline constexpr uint32_t kCountForEver[] = {
    0x10000201,  // adr x1, . + 0x40
    0xf9400022,  // ldr x2, [x1]
    0x91000442,  // add x2, x2, #1
    0xf9000022,  // str x2, [x1]
    0x17fffffd,  // b . - 12
};
inline constexpr GuestPhysAddr kProgramStart = 0x4008'0000;  // where a flat program is loaded
inline constexpr GuestPhysAddr kCounter = kProgramStart + 0x40;

class CountingMachine : public ::testing::Test {
 protected:
  void SetUp() override {
    auto vm = hypervisor::soft::create_soft_vm();
    ASSERT_TRUE(vm) << vm.error().message;
    auto machine = Machine::create(
        {.cpus = 1, .memory_size = 64 << 20, .console = {.output = [](std::span<const uint8_t>) {}, .input_ready = [] {}}},
        std::move(*vm));
    ASSERT_TRUE(machine) << machine.error().message;
    machine_ = std::move(*machine);
    std::vector<uint8_t> image(0x80);
    std::memcpy(image.data(), kCountForEver, sizeof kCountForEver);
    const MemorySource program(image);
    const auto loaded = machine_->load({.mode = BootConfig::Mode::kFlat, .kernel = &program});
    ASSERT_TRUE(loaded) << loaded.error().message;
  }

  [[nodiscard]] uint64_t count() const { return *machine_->memory().load<uint64_t>(kCounter); }
  // Returns when it has counted on.
  void expect_guest_runs() const {
    for (const uint64_t before = count(); count() == before;) std::this_thread::yield();
  }

  std::unique_ptr<Machine> machine_;
};

}  // namespace adyton::vmm::testing
