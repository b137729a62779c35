// Advanced SIMD and cryptography: the choice of the class (Arm ARM C4.1.90).
#include "engine/arm64/translate/translator.h"

namespace adyton::engine::arm64 {

Translator::Flow Translator::simd(uint32_t) { return Flow::kInterpret; }

}  // namespace adyton::engine::arm64
