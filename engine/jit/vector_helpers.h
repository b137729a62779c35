// What translated code calls for vector operations that the host's processor does not have: ir::Opcode::kVecCall.
#pragma once
#include <cstdint>

#include "engine/arm64/cpu_state.h"

namespace adyton::engine::jit {

using arm64::Vector;

// Four rounds of SHA-1 (FIPS 180-4, 6.1.2) on abcd; e in element 0; w is schedule plus constants. `function`: 0 Ch, 1 Parity, 2
// Maj.
void sha1_rounds(Vector* result, const Vector* abcd, const Vector* e, const Vector* w, uint64_t function);
// Four rounds of SHA-256 (6.2.2): the new abcd, or (`second`) the new efgh.
void sha256_rounds(Vector* result, const Vector* abcd, const Vector* efgh, const Vector* w, uint64_t second);

}  // namespace adyton::engine::jit
