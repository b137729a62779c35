// Vector and floating-point operations. A V128 value is 128 bits; `aux` holds the element size in bytes (1, 2, 4, 8) unless said otherwise. Operations
// work on all 128 bits; floating-point ones on as many as their FpShape says.
//
// Floating point follows IEEE 754 with the guest's rules for NaNs: an operand that is a signalling NaN, first in operand order, else the first
// quiet NaN, is propagated (quietened); an invalid operation without NaN operands gives the positive default NaN. The rounding mode and the cumulative flags
// are the host's own control register, kept for the guest while its code runs.
#pragma once
#include "engine/ir/opcode.h"

#define ADYTON_IR_VECTOR_OPS(X)                                                                                                 \
  X(GetVec, V128, 0, kPure)            /* imm: register */                                                                      \
  X(SetVec, Void, 1, kSideEffect)                                                                                               \
  X(VecZero, V128, 0, kPure)                                                                                                    \
  X(VecConst, V128, 0, kPure)          /* imm: 64 bits, in both halves */                                                       \
  X(ZeroUpper, V128, 1, kPure)         /* aux: bytes kept (1, 2, 4, 8) */                                                       \
  X(VecFromInt, V128, 1, kPure)        /* I64 into the low aux bytes, rest zero */                                              \
  X(VecToInt, I64, 1, kPure)           /* element imm of aux bytes, zero-extended */                                            \
  X(VecToIntSigned, typed, 1, kPure)   /* element imm of aux bytes, sign-extended to the type */                                \
  X(VecInsert, V128, 2, kPure)         /* a with element imm of aux bytes replaced by integer b */                              \
  X(VecInsertElement, V128, 2, kPure)  /* a with element (imm & 0xff) := b's element (imm >> 8) */                              \
  X(VecBroadcastInt, V128, 1, kPure)   /* integer to all elements */                                                            \
  X(VecBroadcastElement, V128, 1, kPure) /* element imm to all elements */                                                      \
  X(VecAnd, V128, 2, kPure)                                                                                                     \
  X(VecOr, V128, 2, kPure)                                                                                                      \
  X(VecXor, V128, 2, kPure)                                                                                                     \
  X(VecAndNot, V128, 2, kPure)         /* a & ~b */                                                                             \
  X(VecOrNot, V128, 2, kPure)          /* a | ~b */                                                                             \
  X(VecNot, V128, 1, kPure)                                                                                                     \
  X(VecSelect, V128, 3, kPure)         /* (a & b) | (~a & c) bitwise */                                                         \
  X(VecBlend, V128, 3, kPure)          /* b where a's byte is all ones, c where it is zero */                                   \
  X(VecAdd, V128, 2, kPure)                                                                                                     \
  X(VecSub, V128, 2, kPure)                                                                                                     \
  X(VecMul, V128, 2, kPure)            /* 1, 2, 4 bytes */                                                                      \
  X(VecNeg, V128, 1, kPure)                                                                                                     \
  X(VecAbs, V128, 1, kPure)            /* the most negative number stays */                                                     \
  X(VecAddSatS, V128, 2, kPure)                                                                                                 \
  X(VecAddSatU, V128, 2, kPure)                                                                                                 \
  X(VecSubSatS, V128, 2, kPure)                                                                                                 \
  X(VecSubSatU, V128, 2, kPure)                                                                                                 \
  X(VecAverageU, V128, 2, kPure)       /* (a + b + 1) >> 1; 1, 2 bytes */                                                       \
  X(VecMinS, V128, 2, kPure)                                                                                                    \
  X(VecMinU, V128, 2, kPure)                                                                                                    \
  X(VecMaxS, V128, 2, kPure)                                                                                                    \
  X(VecMaxU, V128, 2, kPure)                                                                                                    \
  X(VecMulLongS, V128, 2, kPure)       /* aux: source element bytes (1, 2, 4); of the low (imm 0) or high (1) halves */         \
  X(VecMulLongU, V128, 2, kPure)                                                                                                \
  X(VecMulDoubledHigh, V128, 2, kPure) /* 2, 4 bytes: high half of 2ab, rounded if imm is 1; MIN * MIN wraps to MIN */          \
  X(VecMulAddPairs, V128, 2, kPure)    /* 16-bit signed: a0 b0 + a1 b1, ... in 32 bits */                                       \
  X(VecPairAdd, V128, 2, kPure)        /* a0+a1, a2+a3, .. b0+b1, .. */                                                         \
  X(VecPairAddLongS, V128, 1, kPure)   /* aux: source element bytes (1, 2, 4); a0+a1, .. at double width */                     \
  X(VecPairAddLongU, V128, 1, kPure)                                                                                            \
  X(VecSumBytes, V128, 1, kPure)       /* of each half, in 64 bits */                                                           \
  X(VecReduceMinS, V128, 1, kPure)     /* 1, 2, 4 bytes; over all elements, into element 0; the rest unspecified */             \
  X(VecReduceMinU, V128, 1, kPure)                                                                                              \
  X(VecReduceMaxS, V128, 1, kPure)                                                                                              \
  X(VecReduceMaxU, V128, 1, kPure)                                                                                              \
  X(VecCmpEq, V128, 2, kPure)                                                                                                   \
  X(VecCmpGtS, V128, 2, kPure)                                                                                                  \
  X(VecCmpGtU, V128, 2, kPure)                                                                                                  \
  X(VecCmpGeS, V128, 2, kPure)                                                                                                  \
  X(VecCmpGeU, V128, 2, kPure)                                                                                                  \
  X(VecTest, V128, 2, kPure)           /* all ones where (a & b) != 0 */                                                        \
  X(VecShlImm, V128, 1, kPure)         /* imm: amount, below bits */                                                            \
  X(VecShrImm, V128, 1, kPure)         /* 0 < imm <= bits: all bits shifted out gives 0 */                                      \
  X(VecSarImm, V128, 1, kPure)                                                                                                  \
  X(VecShiftVarS, V128, 2, kPure)      /* 2, 4, 8 bytes: a << the signed low byte of b's element; negative: arithmetic >> */    \
  X(VecShiftVarU, V128, 2, kPure)      /* negative: logical >> */                                                               \
  X(VecShiftBytesRight, V128, 1, kPure) /* the whole vector, by imm bytes (1..15) */                                            \
  X(VecShiftBytesLeft, V128, 1, kPure)                                                                                          \
  X(VecExtractBytes, V128, 2, kPure)   /* bytes imm..imm+15 of b:a (a low); imm 0..15 */                                        \
  X(VecZipLow, V128, 2, kPure)         /* a0 b0 a1 b1 ... */                                                                    \
  X(VecZipHigh, V128, 2, kPure)                                                                                                 \
  X(VecUnzipEven, V128, 2, kPure)      /* a0 a2 .. b0 b2 .. */                                                                  \
  X(VecUnzipOdd, V128, 2, kPure)                                                                                                \
  X(VecTransposeEven, V128, 2, kPure)  /* a0 b0 a2 b2 .. */                                                                     \
  X(VecTransposeOdd, V128, 2, kPure)                                                                                            \
  X(VecTable1, V128, 2, kPure)         /* a: table, b: indices; out of range gives 0 */                                         \
  X(VecDeinterleave3, V128, 3, kPure)  /* elements imm, imm + 3, imm + 6 ... of c:b:a (a low) */                                \
  X(VecInterleave3, V128, 3, kPure)    /* vector imm (0, 1, 2) of a0 b0 c0 a1 b1 c1 ... */                                      \
  X(VecWidenLowS, V128, 1, kPure)      /* aux: source element bytes; low half to double width */                                \
  X(VecWidenLowU, V128, 1, kPure)                                                                                               \
  X(VecWidenHighS, V128, 1, kPure)                                                                                              \
  X(VecWidenHighU, V128, 1, kPure)                                                                                              \
  X(VecNarrow, V128, 1, kPure)         /* aux: destination bytes; truncates into the low half, rest 0 */                        \
  X(VecNarrowSatS, V128, 1, kPure)     /* signed to signed, saturated; otherwise like VecNarrow */                              \
  X(VecNarrowSatSU, V128, 1, kPure)    /* signed to unsigned */                                                                 \
  X(VecNarrowSatU, V128, 1, kPure)     /* unsigned to unsigned */                                                               \
  X(VecReverse, V128, 1, kPure)        /* aux: element bytes; reversed within groups of imm bytes */                            \
  X(VecReverseBits, V128, 1, kPure)    /* of each byte */                                                                       \
  X(VecCountBits, V128, 1, kPure)      /* per byte */                                                                           \
  X(VecMarkIfDifferent, Void, 2, kSideEffect) /* where the low aux bytes of a and b differ: a 32-bit word of the state */       \
                                       /* at byte offset imm & 0xffffffff is ORed with imm >> 32 */                             \
  X(VecAesEncryptStep, V128, 2, kPure) /* ShiftRows, SubBytes of a ^ b */                                                       \
  X(VecAesDecryptStep, V128, 2, kPure)                                                                                          \
  X(VecAesEncryptRound, V128, 2, kPure) /* and MixColumns */                                                                    \
  X(VecAesDecryptRound, V128, 2, kPure)                                                                                         \
  X(VecAesMixColumns, V128, 1, kPure)                                                                                           \
  X(VecAesInverseMixColumns, V128, 1, kPure)                                                                                    \
  X(VecCarrylessMul64, V128, 2, kPure) /* imm: 0 low by low, 1 high by high */                                                  \
  /* SHA (FIPS 180-4), only where the back end says that it has it. Words of state and schedule stand in order, the first       \
     in element 0. Rounds: four of them; w is schedule plus constants. */                                                       \
  X(VecSha1Rounds, V128, 3, kPure)     /* abcd, e (element 0), w; imm: 0 Ch, 1 Parity, 2 Maj; new abcd */                       \
  X(VecSha256Rounds, V128, 3, kPure)   /* abcd, efgh, w: new abcd; VectorPairSecond, which must follow, yields the new efgh */  \
  X(VecSha256Schedule0, V128, 2, kPure) /* a + sigma0(b0:a3:a2:a1) */                                                           \
  X(VecSha256Schedule1, V128, 2, kPure) /* a + sigma1 of the two words before each; b: the four words before a */               \
  /* A helper, fn(V128* result, const V128* a, b, c, uint64_t aux); imm: its index in Block::helpers */                         \
  X(VecCall, V128, 3, kSideEffect)                                                                                              \
  /* Floating point: aux is the element size (4, 8), imm a packed FpInfo, unless said otherwise. */                             \
  X(FpAdd, V128, 2, kSideEffect)                                                                                                \
  X(FpSub, V128, 2, kSideEffect)                                                                                                \
  X(FpMul, V128, 2, kSideEffect)                                                                                                \
  X(FpDiv, V128, 2, kSideEffect)                                                                                                \
  X(FpMax, V128, 2, kSideEffect)       /* +0 > -0; NaNs propagate */                                                            \
  X(FpMin, V128, 2, kSideEffect)                                                                                                \
  X(FpMaxNumber, V128, 2, kSideEffect) /* a quiet NaN loses against a number */                                                 \
  X(FpMinNumber, V128, 2, kSideEffect)                                                                                          \
  X(FpSqrt, V128, 1, kSideEffect)                                                                                               \
  X(FpFma, V128, 3, kSideEffect)       /* a + b * c, rounded once; NaN priority a, b, c */                                      \
  X(FpAbs, V128, 1, kPure)                                                                                                      \
  X(FpNeg, V128, 1, kPure)                                                                                                      \
  X(FpCmpEq, V128, 2, kSideEffect)     /* all ones where it holds; quiet */                                                     \
  X(FpCmpGe, V128, 2, kSideEffect)     /* these two signal on quiet NaNs too */                                                 \
  X(FpCmpGt, V128, 2, kSideEffect)                                                                                              \
  X(FpMulExtended, V128, 2, kSideEffect)    /* 0 * infinity is 2 */                                                             \
  X(FpRecipStep, V128, 2, kSideEffect)      /* 2 - a * b, rounded once; 0 * infinity counts as 0 */                             \
  X(FpRsqrtStep, V128, 2, kSideEffect)      /* (3 - a * b) / 2, likewise */                                                     \
  X(FpRecipEstimate, V128, 1, kSideEffect)  /* the guest architecture's tables */                                               \
  X(FpRsqrtEstimate, V128, 1, kSideEffect)                                                                                      \
  X(FpRecipExponent, V128, 1, kSideEffect)                                                                                      \
  X(FpRound, V128, 1, kSideEffect)     /* to an integral value; FpInfo::rounding, exact */                                      \
  X(FpConvert, V128, 1, kSideEffect)   /* scalar; aux: from bytes, FpInfo::bytes: to bytes (2, 4, 8) */                         \
  X(FpConvertLong, V128, 1, kSideEffect)    /* aux: source bytes (2, 4); low or high half, widened */                           \
  X(FpConvertNarrow, V128, 1, kSideEffect)  /* aux: result bytes (2, 4); into the low half, rest 0 */                           \
  /* Scalars from and to integer values of FpInfo::bytes (4, 8); vectors of integers of the element size. */                    \
  /* To integers: saturating, NaN gives 0. */                                                                                   \
  X(FpFromInt, V128, 1, kSideEffect)                                                                                            \
  X(FpToInt, I64, 1, kSideEffect)      /* zero-extended */                                                                      \
  X(FpFromIntLanes, V128, 1, kSideEffect)                                                                                       \
  X(FpToIntLanes, V128, 1, kSideEffect)                                                                                         \
  X(FpSelect, V128, 2, kUsesFlags)     /* aux: condition; imm: bytes (4, 8); the rest of the result is zero */                  \
  X(FpCompareFlags, Void, 2, kDefinesFlags)       /* scalar, quiet; imm unused */                                               \
  X(FpCompareSignalFlags, Void, 2, kDefinesFlags) /* signals on quiet NaNs too */                                               \
  /* imm: NZCV when the condition does not hold | condition << 4 | signalling << 8. */                                          \
  X(FpCompareIf, Void, 2, kDefinesFlags | kUsesFlags)

namespace adyton::ir {

enum class FpRounding : uint8_t { kNearestEven, kUp, kDown, kZero, kNearestAway, kCurrent };

// Which elements an operation works on: element 0, those of the low 64 bits, all. The rest of the operands is not looked at, the rest of
// the result is zero.
enum class FpShape : uint8_t { kScalar, kHalf, kFull };

// imm of floating-point operations. Each reads what concerns it.
struct FpInfo {
  FpShape shape = FpShape::kScalar;
  FpRounding rounding = FpRounding::kCurrent;
  bool exact = false;           // FpRound: raises Inexact when the value changes
  bool is_signed = false;       // the integers
  bool negate_product = false;  // FpFma: a - b * c; b's sign is changed before anything else happens
  bool negate_addend = false;   // FpFma: likewise a's
  bool high_half = false;       // FpConvertLong: source is the high half
  uint8_t bytes = 0;            // size of the integer, or of the other format
  uint8_t fraction_bits = 0;    // integers are multiples of 2^-fraction_bits (0..64)

  [[nodiscard]] constexpr uint64_t pack() const {
    return static_cast<uint64_t>(shape) | (static_cast<uint64_t>(rounding) << 2) | (uint64_t{exact} << 5) | (uint64_t{is_signed} << 6) |
           (uint64_t{negate_product} << 7) | (uint64_t{negate_addend} << 8) | (uint64_t{high_half} << 9) | (uint64_t{bytes} << 16) |
           (uint64_t{fraction_bits} << 24);
  }
  static constexpr FpInfo unpack(uint64_t v) {
    const auto flag = [v](unsigned n) { return ((v >> n) & 1) != 0; };
    return {static_cast<FpShape>(v & 3), static_cast<FpRounding>((v >> 2) & 7), flag(5), flag(6), flag(7), flag(8), flag(9),
            static_cast<uint8_t>(v >> 16), static_cast<uint8_t>(v >> 24)};
  }
};

enum class Opcode : uint16_t {
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
