// The translator as an Executor: the whole engine, with one vCPU at EL1 and translation on, running programs out of guest memory.
#pragma once
#include <memory>

#include "engine/engine.h"
#include "engine/interp/testing/machine_state.h"

namespace adyton::engine::jit::testing {

class TranslatedExecutor final : public interp::testing::Executor {
 public:
  explicit TranslatedExecutor(const EngineConfig& config = {.code_cache_size = 64 << 20});
  ~TranslatedExecutor() override;
  void run(std::span<const uint32_t> program, interp::testing::MachineState& state) override;

 private:
  class Host;
  void map();
  void run_once(interp::testing::MachineState& state);

  GuestMemory memory_;
  std::unique_ptr<Host> host_;
  std::unique_ptr<Machine> machine_;
  Cpu* cpu_ = nullptr;
  size_t program_words_ = 0;  // of the last program, still in memory
};

}  // namespace adyton::engine::jit::testing
