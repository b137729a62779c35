// Scalar floating point (Arm ARM C4.1.90).
#include "engine/arm64/translate/translator.h"

namespace adyton::engine::arm64 {

Translator::Flow Translator::fp_scalar(uint32_t) { return Flow::kInterpret; }

}  // namespace adyton::engine::arm64
