#include "engine/interp/testing/interpreter_executor.h"

#include <cstring>

#include "engine/interp/interpreter.h"

namespace adyton::engine::interp::testing {

InterpreterExecutor::InterpreterExecutor(const FixedMemory& window)
    : window_(window), cpu_(std::make_unique<arm64::CpuState>()), environment_(*cpu_, window) {}

void InterpreterExecutor::run(std::span<const uint32_t> program, MachineState& state) {
  *cpu_ = {};
  cpu_->el = 1;
  cpu_->sp_sel = 1;
  cpu_->cpacr_el1 = 3u << 20;  // FPEN: no trap
  std::memcpy(cpu_->x, state.x.data(), sizeof state.x);
  cpu_->x[31] = state.sp;
  cpu_->pc = state.pc;
  cpu_->set_nzcv(state.nzcv);
  cpu_->fpcr = state.fpcr;
  cpu_->fpsr = state.fpsr;
  std::memcpy(cpu_->v, state.v.data(), sizeof cpu_->v);
  environment_.clear_exclusive();
  std::memcpy(window_.bytes() + (kCodeAddress - kWindowAddress), program.data(), program.size_bytes());
  uint8_t* data = window_.bytes() + (kDataAddress - kWindowAddress);
  std::memcpy(data, state.data.data(), kDataSize);

  while (cpu_->pc - kCodeAddress < program.size_bytes()) {
    const uint64_t pc = cpu_->pc;
    if (step(*cpu_, environment_) == Outcome::kDone) continue;
    state.exception = true;
    state.exception_class = static_cast<uint8_t>(cpu_->esr_el[1] >> 26);
    cpu_->pc = pc;
    break;
  }

  std::memcpy(state.x.data(), cpu_->x, sizeof state.x);
  state.sp = cpu_->x[31];
  state.pc = cpu_->pc;
  state.nzcv = cpu_->nzcv();
  state.fpcr = cpu_->fpcr;
  state.fpsr = cpu_->fpsr;
  std::memcpy(state.v.data(), cpu_->v, sizeof cpu_->v);
  std::memcpy(state.data.data(), data, kDataSize);
}

}  // namespace adyton::engine::interp::testing
