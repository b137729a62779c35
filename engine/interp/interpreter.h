// The reference interpreter: one A64 instruction at a time, written from the Arm Architecture Reference Manual (DDI 0487) and
// sharing no code with the translator, so that it can be the second opinion in tests.
//
// Threading: everything runs on the thread that owns `cpu`.
#pragma once
#include "engine/arm64/cpu_state.h"
#include "engine/interp/environment.h"

namespace adyton::engine::interp {

// Fetches, decodes and executes the instruction at cpu.pc.
//   kDone       the PC has advanced or branched.
//   kException  cpu is as arm64::take_sync_exception left it: PC at the vector; the instruction has changed nothing else, apart
//   from
//               parts of a multi-register store that were already written (they will be written again).
//   kExit       nothing has changed; call step again later. The exceptions are HVC, SMC, WFI and WFE: the PC is already past them
//   when
//               the environment is asked, and stays there.
Outcome step(arm64::CpuState& cpu, Environment& environment);

// The same without the fetch: executes `insn` as if it stood at cpu.pc.
Outcome execute(arm64::CpuState& cpu, Environment& environment, uint32_t insn);

}  // namespace adyton::engine::interp
