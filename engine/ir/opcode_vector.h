// Vector and floating-point operations. A V128 value is 128 bits; `aux` holds the element size in bytes (1, 2, 4, 8) unless said otherwise. Operations
// work on all 128 bits; scalar floating-point operations work on element 0 and leave the rest of the result unspecified until
// ZeroUpper (the register allocator knows when the rest is already zero).
//
// Floating point follows IEEE 754 with the guest's rules for NaNs: an operand that is a signalling NaN, first in operand order, else the first
// quiet NaN, is propagated (quietened); an invalid operation without NaN operands gives the positive default NaN. The rounding mode and the cumulative flags
// are the host's own control register, kept for the guest while its code runs.
#pragma once
#include "engine/ir/opcode.h"

#define ADYTON_IR_VECTOR_OPS(X)                                                                          \
  X(GetVec, V128, 0, kPure)            /* imm: register */                                               \
  X(SetVec, Void, 1, kSideEffect)                                                                        \
  X(VecZero, V128, 0, kPure)                                                                             \
  X(VecConst, V128, 0, kPure)          /* imm: 64 bits, in both halves */                                \
  X(ZeroUpper, V128, 1, kPure)         /* aux: bytes kept (1, 2, 4, 8) */                                \
  X(VecFromInt, V128, 1, kPure)        /* I64 into the low aux bytes, rest zero */                       \
  X(VecToInt, I64, 1, kPure)           /* element imm of aux bytes, zero-extended */                     \
  X(VecToIntSigned, typed, 1, kPure)   /* element imm of aux bytes, sign-extended to the type */         \
  X(VecInsert, V128, 2, kPure)         /* a with element imm of aux bytes replaced by integer b */       \
  X(VecInsertElement, V128, 2, kPure)  /* a with element (imm & 0xff) := b's element (imm >> 8) */       \
  X(VecBroadcastInt, V128, 1, kPure)   /* integer to all elements */                                     \
  X(VecBroadcastElement, V128, 1, kPure) /* element imm to all elements */                               \
  X(VecAnd, V128, 2, kPure)                                                                              \
  X(VecOr, V128, 2, kPure)                                                                               \
  X(VecXor, V128, 2, kPure)                                                                              \
  X(VecAndNot, V128, 2, kPure)         /* a & ~b */                                                      \
  X(VecOrNot, V128, 2, kPure)          /* a | ~b */                                                      \
  X(VecNot, V128, 1, kPure)                                                                              \
  X(VecSelect, V128, 3, kPure)         /* (a & b) | (~a & c) bitwise */                                  \
  X(VecAdd, V128, 2, kPure)                                                                              \
  X(VecSub, V128, 2, kPure)                                                                              \
  X(VecMul, V128, 2, kPure)            /* 1, 2, 4 bytes */                                               \
  X(VecNeg, V128, 1, kPure)                                                                              \
  X(VecAbs, V128, 1, kPure)                                                                              \
  X(VecMinS, V128, 2, kPure)                                                                             \
  X(VecMinU, V128, 2, kPure)                                                                             \
  X(VecMaxS, V128, 2, kPure)                                                                             \
  X(VecMaxU, V128, 2, kPure)                                                                             \
  X(VecCmpEq, V128, 2, kPure)                                                                            \
  X(VecCmpGtS, V128, 2, kPure)                                                                           \
  X(VecCmpGtU, V128, 2, kPure)                                                                           \
  X(VecCmpGeS, V128, 2, kPure)                                                                           \
  X(VecCmpGeU, V128, 2, kPure)                                                                           \
  X(VecTest, V128, 2, kPure)           /* all ones where (a & b) != 0 */                                 \
  X(VecShlImm, V128, 1, kPure)         /* imm: amount */                                                 \
  X(VecShrImm, V128, 1, kPure)         /* 0 < imm <= bits: all bits shifted out gives 0 */               \
  X(VecSarImm, V128, 1, kPure)                                                                           \
  X(VecExtractBytes, V128, 2, kPure)   /* bytes imm..imm+15 of b:a (a low) */                            \
  X(VecZipLow, V128, 2, kPure)         /* a0 b0 a1 b1 ... */                                             \
  X(VecZipHigh, V128, 2, kPure)                                                                          \
  X(VecUnzipEven, V128, 2, kPure)      /* a0 a2 .. b0 b2 .. */                                           \
  X(VecUnzipOdd, V128, 2, kPure)                                                                         \
  X(VecTransposeEven, V128, 2, kPure)  /* a0 b0 a2 b2 .. */                                              \
  X(VecTransposeOdd, V128, 2, kPure)                                                                     \
  X(VecTable1, V128, 2, kPure)         /* a: table, b: indices; out of range gives 0 */                  \
  X(VecWidenLowS, V128, 1, kPure)      /* aux: source element bytes; low half to double width */         \
  X(VecWidenLowU, V128, 1, kPure)                                                                        \
  X(VecWidenHighS, V128, 1, kPure)                                                                       \
  X(VecWidenHighU, V128, 1, kPure)                                                                       \
  X(VecNarrow, V128, 1, kPure)         /* aux: destination bytes; truncates into the low half, rest 0 */ \
  X(VecReverse, V128, 1, kPure)        /* aux: element bytes; reversed within groups of imm bytes */     \
  X(VecCountBits, V128, 1, kPure)      /* per byte */                                                    \
  X(VecAesEncryptStep, V128, 2, kPure) /* ShiftRows, SubBytes of a ^ b */                                \
  X(VecAesDecryptStep, V128, 2, kPure)                                                                   \
  X(VecAesMixColumns, V128, 1, kPure)                                                                    \
  X(VecAesInverseMixColumns, V128, 1, kPure)                                                             \
  X(VecCarrylessMul64, V128, 2, kPure) /* imm: 0 low by low, 1 high by high */                           \
  /* A helper on vectors: fn(Vector* result, const Vector* a, b, c, uint64_t aux); imm: helper index, aux as given. */ \
  X(VecCall1, V128, 1, kSideEffect)                                                                      \
  X(VecCall2, V128, 2, kSideEffect)                                                                      \
  X(VecCall3, V128, 3, kSideEffect)                                                                      \
  /* Floating point, aux: element bytes (4, 8). Scalar forms. */                                         \
  X(FpAdd, V128, 2, kSideEffect)                                                                         \
  X(FpSub, V128, 2, kSideEffect)                                                                         \
  X(FpMul, V128, 2, kSideEffect)                                                                         \
  X(FpDiv, V128, 2, kSideEffect)                                                                         \
  X(FpSqrt, V128, 1, kSideEffect)                                                                        \
  X(FpFma, V128, 3, kSideEffect)       /* a + b * c, NaN priority a, b, c */                             \
  X(FpAbs, V128, 1, kPure)                                                                               \
  X(FpNeg, V128, 1, kPure)                                                                               \
  X(FpCompareFlags, Void, 2, kDefinesFlags)       /* quiet */                                            \
  X(FpCompareSignalFlags, Void, 2, kDefinesFlags) /* signals on quiet NaNs too */                        \
  X(FpConvert, V128, 1, kSideEffect)   /* aux: from bytes, imm: to bytes (4, 8) */                       \
  X(FpFromInt, V128, 1, kSideEffect)   /* integer a; aux: to bytes; imm: FpIntInfo */                    \
  X(FpToInt, I64, 1, kSideEffect)      /* aux: from bytes; imm: FpIntInfo; saturating, NaN gives 0 */    \
  X(FpRound, V128, 1, kSideEffect)     /* to integral; imm: FpRounding | exact << 8 */                   \
  /* Vector forms. */                                                                                    \
  X(VecFpAdd, V128, 2, kSideEffect)                                                                      \
  X(VecFpSub, V128, 2, kSideEffect)                                                                      \
  X(VecFpMul, V128, 2, kSideEffect)                                                                      \
  X(VecFpDiv, V128, 2, kSideEffect)                                                                      \
  X(VecFpSqrt, V128, 1, kSideEffect)                                                                     \
  X(VecFpFma, V128, 3, kSideEffect)                                                                      \
  X(VecFpAbs, V128, 1, kPure)                                                                            \
  X(VecFpNeg, V128, 1, kPure)                                                                            \
  X(VecFpCmpEq, V128, 2, kSideEffect)                                                                    \
  X(VecFpCmpGt, V128, 2, kSideEffect)                                                                    \
  X(VecFpCmpGe, V128, 2, kSideEffect)

namespace adyton::ir {

enum class FpRounding : uint8_t { kNearestEven, kUp, kDown, kZero, kNearestAway, kCurrent };

// imm of FpFromInt and FpToInt.
struct FpIntInfo {
  uint8_t int_bits = 64;      // 32 or 64
  bool is_signed = true;
  FpRounding rounding = FpRounding::kZero;

  [[nodiscard]] constexpr uint64_t pack() const { return int_bits | (uint64_t{is_signed} << 8) | (static_cast<uint64_t>(rounding) << 16); }
  static constexpr FpIntInfo unpack(uint64_t v) {
    return {static_cast<uint8_t>(v), ((v >> 8) & 1) != 0, static_cast<FpRounding>((v >> 16) & 0xff)};
  }
};

enum class Opcode : uint8_t {
  kNone,
#define X(name, type, operands, properties) k##name,
  ADYTON_IR_INTEGER_OPS(X) ADYTON_IR_MEMORY_OPS(X) ADYTON_IR_CONTROL_OPS(X) ADYTON_IR_VECTOR_OPS(X)
#undef X
  kCount
};

struct OpcodeInfo {
  const char* name;
  uint8_t operands;
  uint8_t properties;
};
extern const OpcodeInfo kOpcodeInfo[static_cast<size_t>(Opcode::kCount)];
inline const OpcodeInfo& info(Opcode op) { return kOpcodeInfo[static_cast<size_t>(op)]; }

}  // namespace adyton::ir
