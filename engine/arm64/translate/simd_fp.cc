// Scalar floating point, Advanced SIMD and crypto (Arm ARM C4.1.90): the choice between the two front ends.
#include "engine/arm64/translate/translator.h"

namespace adyton::engine::arm64 {

Translator::Flow Translator::simd_fp(uint32_t insn) {
  // Bits 27:25 are 111. Scalar floating point has bit 28 set and bit 30 clear (bit 31 tells the width of an integer register).
  if (bit(insn, 28) && !bit(insn, 30)) return fp_scalar(insn);
  return bit(insn, 31) ? Flow::kInterpretExit : simd(insn);
}

}  // namespace adyton::engine::arm64
