// The interpreter as an Executor, over a flat window.
#pragma once
#include <memory>

#include "engine/interp/testing/flat_environment.h"
#include "engine/interp/testing/machine_state.h"

namespace adyton::engine::interp::testing {

class InterpreterExecutor final : public Executor {
 public:
  explicit InterpreterExecutor(const FixedMemory& window);
  void run(std::span<const uint32_t> program, MachineState& state) override;

  arm64::CpuState& cpu() { return *cpu_; }

 private:
  const FixedMemory& window_;
  std::unique_ptr<arm64::CpuState> cpu_;
  FlatEnvironment environment_;
};

}  // namespace adyton::engine::interp::testing
