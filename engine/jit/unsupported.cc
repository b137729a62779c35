#include "engine/jit/unsupported.h"

#include <cstring>
#include <iterator>

namespace adyton::engine::jit {
namespace {

struct Encoding {
  uint32_t mask, value;
  const char* extension;
};

// At most 32. Arm ARM, chapter C4 ("A64 instruction set encoding"). Each is asked about only when the instruction is UNDEFINED:
// some cover what the engine has, too.
constexpr Encoding kEncodings[] = {
    {0x9e000000, 0x80000000, "FEAT_SME"},
    {0x1e000000, 0x04000000, "FEAT_SVE"},
    {0xffff0000, 0xdac10000, "FEAT_PAuth"},  // PACIA ... XPACD
    {0xffe0fc00, 0x9ac03000, "FEAT_PAuth"},  // PACGA
    {0xfe1ff800, 0xd61f0800, "FEAT_PAuth"},  // BRAA ... RETAB, ERETAB
    {0xff200400, 0xf8200400, "FEAT_PAuth"},  // LDRAA, LDRAB
    {0xff200000, 0xd9200000, "FEAT_MTE"},    // LDG, STG ...
    {0xffe0f800, 0x9ac01000, "FEAT_MTE"},    // IRG, GMI
    {0xdfe0fc00, 0x9ac00000, "FEAT_MTE"},    // SUBP, SUBPS
    {0xbfc00000, 0x91800000, "FEAT_MTE"},    // ADDG, SUBG
    {0x7fc00000, 0x1ec00000, "FEAT_FP16"},   // scalar, one and two sources, conversions
    {0xffc00000, 0x1fc00000, "FEAT_FP16"},   // scalar, three sources
    {0x9f60c400, 0x0e400400, "FEAT_FP16"},   // three same
    {0x9f7e0c00, 0x0e780800, "FEAT_FP16"},   // two-register miscellaneous
    {0x9f208400, 0x0e008400, "FEAT_FCMA, FEAT_BF16 or FEAT_I8MM"},
    {0xff000000, 0xce000000, "FEAT_SHA512, FEAT_SHA3, FEAT_SM3 or FEAT_SM4"},
};
static_assert(std::size(kEncodings) <= 32);

}  // namespace

const char* UnsupportedInstructions::first_of_its_kind(uint32_t insn) {
  for (const Encoding& encoding : kEncodings) {
    if ((insn & encoding.mask) != encoding.value) continue;
    // Kinds are names: two encodings may share one.
    uint32_t kind = 0;
    while (kEncodings[kind].extension != encoding.extension && std::strcmp(kEncodings[kind].extension, encoding.extension) != 0)
      ++kind;
    const uint32_t bit = uint32_t{1} << kind;
    if (seen_.load(std::memory_order_relaxed) & bit) return nullptr;
    return (seen_.fetch_or(bit, std::memory_order_relaxed) & bit) == 0 ? encoding.extension : nullptr;
  }
  return nullptr;
}

}  // namespace adyton::engine::jit
