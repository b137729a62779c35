// The floating-point members of the Advanced SIMD classes (Arm ARM C4.1.90).
#include "engine/arm64/translate/translator.h"

namespace adyton::engine::arm64 {

Translator::Flow Translator::vector_fp_three_same(uint32_t) { return Flow::kInterpret; }
Translator::Flow Translator::vector_fp_three_same_extra(uint32_t) { return Flow::kInterpret; }
Translator::Flow Translator::vector_fp_two_reg_misc(uint32_t) { return Flow::kInterpret; }
Translator::Flow Translator::vector_fp_by_element(uint32_t) { return Flow::kInterpret; }
Translator::Flow Translator::vector_fp_pairwise_scalar(uint32_t) { return Flow::kInterpret; }
Translator::Flow Translator::vector_fp_across_lanes(uint32_t) { return Flow::kInterpret; }
Translator::Flow Translator::vector_fp_shift_imm(uint32_t) { return Flow::kInterpret; }

}  // namespace adyton::engine::arm64
