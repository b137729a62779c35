// Constants that emitted vector code reads from memory: shuffles, masks and bit matrices. 16-byte aligned.
#pragma once
#include <array>
#include <cstdint>

namespace adyton::engine::x64 {

struct alignas(16) VectorConstant {
  std::array<uint8_t, 16> bytes{};
};

namespace vector_tables {

constexpr VectorConstant repeat(uint8_t byte) {
  VectorConstant c;
  for (uint8_t& b : c.bytes) b = byte;
  return c;
}

// An 8 by 8 bit matrix for vgf2p8affineqb: bit i of the result is bit source(i) of the source, or 0 when that is not a bit.
template <typename Source>
constexpr VectorConstant bit_matrix(Source source) {
  VectorConstant c;
  for (int i = 0; i < 8; ++i) {
    const int from = source(i);
    const uint8_t row = from >= 0 && from < 8 ? static_cast<uint8_t>(1 << from) : uint8_t{0};
    c.bytes[static_cast<size_t>(7 - i)] = c.bytes[static_cast<size_t>(15 - i)] = row;
  }
  return c;
}
template <typename Make>
constexpr std::array<VectorConstant, 8> for_amounts(Make make) {
  std::array<VectorConstant, 8> all{};
  for (int n = 0; n < 8; ++n) all[static_cast<size_t>(n)] = make(n);
  return all;
}

// Shifts of bytes by 0..7: as matrices, and as masks for what a shift of wider elements leaves.
inline constexpr auto kShlMatrix = for_amounts([](int n) { return bit_matrix([n](int i) { return i - n; }); });
inline constexpr auto kShrMatrix = for_amounts([](int n) { return bit_matrix([n](int i) { return i + n; }); });
inline constexpr auto kSarMatrix = for_amounts([](int n) { return bit_matrix([n](int i) { return i + n > 7 ? 7 : i + n; }); });
inline constexpr auto kShlMask = for_amounts([](int n) { return repeat(static_cast<uint8_t>(0xff << n)); });
inline constexpr auto kShrMask = for_amounts([](int n) { return repeat(static_cast<uint8_t>(0xff >> n)); });
inline constexpr auto kSignAfterShr = for_amounts([](int n) { return repeat(static_cast<uint8_t>(0x80 >> n)); });
inline constexpr VectorConstant kReverseBitsMatrix = bit_matrix([](int i) { return 7 - i; });

inline constexpr VectorConstant kLowNibbles = repeat(0x0f);
inline constexpr VectorConstant kTableBias = repeat(0x70);
inline constexpr VectorConstant kLowByte = {{0xff}};

// By the value of a nibble.
template <typename Function>
constexpr VectorConstant nibble_table(Function f) {
  VectorConstant c;
  for (unsigned n = 0; n < 16; ++n) c.bytes[n] = static_cast<uint8_t>(f(n));
  return c;
}
constexpr unsigned reversed_nibble(unsigned n) { return (n & 1) << 3 | (n & 2) << 1 | (n & 4) >> 1 | (n & 8) >> 3; }
inline constexpr VectorConstant kNibbleBits =
    nibble_table([](unsigned n) { return (n & 1) + (n >> 1 & 1) + (n >> 2 & 1) + (n >> 3 & 1); });
inline constexpr VectorConstant kReversedNibbleLow = nibble_table([](unsigned n) { return reversed_nibble(n); });
inline constexpr VectorConstant kReversedNibbleHigh = nibble_table([](unsigned n) { return reversed_nibble(n) << 4; });

constexpr uint8_t kZeroByte = 0x80;  // in a shuffle

// Every second element of the size, into the low half; by log2 of the element's bytes.
constexpr VectorConstant narrow_shuffle(unsigned log2) {
  VectorConstant c;
  for (unsigned i = 0; i < 16; ++i)
    c.bytes[i] = i < 8 ? static_cast<uint8_t>((i >> log2 << (log2 + 1)) | (i & ((1u << log2) - 1))) : kZeroByte;
  return c;
}
inline constexpr std::array<VectorConstant, 3> kNarrow = {narrow_shuffle(0), narrow_shuffle(1), narrow_shuffle(2)};

// Elements reversed in their group: [log2 of the element's bytes][log2 of the group's].
constexpr std::array<std::array<VectorConstant, 4>, 3> reverse_shuffles() {
  std::array<std::array<VectorConstant, 4>, 3> all{};
  for (unsigned element = 0; element < 3; ++element) {
    for (unsigned group = element + 1; group < 4; ++group) {
      const unsigned flip = (1u << group) - (1u << element);
      for (unsigned i = 0; i < 16; ++i) all[element][group].bytes[i] = static_cast<uint8_t>(i ^ flip);
    }
  }
  return all;
}
inline constexpr auto kReverse = reverse_shuffles();

// Three vectors of structures of three elements: [log2][result][source].
using Shuffles3 = std::array<std::array<std::array<VectorConstant, 3>, 3>, 4>;
constexpr Shuffles3 interleave3_shuffles(bool interleave) {
  Shuffles3 all{};
  for (auto& size : all) {
    for (auto& result : size) {
      for (auto& source : result) source = repeat(kZeroByte);
    }
  }
  for (unsigned log2 = 0; log2 < 4; ++log2) {
    const unsigned bytes = 1u << log2, per_vector = 16 / bytes;
    for (unsigned element = 0; element < 3 * per_vector; ++element) {  // as they stand in memory
      const unsigned member = element % 3, lane = element / 3;
      const unsigned vector = element / per_vector, position = element % per_vector;
      for (unsigned b = 0; b < bytes; ++b) {
        const unsigned in_memory = position * bytes + b, in_member = lane * bytes + b;
        if (interleave)
          all[log2][vector][member].bytes[in_memory] = static_cast<uint8_t>(in_member);
        else
          all[log2][member][vector].bytes[in_member] = static_cast<uint8_t>(in_memory);
      }
    }
  }
  return all;
}
inline constexpr Shuffles3 kDeinterleave3 = interleave3_shuffles(false);
inline constexpr Shuffles3 kInterleave3 = interleave3_shuffles(true);

// The constants that sha1rnds4 adds to the schedule (FIPS 180-4, 4.2.1), which the guest has already added.
constexpr VectorConstant words(uint32_t word) {
  VectorConstant c;
  for (unsigned i = 0; i < 16; ++i) c.bytes[i] = static_cast<uint8_t>(word >> (8 * (i % 4)));
  return c;
}
inline constexpr std::array<VectorConstant, 3> kSha1Constants = {words(0x5a827999), words(0x6ed9eba1), words(0x8f1bbcdc)};

}  // namespace vector_tables
}  // namespace adyton::engine::x64
