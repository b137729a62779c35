// Scalar floating point, Advanced SIMD and cryptography (Arm ARM C4.1, "Data processing -- Scalar Floating-Point and Advanced SIMD").
#include "engine/interp/execute.h"

namespace adyton::engine::interp {

Outcome execute_simd_fp(CpuState& cpu, Environment&, uint32_t) { return undefined(cpu); }

}  // namespace adyton::engine::interp
