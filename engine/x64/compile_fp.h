// Shared by the floating-point parts of the block compiler.
#pragma once
#include "engine/x64/block_compiler.h"

namespace adyton::engine::x64 {

// The cold way of a floating-point instruction: where its operands still are, and where its result is wanted.
struct BlockCompiler::FpSlow {
  int operands = 0;
  Xmm operand[3] = {};
  bool integer_result = false;
  Xmm result = Xmm::xmm0;
  Gpr integer = Gpr::rax;
};

// imm8 of vround* and vcvtps2ph: what differs from the rounding mode itself.
constexpr unsigned kRoundByMxcsr = 4, kRoundWithoutInexact = 8;

constexpr uint64_t kSinglePowerOfTwo(unsigned exponent) { return uint64_t{127 + exponent} << 23; }
constexpr uint64_t kDoublePowerOfTwo(unsigned exponent) { return uint64_t{1023 + exponent} << 52; }

}  // namespace adyton::engine::x64
