// DecodeBitMasks() (Arm ARM, shared/functions): the masks of logical immediates and bitfield moves. Internal to the interpreter.
#pragma once
#include <bit>
#include <cstdint>
#include <optional>

#include "engine/interp/operands.h"

namespace adyton::engine::interp {

struct BitMasks {
  uint64_t wmask, tmask;  // 64 bits; a 32-bit instruction uses the low half
};

// Empty for the reserved combinations.
inline std::optional<BitMasks> decode_bit_masks(bool n, unsigned imms, unsigned immr, bool immediate) {
  // The element size is given by the highest set bit of N:NOT(imms).
  const unsigned selector = (n ? 64u : 0) | (~imms & 63);
  if (selector < 2) return std::nullopt;
  const unsigned length = static_cast<unsigned>(std::bit_width(selector)) - 1;
  const unsigned levels = (1u << length) - 1, esize = 1u << length;
  if (immediate && (imms & levels) == levels) return std::nullopt;  // all ones is not a logical immediate
  const unsigned s = imms & levels, r = immr & levels;
  const uint64_t element = ones(esize);
  const auto rotate_right = [&](uint64_t value, unsigned by) {
    return by == 0 ? value : ((value >> by) | (value << (esize - by))) & element;
  };
  const auto replicate = [&](uint64_t value) {
    for (unsigned width = esize; width < 64; width *= 2) value |= value << width;
    return value;
  };
  const unsigned difference = (s - r) & levels;
  return BitMasks{replicate(rotate_right(ones(s + 1), r)), replicate(ones(difference + 1))};
}

}  // namespace adyton::engine::interp
