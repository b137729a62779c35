#include "engine/x64/host_features.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace adyton::engine::x64 {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

// A processor with every feature, under an operating system that enables all of them.
CpuidLeaves everything() {
  return {.leaf1_ecx = ~0u,
          .leaf1_edx = ~0u,
          .leaf7_ebx = ~0u,
          .leaf7_ecx = ~0u,
          .extended1_ecx = ~0u,
          .extended1_edx = ~0u,
          .extended7_edx = ~0u,
          .xcr0 = 0xE7};
}

TEST(HostFeatures, FindsEverything) {
  const auto features = features_from(everything());
  ASSERT_TRUE(features);
  const HostFeatures all = {.sha = true,
                            .gfni = true,
                            .vaes = true,
                            .vpclmulqdq = true,
                            .avx512f = true,
                            .avx512vl = true,
                            .avx512bw = true,
                            .avx512dq = true,
                            .avx512cd = true,
                            .avx512vbmi = true,
                            .avx512vbmi2 = true,
                            .avx512bitalg = true,
                            .avx512vpopcntdq = true,
                            .avx512vnni = true,
                            .invariant_tsc = true,
                            .rdtscp = true};
  EXPECT_EQ(*features, all);
}

TEST(HostFeatures, NamesWhatIsMissing) {
  CpuidLeaves leaves = everything();
  leaves.leaf7_ebx &= ~(1u << 5 | 1u << 8);
  leaves.leaf1_ecx &= ~(1u << 25);
  const auto features = features_from(leaves);
  ASSERT_FALSE(features);
  EXPECT_EQ(features.error().code, ErrorCode::kUnsupported);
  EXPECT_THAT(features.error().message, HasSubstr("lacks AES, AVX2, BMI2 ("));
  EXPECT_THAT(features.error().message, Not(HasSubstr("operating system")));
}

TEST(HostFeatures, NeedsTheOperatingSystem) {
  CpuidLeaves leaves = everything();
  leaves.xcr0 = 0b011;
  const auto features = features_from(leaves);
  ASSERT_FALSE(features);
  EXPECT_THAT(features.error().message, HasSubstr("the operating system's support for AVX"));
}

TEST(HostFeatures, DoesWithoutAvx512) {
  CpuidLeaves leaves = everything();
  leaves.xcr0 = 0b111;  // the processor has AVX-512, the operating system does not save its registers
  const auto without_os = features_from(leaves);
  ASSERT_TRUE(without_os);
  EXPECT_FALSE(without_os->avx512f);
  EXPECT_FALSE(without_os->avx512vbmi);
  EXPECT_TRUE(without_os->gfni);

  leaves = everything();
  leaves.leaf7_ebx &= ~(1u << 31);  // 512 bits only
  const auto without_vl = features_from(leaves);
  ASSERT_TRUE(without_vl);
  EXPECT_TRUE(without_vl->avx512f);
  EXPECT_FALSE(without_vl->avx512bw);
}

TEST(HostFeatures, AgreesWithTheCompilerAboutThisMachine) {
  __builtin_cpu_init();
  const bool baseline = __builtin_cpu_supports("x86-64-v3") && __builtin_cpu_supports("aes") && __builtin_cpu_supports("pclmul");
  const auto features = HostFeatures::detect();
  ASSERT_EQ(features.has_value(), baseline);
  if (!features) return;
  EXPECT_EQ(features->avx512f, __builtin_cpu_supports("avx512f") != 0);
  EXPECT_EQ(features->gfni, __builtin_cpu_supports("gfni") != 0);
  EXPECT_EQ(features->vpclmulqdq, __builtin_cpu_supports("vpclmulqdq") != 0);
  if (!features->avx512vl) return;
  EXPECT_EQ(features->avx512bw, __builtin_cpu_supports("avx512bw") != 0);
  EXPECT_EQ(features->avx512dq, __builtin_cpu_supports("avx512dq") != 0);
  EXPECT_EQ(features->avx512cd, __builtin_cpu_supports("avx512cd") != 0);
  EXPECT_EQ(features->avx512vbmi, __builtin_cpu_supports("avx512vbmi") != 0);
  EXPECT_EQ(features->avx512vbmi2, __builtin_cpu_supports("avx512vbmi2") != 0);
  EXPECT_EQ(features->avx512bitalg, __builtin_cpu_supports("avx512bitalg") != 0);
  EXPECT_EQ(features->avx512vpopcntdq, __builtin_cpu_supports("avx512vpopcntdq") != 0);
  EXPECT_EQ(features->avx512vnni, __builtin_cpu_supports("avx512vnni") != 0);
}

}  // namespace
}  // namespace adyton::engine::x64
