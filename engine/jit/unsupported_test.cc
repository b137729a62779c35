#include "engine/jit/unsupported.h"

#include <gtest/gtest.h>

namespace adyton::engine::jit {
namespace {

TEST(UnsupportedInstructions, AreNamedOncePerKind) {
  UnsupportedInstructions all;
  EXPECT_STREQ(all.first_of_its_kind(0x04e0e3e0), "FEAT_SVE");                                      // cntd x0
  EXPECT_EQ(all.first_of_its_kind(0x04bf5020), nullptr);                                            // rdvl x0, #1: also SVE
  EXPECT_STREQ(all.first_of_its_kind(0xdac10020), "FEAT_PAuth");                                    // pacia x0, x1
  EXPECT_EQ(all.first_of_its_kind(0xd65f0bff), nullptr);                                            // retaa
  EXPECT_STREQ(all.first_of_its_kind(0x9ac11000), "FEAT_MTE");                                      // irg x0, x0, x1
  EXPECT_STREQ(all.first_of_its_kind(0x1ee22820), "FEAT_FP16");                                     // fadd h0, h1, h2
  EXPECT_STREQ(all.first_of_its_kind(0x80800000), "FEAT_SME");                                      // fmopa za0.s, ...
  EXPECT_STREQ(all.first_of_its_kind(0x4e82a420), "FEAT_FCMA, FEAT_BF16 or FEAT_I8MM");             // smmla v0.4s, v1.16b, v2.16b
  EXPECT_STREQ(all.first_of_its_kind(0xce608020), "FEAT_SHA512, FEAT_SHA3, FEAT_SM3 or FEAT_SM4");  // sha512h
}

TEST(UnsupportedInstructions, WhatBelongsToNoExtensionIsNotOurLack) {
  UnsupportedInstructions all;
  for (const uint32_t insn :
       {0x00000000u, 0x00000001u, 0xffffffffu, 0xd4200000u /* brk */, 0x9ac10800u /* udiv */, 0xd61f0000u /* br */})
    EXPECT_EQ(all.first_of_its_kind(insn), nullptr) << std::hex << insn;
}

TEST(UnsupportedInstructions, OthersHaveOnesOfTheirOwn) {
  UnsupportedInstructions one, other;
  EXPECT_NE(one.first_of_its_kind(0xdac10020), nullptr);
  EXPECT_NE(other.first_of_its_kind(0xdac10020), nullptr);
}

}  // namespace
}  // namespace adyton::engine::jit
