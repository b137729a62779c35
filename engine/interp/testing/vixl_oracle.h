// VIXL's AArch64 simulator as an Executor: an implementation that we did not write.
//
// It does not know FPSR, trapping, exclusives that always succeed, or anything but EL0; an instruction that it does not implement
// ends the process, so ask is_allocated() first and keep system instructions away.
#pragma once
#include <cstdint>
#include <memory>
#include <string>

#include "engine/interp/testing/flat_environment.h"
#include "engine/interp/testing/machine_state.h"

namespace adyton::engine::interp::testing {

class VixlOracle final : public Executor {
 public:
  explicit VixlOracle(const FixedMemory& window);
  ~VixlOracle() override;
  void run(std::span<const uint32_t> program, MachineState& state) override;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// VIXL's disassembly; "unallocated ..." or "unimplemented ..." for words that it does not decode.
std::string disassemble(uint32_t insn, uint64_t pc = kCodeAddress);
bool is_allocated(uint32_t insn);
// Instructions that VIXL 5.1 is known to execute wrongly.
bool vixl_is_wrong_about(uint32_t insn);

}  // namespace adyton::engine::interp::testing
