// Random instructions and programs from lists of encoding patterns, random machine states, and the differential loop over two
// executors.
//
// A list is a file of rows X(Name, "pattern", flags), included where wanted:
//   const Encoding kRows[] = {
//   #define X(name, pattern, flags) Encoding(#name, pattern, flags),
//   #include "engine/interp/testing/encodings_integer.inc"
//   #undef X
//   };
// A pattern has 32 characters, spaces apart: 0 and 1 are fixed; every letter is random, and a run of five letters d, n, m, t, s,
// a or u is a register number (more often equal to another one of the instruction than chance would have it). Combinations that
// are reserved need not be excluded: the loop compares UNDEFINED too.
#pragma once
#include <array>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/interp/testing/machine_state.h"
#include "engine/interp/testing/random.h"

namespace adyton::engine::interp::testing {

// How an instruction addresses memory or branches, so that the generator can make it stay in the window. Base register Rn is bits
// 9:5.
enum EncodingFlags : uint32_t {
  kPlain = 0,
  kAddressBase = 1,      // [Xn]; post-indexed forms too
  kAddressImm9 = 2,      // [Xn, #simm9 (bits 20:12)]
  kAddressImm12 = 3,     // [Xn, #uimm12 * size]
  kAddressImm7 = 4,      // pair: [Xn, #simm7 * size]
  kAddressRegister = 5,  // [Xn, Rm, extend]
  kAddressLiteral = 6,   // PC-relative, imm19
  kBranchImm26 = 7,
  kBranchImm19 = 8,
  kBranchImm14 = 9,
  kBranchRegister = 10,  // BR, BLR, RET
  kAddressMask = 0xf,
  kAligned = 1u << 4,          // the address is a multiple of 16
  kWriteBack = 1u << 5,        // Rn differs from Rt (and Rt2 of a pair)
  kPair = 1u << 6,             // Rt2 (bits 14:10) differs from Rt when loading
  kVectorRegisters = 1u << 7,  // Rt is a V register: no overlap with Rn
  kNoVixl = 1u << 8,           // VIXL cannot run it, or answers at random
  kStatusRegister = 1u << 9,   // store exclusive: Rs (bits 20:16) differs from Rt, Rt2 and Rn
};

struct Encoding {
  constexpr Encoding(const char* encoding_name, std::string_view pattern, uint32_t encoding_flags)
      : name(encoding_name), flags(encoding_flags) {
    unsigned position = 32;
    for (const char c : pattern) {
      if (c == ' ') continue;
      if (position == 0) throw "a pattern has more than 32 bits";
      position--;
      letters[position] = c;
      if (c == '0' || c == '1') {
        mask |= 1u << position;
        if (c == '1') bits |= 1u << position;
      }
    }
    if (position != 0) throw "a pattern has less than 32 bits";
  }
  [[nodiscard]] uint32_t addressing() const { return flags & kAddressMask; }

  const char* name;
  uint32_t flags;
  uint32_t mask = 0, bits = 0;
  std::array<char, 32> letters{};  // by bit number
};

// One random instruction and what it needs: registers (31 = SP) that must have certain values before it.
struct Instance {
  const Encoding* encoding = nullptr;
  uint32_t word = 0;
  struct Need {
    unsigned reg;
    uint64_t value;
  };
  std::array<Need, 2> needs{};
  unsigned need_count = 0;
};

// For an instruction that will stand at `pc`. Branches go anywhere in the code window.
Instance random_instance(Random& random, const Encoding& encoding, uint64_t pc);

// Straight-line code with forward branches: every instruction is preceded by moves that give it its needs. Words that `wanted`
// (if any) refuses are left out.
std::vector<uint32_t> random_program(Random& random, std::span<const Encoding* const> encodings, unsigned instructions,
                                     const std::function<bool(uint32_t)>& wanted);

uint64_t interesting_integer(Random& random);
// Lanes of 8 to 64 bits: integers, and floating-point numbers with many special values.
arm64::Vector interesting_vector(Random& random);
MachineState random_state(Random& random);

struct FuzzConfig {
  uint64_t seed = 0;  // of the first case; printed with every failure
  uint64_t count = 0;
  CompareOptions compare;
  uint32_t excluded_flags = 0;  // rows with any of them are left out
  unsigned program_length = 1;  // instructions; 1: needs are put in the state instead of moves
  // Adjusts the random start state (FPCR, say).
  std::function<void(Random&, MachineState&)> prepare;
  // Does the oracle know the word? If not, the subject must find it UNDEFINED; programs leave such words out. Empty: always run
  // both and compare their exceptions too.
  std::function<bool(uint32_t)> is_allocated;
  // Words for which the oracle is known to be wrong, or where the manual leaves a choice.
  std::function<bool(uint32_t)> skip;
};

// Seed and count from ADYTON_FUZZ_SEED and ADYTON_FUZZ_COUNT, else random and `default_count`.
FuzzConfig fuzz_config(uint64_t default_count);

// Runs random cases on both. Returns a report of the first disagreement, reduced to the first instruction that shows it, with the
// seed that repeats it (ADYTON_FUZZ_SEED=... ADYTON_FUZZ_COUNT=1).
std::optional<std::string> fuzz(Executor& oracle, Executor& subject, std::span<const Encoding> encodings,
                                const FuzzConfig& config);

}  // namespace adyton::engine::interp::testing
