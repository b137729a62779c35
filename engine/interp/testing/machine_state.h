// What a differential test compares: the user-visible state of one processing element and a small window of memory. And the
// interface of whatever executes instructions: the interpreter, VIXL's simulator, the translator.
#pragma once
#include <array>
#include <cstdint>
#include <span>
#include <string>

#include "engine/arm64/cpu_state.h"

namespace adyton::engine::interp::testing {

// The window lies at the same address in the guest and in the host process.
constexpr uint64_t kWindowAddress = 0x5000'0000;
constexpr size_t kWindowSize = 0x10000;  // what GuestMemory::add_ram wants at least
// Programs start here; branches stay within kCodeSlack bytes of it.
constexpr uint64_t kCodeAddress = kWindowAddress + 0x8000;
constexpr uint64_t kCodeSlack = 0x4000;
constexpr uint64_t kDataAddress = kWindowAddress + 0x1000;
constexpr size_t kDataSize = 1024;

struct MachineState {
  std::array<uint64_t, 31> x{};
  uint64_t sp = 0;
  uint64_t pc = kCodeAddress;
  uint32_t nzcv = 0;  // bits 3..0
  uint32_t fpcr = 0, fpsr = 0;
  std::array<arm64::Vector, 32> v{};
  std::array<uint8_t, kDataSize> data{};  // at kDataAddress
  // Set when an exception was taken: `pc` is then the address of the instruction, and `exception_class` ESR.EC.
  bool exception = false;
  uint8_t exception_class = 0;
};

class Executor {
 public:
  virtual ~Executor() = default;
  // Places `program` at kCodeAddress, loads the state, and runs from state.pc until the PC leaves the program or an exception is
  // taken.
  virtual void run(std::span<const uint32_t> program, MachineState& state) = 0;
};

struct CompareOptions {
  bool fpsr = true;  // VIXL does not model FPSR
  uint32_t ignored_fpsr_bits = 0;
};

// One line per difference; empty when there is none.
std::string differences(const MachineState& expected, const MachineState& actual, const CompareOptions& options);

}  // namespace adyton::engine::interp::testing
