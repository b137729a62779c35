#include "engine/interp/testing/random_program.h"

#include <algorithm>
#include <cstring>

namespace adyton::engine::interp::testing {
namespace {

constexpr uint32_t kMovz64 = 0xd2800000, kMovk64 = 0xf2800000, kAddImmediate64 = 0x91000000;
// Holds what goes to SP; no instruction is guaranteed to keep it.
constexpr unsigned kScratchRegister = 26;

uint32_t bits_of(uint32_t word, unsigned high, unsigned low) { return (word >> low) & ((1u << (high - low + 1)) - 1); }
int64_t signed_bits_of(uint32_t word, unsigned high, unsigned low) {
  const unsigned width = high - low + 1;
  return static_cast<int64_t>(static_cast<uint64_t>(bits_of(word, high, low)) << (64 - width)) >> (64 - width);
}

bool is_register_letter(char c) { return std::string_view("dnmtsau").find(c) != std::string_view::npos; }

uint32_t random_word(Random& random, const Encoding& encoding) {
  uint32_t word = encoding.bits;
  uint32_t last_register = static_cast<uint32_t>(random.below(32));
  for (unsigned low = 0; low < 32;) {
    const char letter = encoding.letters[low];
    unsigned high = low;
    while (high < 31 && encoding.letters[high + 1] == letter) high++;
    if (letter != '0' && letter != '1') {
      const unsigned width = high - low + 1;
      const uint32_t all = width == 32 ? ~0u : (1u << width) - 1;
      uint32_t value = static_cast<uint32_t>(random.next()) & all;
      const uint64_t choice = random.below(8);
      if (width == 5 && is_register_letter(letter)) {
        if (choice == 0) value = 31;
        if (choice == 1) value = last_register;
        last_register = value;
      } else if (width > 1) {
        if (choice == 0) value = 0;
        if (choice == 1) value = all;
      }
      word |= value << low;
    }
    low = high + 1;
  }
  return word;
}

// log2 of the access size of the single-register forms with size:V:opc, and of pairs.
unsigned single_scale(uint32_t word) {
  const bool quad = bits_of(word, 26, 26) && bits_of(word, 23, 23);
  return quad ? 4 : bits_of(word, 31, 30);
}
unsigned pair_scale(uint32_t word) {
  const unsigned opc = bits_of(word, 31, 30);
  if (bits_of(word, 26, 26)) return 2 + opc;
  return opc == 2 ? 3 : 2;
}

// What is CONSTRAINED UNPREDICTABLE, or beyond what needs can express.
bool unwanted_overlap(const Encoding& encoding, uint32_t word) {
  const unsigned t = bits_of(word, 4, 0), n = bits_of(word, 9, 5), t2 = bits_of(word, 14, 10), m = bits_of(word, 20, 16);
  const bool pair = encoding.flags & kPair, vector = encoding.flags & kVectorRegisters;
  if (pair && t == t2) return true;
  if ((encoding.flags & kWriteBack) && !vector && n != 31 && (n == t || (pair && n == t2))) return true;
  if ((encoding.flags & kStatusRegister) && (m == t || m == n || (pair && m == t2))) return true;
  if (encoding.addressing() == kAddressRegister && m == n) return true;
  return encoding.addressing() == kBranchRegister && n == 31;
}

uint64_t random_code_address(Random& random, uint64_t pc) {
  for (;;) {
    const uint64_t address = kCodeAddress - kCodeSlack + random.below(2 * kCodeSlack / 4) * 4;
    if (address != pc) return address;
  }
}

void set_branch_offset(uint32_t& word, uint32_t addressing, int64_t bytes) {
  const auto words = static_cast<uint32_t>(bytes / 4);
  switch (addressing) {
    case kBranchImm26: word = (word & ~0x03ffffffu) | (words & 0x03ffffff); break;
    case kAddressLiteral:
    case kBranchImm19: word = (word & ~(0x7ffffu << 5)) | (words & 0x7ffff) << 5; break;
    case kBranchImm14: word = (word & ~(0x3fffu << 5)) | (words & 0x3fff) << 5; break;
    default: break;
  }
}

void emit_move(std::vector<uint32_t>& program, unsigned reg, uint64_t value) {
  if (reg == 31) {
    emit_move(program, kScratchRegister, value);
    program.push_back(kAddImmediate64 | kScratchRegister << 5 | 31);
    return;
  }
  program.push_back(kMovz64 | static_cast<uint32_t>(value & 0xffff) << 5 | reg);
  for (unsigned half = 1; half < 4; half++) {
    const auto part = static_cast<uint32_t>(value >> (16 * half)) & 0xffff;
    if (part != 0) program.push_back(kMovk64 | half << 21 | part << 5 | reg);
  }
}

}  // namespace

Instance random_instance(Random& random, const Encoding& encoding, uint64_t pc) {
  Instance instance{.encoding = &encoding};
  const uint32_t addressing = encoding.addressing();
  for (;;) {
    uint32_t word = random_word(random, encoding);
    if (unwanted_overlap(encoding, word)) continue;
    instance.need_count = 0;
    const auto need = [&](unsigned reg, uint64_t value) { instance.needs[instance.need_count++] = {reg, value}; };
    const unsigned n = bits_of(word, 9, 5), m = bits_of(word, 20, 16);
    uint64_t target = kDataAddress + 128 + random.below(kDataSize - 256);
    if (encoding.flags & kAligned) target &= ~15ull;
    int64_t offset = 0;
    switch (addressing) {
      case kPlain: instance.word = word; return instance;
      case kBranchImm26:
      case kBranchImm19:
      case kBranchImm14:
        set_branch_offset(word, addressing, static_cast<int64_t>(random_code_address(random, pc) - pc));
        instance.word = word;
        return instance;
      case kBranchRegister:
        need(n, random_code_address(random, pc));
        instance.word = word;
        return instance;
      case kAddressLiteral:
        set_branch_offset(word, addressing, static_cast<int64_t>((target & ~3ull) - pc));
        instance.word = word;
        return instance;
      case kAddressBase: break;
      case kAddressImm9: offset = bits_of(word, 11, 10) == 1 ? 0 : signed_bits_of(word, 20, 12); break;
      case kAddressImm12: offset = static_cast<int64_t>(bits_of(word, 21, 10)) << single_scale(word); break;
      case kAddressImm7: offset = bits_of(word, 24, 23) == 1 ? 0 : signed_bits_of(word, 21, 15) * (1 << pair_scale(word)); break;
      case kAddressRegister: {
        const uint64_t index = m == 31 ? 0 : interesting_integer(random);
        if (m != 31) need(m, index);
        const unsigned option = bits_of(word, 15, 13), shift = bits_of(word, 12, 12) ? single_scale(word) : 0;
        uint64_t extended = index;
        if (option == 2) extended = static_cast<uint32_t>(index);
        if (option == 6) extended = static_cast<uint64_t>(static_cast<int64_t>(static_cast<int32_t>(index)));
        offset = static_cast<int64_t>(extended << shift);
        break;
      }
      default: break;
    }
    uint64_t base = target - static_cast<uint64_t>(offset);
    if (n == 31 && base % 16 != 0) {
      if (encoding.flags & kAligned) continue;
      base &= ~15ull;  // a misaligned SP may fault
    }
    need(n, base);
    instance.word = word;
    return instance;
  }
}

std::vector<uint32_t> random_program(Random& random, std::span<const Encoding* const> encodings, unsigned instructions,
                                     const std::function<bool(uint32_t)>& wanted) {
  struct Branch {
    size_t group, index;  // index of the word to patch
    uint32_t addressing;
  };
  std::vector<uint32_t> program;
  std::vector<size_t> starts;
  std::vector<Branch> branches;
  for (unsigned i = 0; i < instructions; i++) {
    starts.push_back(program.size());
    // A literal load needs its own address, which moves before it would shift; it has no needs, so there are none.
    Instance instance;
    do {
      instance = random_instance(random, *encodings[random.below(encodings.size())], kCodeAddress + 4 * program.size());
    } while (wanted && !wanted(instance.word));
    const uint32_t addressing = instance.encoding->addressing();
    if (addressing == kBranchRegister) {
      const unsigned reg = instance.needs[0].reg;
      branches.push_back({i, program.size(), addressing});
      program.push_back(kMovz64 | reg);
      program.push_back(kMovk64 | 1u << 21 | static_cast<uint32_t>(kCodeAddress >> 16) << 5 | reg);
    } else {
      // SP first: it goes through the scratch register, which may be the other one needed.
      for (const bool sp : {true, false}) {
        for (unsigned k = 0; k < instance.need_count; k++) {
          if ((instance.needs[k].reg == 31) == sp) emit_move(program, instance.needs[k].reg, instance.needs[k].value);
        }
      }
      if (addressing >= kBranchImm26 && addressing <= kBranchImm14) branches.push_back({i, program.size(), addressing});
    }
    program.push_back(instance.word);
  }
  starts.push_back(program.size());
  for (const Branch& branch : branches) {
    // Forward, to the start of a group, so that programs end and needs are met.
    const size_t group = std::min<size_t>(branch.group + 1 + random.below(6), instructions);
    if (branch.addressing == kBranchRegister) {
      program[branch.index] |= static_cast<uint32_t>((kCodeAddress + 4 * starts[group]) & 0xffff) << 5;
    } else {
      set_branch_offset(program[branch.index], branch.addressing, static_cast<int64_t>(4 * (starts[group] - branch.index)));
    }
  }
  return program;
}

uint64_t interesting_integer(Random& random) {
  const uint64_t r = random.next();
  switch (random.below(12)) {
    case 0: return r & 1 ? ~0ull : 0;
    case 1: return 1ull << (r & 63);
    case 2: return (1ull << (r & 63)) - 1;
    case 3: return ~(1ull << (r & 63));
    case 4: return 0x7fffffffffffffff + (r & 1);
    case 5: return 0x7fffffff + (r & 1);
    case 6: return static_cast<uint64_t>(static_cast<int64_t>(r) >> (56 - (r & 7)));  // small, of either sign
    case 7: return r & 0xffffffff;
    case 8: return r | 0xffffffff00000000;
    case 9: return (r & 0xff) * 0x0101010101010101;
    default: return r;
  }
}

namespace {

uint64_t interesting_float(Random& random, unsigned bits) {
  const unsigned mantissa = bits == 64 ? 52 : bits == 32 ? 23 : 10;
  const uint64_t r = random.next(), fraction_mask = (1ull << mantissa) - 1;
  const uint64_t sign = (r >> 63) << (bits - 1);
  const uint64_t exponent_max = (1ull << (bits - 1 - mantissa)) - 1, bias = exponent_max >> 1;
  uint64_t exponent = bias, fraction = r & fraction_mask;
  switch (random.below(12)) {
    case 0:
      exponent = 0;
      fraction = 0;
      break;  // zero
    case 1:
      exponent = 0;
      fraction >>= random.below(mantissa);
      break;  // subnormal
    case 2:
      exponent = exponent_max;
      fraction = 0;
      break;  // infinity
    case 3:
      exponent = exponent_max;
      fraction |= 1ull << (mantissa - 1);
      break;  // quiet NaN
    case 4:
      exponent = exponent_max;
      fraction = (fraction >> 1 & fraction_mask >> 1) | 1;
      break;                                                       // signalling NaN
    case 5: exponent = exponent_max - 1 - random.below(2); break;  // huge
    case 6: exponent = 1 + random.below(2); break;                 // tiny
    case 7:
      exponent = bias - 2 + random.below(5);
      fraction = random.one_in(2) ? 0 : fraction_mask;
      break;
    case 8:
      exponent = bias + random.below(bits == 16 ? 12 : 66);
      fraction &= fraction_mask << random.below(mantissa);
      break;  // near integers
    case 9: exponent = bias - mantissa + random.below(2 * mantissa + 1); break;
    default: exponent = random.next() & exponent_max; break;
  }
  return sign | (exponent & exponent_max) << mantissa | fraction;
}

}  // namespace

arm64::Vector interesting_vector(Random& random) {
  arm64::Vector vector{};
  const unsigned kind = static_cast<unsigned>(random.below(8));
  const unsigned bits = 8u << (kind & 3);
  const bool floating = kind >= 4 && bits >= 16;
  if (kind == 4) return {{random.next(), random.next()}};
  for (unsigned low = 0; low < 128; low += bits) {
    uint64_t lane = floating ? interesting_float(random, bits) : interesting_integer(random);
    if (bits < 64) lane &= (1ull << bits) - 1;
    vector.d[low / 64] |= lane << (low % 64);
  }
  return vector;
}

MachineState random_state(Random& random) {
  MachineState state;
  for (uint64_t& x : state.x) x = interesting_integer(random);
  state.sp = interesting_integer(random);
  state.nzcv = static_cast<uint32_t>(random.below(16));
  for (arm64::Vector& v : state.v) v = interesting_vector(random);
  for (size_t i = 0; i < kDataSize; i += 8) {
    const uint64_t value = random.next();
    std::memcpy(&state.data[i], &value, 8);
  }
  return state;
}

}  // namespace adyton::engine::interp::testing
