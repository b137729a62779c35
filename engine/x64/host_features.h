// What the host processor offers to translated code, as CPUID says it and the operating system allows it (XCR0).
#pragma once
#include <cstdint>

#include "base/result.h"

namespace adyton::engine::x64 {

// What the engine needs is not here: without x86-64-v3 (AVX, AVX2, BMI1, BMI2, F16C, FMA, LZCNT, MOVBE, POPCNT, SSE4.2,
// CMPXCHG16B, LAHF in long mode) plus AES and PCLMULQDQ, detect() fails.
struct HostFeatures {
  bool sha = false;
  bool gfni = false;        // the VEX forms
  bool vaes = false;        // with 256-bit registers
  bool vpclmulqdq = false;  // with 256-bit registers

  // AVX-512, each with the operating system's consent. All but `avx512f` are false without `avx512vl`, because translated code
  // is 128 bits wide.
  bool avx512f = false;
  bool avx512vl = false;
  bool avx512bw = false;
  bool avx512dq = false;
  bool avx512cd = false;
  bool avx512vbmi = false;
  bool avx512vbmi2 = false;
  bool avx512bitalg = false;
  bool avx512vpopcntdq = false;
  bool avx512vnni = false;

  bool invariant_tsc = false;  // the time-stamp counter runs at one rate in all power states
  bool rdtscp = false;

  // The error (ErrorCode::kUnsupported) names everything that is missing.
  static Result<HostFeatures> detect();

  friend bool operator==(const HostFeatures&, const HostFeatures&) = default;
};

// The registers that the decision is made from: Intel SDM volume 2, CPUID, and volume 1, 13.3 (XCR0).
struct CpuidLeaves {
  uint32_t leaf1_ecx = 0;
  uint32_t leaf1_edx = 0;
  uint32_t leaf7_ebx = 0;
  uint32_t leaf7_ecx = 0;
  uint32_t extended1_ecx = 0;  // 0x8000'0001
  uint32_t extended1_edx = 0;
  uint32_t extended7_edx = 0;  // 0x8000'0007
  uint64_t xcr0 = 0;           // 0 when the operating system does not enable XSAVE

  static CpuidLeaves read();
};

Result<HostFeatures> features_from(const CpuidLeaves& leaves);

}  // namespace adyton::engine::x64
