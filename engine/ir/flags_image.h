// The packed form in which condition flags live in memory between blocks.
//
// Four flags N, Z, C, V as Arm, SPARC and others define them; the bit positions are the ones that hosts can make and read
// in one or two instructions. Carry is kept inverted ("borrow"), because compares outnumber additions by far.
#pragma once
#include <cstdint>

namespace adyton::ir {

constexpr uint32_t kFlagN = 1u << 15;
constexpr uint32_t kFlagZ = 1u << 14;
constexpr uint32_t kFlagNotC = 1u << 8;
constexpr uint32_t kFlagV = 1u << 0;
constexpr uint32_t kFlagsMask = kFlagN | kFlagZ | kFlagNotC | kFlagV;

// `nzcv` has N, Z, C, V in bits 3..0. Bits of an image outside kFlagsMask are undefined and must be ignored by readers.
constexpr uint32_t flags_image(uint32_t nzcv) {
  return ((nzcv & 8) << 12) | ((nzcv & 4) << 12) | ((nzcv & 2) ? 0 : kFlagNotC) | (nzcv & 1);
}
constexpr uint32_t nzcv_of(uint32_t image) {
  return ((image >> 12) & 8) | ((image >> 12) & 4) | ((image & kFlagNotC) ? 0 : 2) | (image & 1);
}

}  // namespace adyton::ir
