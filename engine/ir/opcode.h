// The operations of the intermediate representation.
//
// Guest- and host-neutral: a register file of 32 integer and 32 vector registers, four condition flags, memory behind a software TLB, and
// ordering as a mask. Integer values are 64 bits wide; an operation of type I32 reads the low halves of its operands and zero-extends its result,
// so no explicit truncation or extension is ever needed between the two.
//
// Columns of the lists: name, result type, number of value operands, property bits.
#pragma once
#include <cstddef>
#include <cstdint>

namespace adyton::ir {

enum class Type : uint8_t { kVoid, kI32, kI64, kV128 };

// Property bits.
constexpr uint8_t kPure = 0;
constexpr uint8_t kSideEffect = 1 << 0;   // must not be removed when unused
constexpr uint8_t kDefinesFlags = 1 << 1;
constexpr uint8_t kUsesFlags = 1 << 2;
constexpr uint8_t kObservesState = 1 << 3;  // guest registers and flags must be in memory before, and are reread after
constexpr uint8_t kMaySideExit = 1 << 4;
constexpr uint8_t kTerminator = 1 << 5;

// Integer. `typed` means: the instruction's type field says I32 or I64.
#define ADYTON_IR_INTEGER_OPS(X)                                                                                          \
  X(Const, typed, 0, kPure)          /* imm */                                                                            \
  X(GetReg, I64, 0, kPure)           /* imm: register */                                                                  \
  X(SetReg, Void, 1, kSideEffect)    /* imm: register */                                                                  \
  X(Add, typed, 2, kPure)                                                                                                 \
  X(Sub, typed, 2, kPure)                                                                                                 \
  X(And, typed, 2, kPure)                                                                                                 \
  X(Or, typed, 2, kPure)                                                                                                  \
  X(Xor, typed, 2, kPure)                                                                                                 \
  X(AndNot, typed, 2, kPure)         /* a & ~b */                                                                         \
  X(Not, typed, 1, kPure)                                                                                                 \
  X(Shl, typed, 2, kPure)            /* shift amounts are taken modulo the width */                                       \
  X(Shr, typed, 2, kPure)                                                                                                 \
  X(Sar, typed, 2, kPure)                                                                                                 \
  X(Ror, typed, 2, kPure)                                                                                                 \
  X(Extract2, typed, 2, kPure)       /* (a:b) >> imm, low half; 0 < imm < width */                                        \
  X(Mul, typed, 2, kPure)                                                                                                 \
  X(MulHighSigned, I64, 2, kPure)                                                                                         \
  X(MulHighUnsigned, I64, 2, kPure)                                                                                       \
  X(DivSigned, typed, 2, kPure)      /* x / 0 = 0, MIN / -1 = MIN */                                                      \
  X(DivUnsigned, typed, 2, kPure)    /* x / 0 = 0 */                                                                      \
  X(CountLeadingZeros, typed, 1, kPure)                                                                                   \
  X(CountLeadingSigns, typed, 1, kPure)  /* bits below the top one that equal it */                                       \
  X(ReverseBits, typed, 1, kPure)                                                                                         \
  X(ReverseBytes, typed, 1, kPure)                                                                                        \
  X(ReverseBytes16, typed, 1, kPure) /* within each halfword */                                                           \
  X(ReverseBytes32, I64, 1, kPure)   /* within each word */                                                               \
  X(SignExtend, typed, 1, kPure)     /* aux: bits (8, 16, 32) */                                                          \
  X(ZeroExtend, typed, 1, kPure)     /* aux: bits (8, 16, 32) */                                                          \
  X(ExtractBits, typed, 1, kPure)    /* imm: lsb | width << 8, zero-extended */                                           \
  X(ExtractBitsSigned, typed, 1, kPure)                                                                                   \
  X(InsertBits, typed, 2, kPure)     /* a with b's low bits at imm: lsb | width << 8 */                                   \
  X(Crc32, I32, 2, kPure)            /* a: accumulator, b: data; aux: bytes */                                            \
  X(Crc32c, I32, 2, kPure)                                                                                                \
  /* Flag producers also yield the result. */                                                                             \
  X(AddFlags, typed, 2, kDefinesFlags)                                                                                    \
  X(SubFlags, typed, 2, kDefinesFlags)                                                                                    \
  X(AndFlags, typed, 2, kDefinesFlags)     /* N and Z; C = V = 0 */                                                       \
  X(AdcFlags, typed, 2, kDefinesFlags | kUsesFlags)                                                                       \
  X(SbcFlags, typed, 2, kDefinesFlags | kUsesFlags)   /* a - b - !C */                                                    \
  X(Adc, typed, 2, kUsesFlags)                                                                                            \
  X(Sbc, typed, 2, kUsesFlags)                                                                                            \
  /* aux: condition; imm: NZCV (4 bits) when it does not hold. The compare's width is the type's. */                      \
  X(CompareIf, typed, 2, kDefinesFlags | kUsesFlags)        /* flags of a - b */                                          \
  X(CompareNegativeIf, typed, 2, kDefinesFlags | kUsesFlags) /* flags of a + b */                                         \
  X(SetNzcv, Void, 1, kDefinesFlags)       /* value's bits 3..0 */                                                        \
  X(GetNzcv, I32, 0, kUsesFlags)           /* bits 3..0 */                                                                \
  X(InvertCarry, Void, 0, kDefinesFlags | kUsesFlags)                                                                     \
  X(Select, typed, 2, kUsesFlags)          /* aux: condition */                                                           \
  X(SetIf, typed, 0, kUsesFlags)           /* aux: condition; 1 or 0 */                                                   \
  X(PageAddress, I64, 0, kPure)            /* virtual address of the block's page + imm */                                \
  X(ReadCounter, I64, 0, kSideEffect)      /* host counter minus the state's offset */                                    \
  X(LoadState, typed, 0, kSideEffect)      /* imm: byte offset; aux: bytes, zero-extended */                              \
  X(StoreState, Void, 1, kSideEffect)

// Memory. imm is a MemoryInfo. Addresses are guest virtual.
#define ADYTON_IR_MEMORY_OPS(X)                                                                                           \
  X(Load, typed, 1, kSideEffect)                 /* zero- or sign-extended as MemoryInfo says */                          \
  X(LoadPair, I64, 1, kSideEffect)               /* first of two adjacent elements; PairSecond yields the other */        \
  X(PairSecond, I64, 1, kPure)                                                                                            \
  X(Store, Void, 2, kSideEffect)                 /* address, value */                                                     \
  X(StorePair, Void, 3, kSideEffect)                                                                                      \
  X(LoadVector, V128, 1, kSideEffect)            /* zero-extended to 128 bits */                                          \
  X(LoadVectorPair, V128, 1, kSideEffect)                                                                                 \
  X(VectorPairSecond, V128, 1, kPure)                                                                                     \
  X(StoreVector, Void, 2, kSideEffect)                                                                                    \
  X(StoreVectorPair, Void, 3, kSideEffect)                                                                                \
  X(AtomicAdd, typed, 2, kSideEffect)            /* address, operand; yields the old value, zero-extended */              \
  X(AtomicClear, typed, 2, kSideEffect)                                                                                   \
  X(AtomicXor, typed, 2, kSideEffect)                                                                                     \
  X(AtomicOr, typed, 2, kSideEffect)                                                                                      \
  X(AtomicSwap, typed, 2, kSideEffect)                                                                                    \
  X(AtomicMaxSigned, typed, 2, kSideEffect)                                                                               \
  X(AtomicMinSigned, typed, 2, kSideEffect)                                                                               \
  X(AtomicMaxUnsigned, typed, 2, kSideEffect)                                                                             \
  X(AtomicMinUnsigned, typed, 2, kSideEffect)                                                                             \
  X(CompareAndSwap, typed, 3, kSideEffect)       /* address, expected, desired; yields the old value */                   \
  X(Fence, Void, 0, kSideEffect)                 /* imm: FenceMask */                                                     \
  X(MarkRelease, Void, 0, kSideEffect)           /* a store-release has been done */                                      \
  X(FenceIfReleasePending, Void, 0, kSideEffect) /* before a load-acquire */

// Control. Exits are numbered in Block::exits.
#define ADYTON_IR_CONTROL_OPS(X)                                                                                          \
  X(ExitIf, Void, 0, kUsesFlags | kMaySideExit)      /* aux: condition; imm: exit */                                      \
  X(ExitIfZero, Void, 1, kMaySideExit)               /* aux: 4 or 8 bytes; imm: exit */                                   \
  X(ExitIfNotZero, Void, 1, kMaySideExit)                                                                                 \
  X(ExitIfBitSet, Void, 1, kMaySideExit)             /* aux: bit; imm: exit */                                            \
  X(ExitIfBitClear, Void, 1, kMaySideExit)                                                                                \
  X(Exit, Void, 0, kTerminator)                      /* imm: exit */                                                      \
  X(ExitIndirect, Void, 1, kTerminator)              /* to a virtual address; aux: IndirectHint */                        \
  /* Helpers: fn(base, a, b, c) -> uint64_t; imm is an index into Block::helpers. */                                      \
  X(CallPure, I64, 3, kPure)                         /* reads and writes no guest state */                                \
  X(Call, I64, 3, kSideEffect | kObservesState)      /* may read and write guest state; may not fault */                  \
  X(CallMayExit, I64, 3, kSideEffect | kObservesState | kMaySideExit) /* fn also returns where to go on, or null */       \
  X(ExitThroughCall, Void, 3, kTerminator | kObservesState)           /* fn returns the host address to go on at */

// Vectors: see opcode_vector.h.

enum class Condition : uint8_t { kEq, kNe, kCs, kCc, kMi, kPl, kVs, kVc, kHi, kLs, kGe, kLt, kGt, kLe, kAlways };
constexpr Condition invert(Condition c) { return static_cast<Condition>(static_cast<uint8_t>(c) ^ 1); }

// Earlier accesses of the first kind are ordered before later ones of the second.
enum FenceMask : uint8_t { kFenceLoadLoad = 1, kFenceLoadStore = 2, kFenceStoreLoad = 4, kFenceStoreStore = 8, kFenceAll = 15 };

enum class IndirectHint : uint8_t { kJump, kCall, kReturn };

// Packed into Inst::imm of memory operations.
struct MemoryInfo {
  uint8_t size = 8;             // bytes of one element: 1, 2, 4, 8, 16
  uint8_t view = 0;             // which TLB view
  bool sign_extend = false;     // to the instruction's type
  bool aligned = false;         // a misaligned address goes to the slow path, which raises the fault
  uint16_t page_offset = 0;     // of the guest instruction, for precise exceptions
  uint8_t instruction_flags = 0;  // opaque to the host side; handed to the slow path

  [[nodiscard]] constexpr uint64_t pack() const {
    return size | (uint64_t{view} << 8) | (uint64_t{sign_extend} << 16) | (uint64_t{aligned} << 17) | (uint64_t{page_offset} << 32) |
           (uint64_t{instruction_flags} << 48);
  }
  static constexpr MemoryInfo unpack(uint64_t v) {
    return {static_cast<uint8_t>(v), static_cast<uint8_t>(v >> 8), ((v >> 16) & 1) != 0, ((v >> 17) & 1) != 0,
            static_cast<uint16_t>(v >> 32), static_cast<uint8_t>(v >> 48)};
  }
};

}  // namespace adyton::ir
