// KVM register ids over the software CPU's state.
#pragma once
#include <cstdint>
#include <span>

#include "base/result.h"
#include "engine/arm64/cpu_state.h"

namespace adyton::hypervisor::soft {

// kNotFound: no such register; kInvalidArgument: the span has another size. Read-only registers (MPIDR_EL1) accept only their own
// value.
Result<void> read_register(const engine::arm64::CpuState& state, uint64_t id, std::span<uint8_t> value);
Result<void> write_register(engine::arm64::CpuState& state, uint64_t id, std::span<const uint8_t> value);

}  // namespace adyton::hypervisor::soft
