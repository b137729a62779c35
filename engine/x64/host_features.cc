#include "engine/x64/host_features.h"

#include <cpuid.h>

#include <string_view>

namespace adyton::engine::x64 {
namespace {

constexpr uint64_t kXcr0Avx = 0b110;           // SSE and AVX state
constexpr uint64_t kXcr0Avx512 = 0b1110'0110;  // and opmask, the upper halves of zmm0-15, zmm16-31

constexpr unsigned kOsxsaveBit = 27;  // leaf 1 ECX

struct RequiredBit {
  uint32_t CpuidLeaves::*leaf;
  unsigned bit;
  std::string_view name;
};

constexpr RequiredBit kRequired[] = {
    {&CpuidLeaves::leaf1_ecx, 0, "SSE3"},        {&CpuidLeaves::leaf1_ecx, 1, "PCLMULQDQ"},
    {&CpuidLeaves::leaf1_ecx, 9, "SSSE3"},       {&CpuidLeaves::leaf1_ecx, 12, "FMA"},
    {&CpuidLeaves::leaf1_ecx, 13, "CMPXCHG16B"}, {&CpuidLeaves::leaf1_ecx, 19, "SSE4.1"},
    {&CpuidLeaves::leaf1_ecx, 20, "SSE4.2"},     {&CpuidLeaves::leaf1_ecx, 22, "MOVBE"},
    {&CpuidLeaves::leaf1_ecx, 23, "POPCNT"},     {&CpuidLeaves::leaf1_ecx, 25, "AES"},
    {&CpuidLeaves::leaf1_ecx, 28, "AVX"},        {&CpuidLeaves::leaf1_ecx, 29, "F16C"},
    {&CpuidLeaves::leaf7_ebx, 3, "BMI1"},        {&CpuidLeaves::leaf7_ebx, 5, "AVX2"},
    {&CpuidLeaves::leaf7_ebx, 8, "BMI2"},        {&CpuidLeaves::extended1_ecx, 0, "LAHF"},
    {&CpuidLeaves::extended1_ecx, 5, "LZCNT"},
};

constexpr bool bit(uint32_t value, unsigned number) { return (value >> number & 1) != 0; }

uint64_t read_xcr0() {
  uint32_t low, high;
  __asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return uint64_t{high} << 32 | low;
}

}  // namespace

CpuidLeaves CpuidLeaves::read() {
  CpuidLeaves result;
  uint32_t eax, ebx, ecx, edx;
  if (__get_cpuid(1, &eax, &ebx, &ecx, &edx)) {
    result.leaf1_ecx = ecx;
    result.leaf1_edx = edx;
  }
  if (__get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx)) {
    result.leaf7_ebx = ebx;
    result.leaf7_ecx = ecx;
  }
  if (__get_cpuid(0x8000'0001, &eax, &ebx, &ecx, &edx)) {
    result.extended1_ecx = ecx;
    result.extended1_edx = edx;
  }
  if (__get_cpuid(0x8000'0007, &eax, &ebx, &ecx, &edx)) result.extended7_edx = edx;
  if (bit(result.leaf1_ecx, kOsxsaveBit)) result.xcr0 = read_xcr0();
  return result;
}

Result<HostFeatures> features_from(const CpuidLeaves& leaves) {
  std::string missing;
  const auto miss = [&](std::string_view name) {
    if (!missing.empty()) missing += ", ";
    missing += name;
  };
  for (const RequiredBit& required : kRequired) {
    if (!bit(leaves.*required.leaf, required.bit)) miss(required.name);
  }
  if ((leaves.xcr0 & kXcr0Avx) != kXcr0Avx) miss("the operating system's support for AVX");
  if (!missing.empty()) {
    return fail(ErrorCode::kUnsupported, "this processor cannot run translated code: it lacks " + missing +
                                             " (an x86-64-v3 processor with AES is needed)");
  }

  HostFeatures result;
  result.sha = bit(leaves.leaf7_ebx, 29);
  result.gfni = bit(leaves.leaf7_ecx, 8);
  result.vaes = bit(leaves.leaf7_ecx, 9);
  result.vpclmulqdq = bit(leaves.leaf7_ecx, 10);
  result.invariant_tsc = bit(leaves.extended7_edx, 8);
  result.rdtscp = bit(leaves.extended1_edx, 27);
  result.avx512f = bit(leaves.leaf7_ebx, 16) && (leaves.xcr0 & kXcr0Avx512) == kXcr0Avx512;
  result.avx512vl = result.avx512f && bit(leaves.leaf7_ebx, 31);
  if (result.avx512vl) {
    result.avx512bw = bit(leaves.leaf7_ebx, 30);
    result.avx512dq = bit(leaves.leaf7_ebx, 17);
    result.avx512cd = bit(leaves.leaf7_ebx, 28);
    result.avx512vbmi = bit(leaves.leaf7_ecx, 1);
    result.avx512vbmi2 = bit(leaves.leaf7_ecx, 6);
    result.avx512vnni = bit(leaves.leaf7_ecx, 11);
    result.avx512bitalg = bit(leaves.leaf7_ecx, 12);
    result.avx512vpopcntdq = bit(leaves.leaf7_ecx, 14);
  }
  return result;
}

Result<HostFeatures> HostFeatures::detect() { return features_from(CpuidLeaves::read()); }

}  // namespace adyton::engine::x64
