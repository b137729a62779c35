// Exact floating point for what translated code does not settle itself.
#pragma once
#include "engine/jit/exec_state.h"

namespace adyton::engine::jit {

// One IR operation (a packed x64::FpOperation) on state->call_vectors[1..3], result in [0], under the guest's FPCR. Ors the cumulative flags that it
// raises into FPSR.
void fp_operation(ExecState* state, uint64_t operation);

}  // namespace adyton::engine::jit
