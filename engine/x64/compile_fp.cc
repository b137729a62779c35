// Floating point.
#include "engine/x64/block_compiler.h"

namespace adyton::engine::x64 {

bool BlockCompiler::floating_point(Value, const Inst&) { return false; }

}  // namespace adyton::engine::x64
