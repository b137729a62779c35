// The regular vector instructions, as tables: one list for each shape of operands, one line for each instruction, in the order
// X(mnemonic, mandatory prefix, opcode map, W, opcode byte ...) of the encoding line in the Intel SDM, volume 2. The assembler
// makes a method out of each line and the test decodes each method's output with another party's decoder.
#pragma once

// clang-format off

// dst, a, b (register or memory).
#define ADYTON_X64_VEX_THREE_OPERANDS(X)                                                                                       \
  /* Integer: add, subtract, average, absolute difference. */                                                                  \
  X(vpaddb, k66, k0F, 0, 0xFC) X(vpaddw, k66, k0F, 0, 0xFD) X(vpaddd, k66, k0F, 0, 0xFE) X(vpaddq, k66, k0F, 0, 0xD4)          \
  X(vpaddsb, k66, k0F, 0, 0xEC) X(vpaddsw, k66, k0F, 0, 0xED) X(vpaddusb, k66, k0F, 0, 0xDC) X(vpaddusw, k66, k0F, 0, 0xDD)    \
  X(vpsubb, k66, k0F, 0, 0xF8) X(vpsubw, k66, k0F, 0, 0xF9) X(vpsubd, k66, k0F, 0, 0xFA) X(vpsubq, k66, k0F, 0, 0xFB)          \
  X(vpsubsb, k66, k0F, 0, 0xE8) X(vpsubsw, k66, k0F, 0, 0xE9) X(vpsubusb, k66, k0F, 0, 0xD8) X(vpsubusw, k66, k0F, 0, 0xD9)    \
  X(vpavgb, k66, k0F, 0, 0xE0) X(vpavgw, k66, k0F, 0, 0xE3) X(vpsadbw, k66, k0F, 0, 0xF6)                                      \
  X(vphaddw, k66, k0F38, 0, 0x01) X(vphaddd, k66, k0F38, 0, 0x02) X(vphaddsw, k66, k0F38, 0, 0x03)                             \
  X(vphsubw, k66, k0F38, 0, 0x05) X(vphsubd, k66, k0F38, 0, 0x06) X(vphsubsw, k66, k0F38, 0, 0x07)                             \
  X(vpsignb, k66, k0F38, 0, 0x08) X(vpsignw, k66, k0F38, 0, 0x09) X(vpsignd, k66, k0F38, 0, 0x0A)                              \
  /* Integer: multiply. */                                                                                                     \
  X(vpmullw, k66, k0F, 0, 0xD5) X(vpmulhw, k66, k0F, 0, 0xE5) X(vpmulhuw, k66, k0F, 0, 0xE4) X(vpmulhrsw, k66, k0F38, 0, 0x0B) \
  X(vpmulld, k66, k0F38, 0, 0x40) X(vpmuludq, k66, k0F, 0, 0xF4) X(vpmuldq, k66, k0F38, 0, 0x28)                               \
  X(vpmaddwd, k66, k0F, 0, 0xF5) X(vpmaddubsw, k66, k0F38, 0, 0x04)                                                            \
  /* Integer: minimum, maximum, compare. */                                                                                    \
  X(vpminsb, k66, k0F38, 0, 0x38) X(vpminsw, k66, k0F, 0, 0xEA) X(vpminsd, k66, k0F38, 0, 0x39)                                \
  X(vpminub, k66, k0F, 0, 0xDA) X(vpminuw, k66, k0F38, 0, 0x3A) X(vpminud, k66, k0F38, 0, 0x3B)                                \
  X(vpmaxsb, k66, k0F38, 0, 0x3C) X(vpmaxsw, k66, k0F, 0, 0xEE) X(vpmaxsd, k66, k0F38, 0, 0x3D)                                \
  X(vpmaxub, k66, k0F, 0, 0xDE) X(vpmaxuw, k66, k0F38, 0, 0x3E) X(vpmaxud, k66, k0F38, 0, 0x3F)                                \
  X(vpcmpeqb, k66, k0F, 0, 0x74) X(vpcmpeqw, k66, k0F, 0, 0x75) X(vpcmpeqd, k66, k0F, 0, 0x76)                                 \
  X(vpcmpeqq, k66, k0F38, 0, 0x29) X(vpcmpgtb, k66, k0F, 0, 0x64) X(vpcmpgtw, k66, k0F, 0, 0x65)                               \
  X(vpcmpgtd, k66, k0F, 0, 0x66) X(vpcmpgtq, k66, k0F38, 0, 0x37)                                                              \
  /* Integer: logic (vpandn: ~a & b) and shifts (by the low 64 bits of b; vps..v by each lane of b). */                        \
  X(vpand, k66, k0F, 0, 0xDB) X(vpandn, k66, k0F, 0, 0xDF) X(vpor, k66, k0F, 0, 0xEB) X(vpxor, k66, k0F, 0, 0xEF)              \
  X(vpsllw, k66, k0F, 0, 0xF1) X(vpslld, k66, k0F, 0, 0xF2) X(vpsllq, k66, k0F, 0, 0xF3)                                       \
  X(vpsrlw, k66, k0F, 0, 0xD1) X(vpsrld, k66, k0F, 0, 0xD2) X(vpsrlq, k66, k0F, 0, 0xD3)                                       \
  X(vpsraw, k66, k0F, 0, 0xE1) X(vpsrad, k66, k0F, 0, 0xE2)                                                                    \
  X(vpsllvd, k66, k0F38, 0, 0x47) X(vpsllvq, k66, k0F38, 1, 0x47) X(vpsrlvd, k66, k0F38, 0, 0x45)                              \
  X(vpsrlvq, k66, k0F38, 1, 0x45) X(vpsravd, k66, k0F38, 0, 0x46)                                                              \
  /* Integer: rearrange. */                                                                                                    \
  X(vpshufb, k66, k0F38, 0, 0x00) X(vpermilps, k66, k0F38, 0, 0x0C) X(vpermilpd, k66, k0F38, 0, 0x0D)                          \
  X(vpunpcklbw, k66, k0F, 0, 0x60) X(vpunpcklwd, k66, k0F, 0, 0x61) X(vpunpckldq, k66, k0F, 0, 0x62)                           \
  X(vpunpcklqdq, k66, k0F, 0, 0x6C) X(vpunpckhbw, k66, k0F, 0, 0x68) X(vpunpckhwd, k66, k0F, 0, 0x69)                          \
  X(vpunpckhdq, k66, k0F, 0, 0x6A) X(vpunpckhqdq, k66, k0F, 0, 0x6D)                                                           \
  X(vpacksswb, k66, k0F, 0, 0x63) X(vpackssdw, k66, k0F, 0, 0x6B) X(vpackuswb, k66, k0F, 0, 0x67)                              \
  X(vpackusdw, k66, k0F38, 0, 0x2B)                                                                                            \
  /* Floating point: arithmetic. */                                                                                            \
  X(vaddss, kF3, k0F, 0, 0x58) X(vaddsd, kF2, k0F, 0, 0x58) X(vaddps, kNone, k0F, 0, 0x58) X(vaddpd, k66, k0F, 0, 0x58)        \
  X(vsubss, kF3, k0F, 0, 0x5C) X(vsubsd, kF2, k0F, 0, 0x5C) X(vsubps, kNone, k0F, 0, 0x5C) X(vsubpd, k66, k0F, 0, 0x5C)        \
  X(vmulss, kF3, k0F, 0, 0x59) X(vmulsd, kF2, k0F, 0, 0x59) X(vmulps, kNone, k0F, 0, 0x59) X(vmulpd, k66, k0F, 0, 0x59)        \
  X(vdivss, kF3, k0F, 0, 0x5E) X(vdivsd, kF2, k0F, 0, 0x5E) X(vdivps, kNone, k0F, 0, 0x5E) X(vdivpd, k66, k0F, 0, 0x5E)        \
  X(vminss, kF3, k0F, 0, 0x5D) X(vminsd, kF2, k0F, 0, 0x5D) X(vminps, kNone, k0F, 0, 0x5D) X(vminpd, k66, k0F, 0, 0x5D)        \
  X(vmaxss, kF3, k0F, 0, 0x5F) X(vmaxsd, kF2, k0F, 0, 0x5F) X(vmaxps, kNone, k0F, 0, 0x5F) X(vmaxpd, k66, k0F, 0, 0x5F)        \
  X(vsqrtss, kF3, k0F, 0, 0x51) X(vsqrtsd, kF2, k0F, 0, 0x51) X(vhaddps, kF2, k0F, 0, 0x7C) X(vhaddpd, k66, k0F, 0, 0x7C)      \
  X(vcvtss2sd, kF3, k0F, 0, 0x5A) X(vcvtsd2ss, kF2, k0F, 0, 0x5A)                                                              \
  /* Floating point: logic and rearrangement. */                                                                               \
  X(vandps, kNone, k0F, 0, 0x54) X(vandpd, k66, k0F, 0, 0x54) X(vandnps, kNone, k0F, 0, 0x55) X(vandnpd, k66, k0F, 0, 0x55)    \
  X(vorps, kNone, k0F, 0, 0x56) X(vorpd, k66, k0F, 0, 0x56) X(vxorps, kNone, k0F, 0, 0x57) X(vxorpd, k66, k0F, 0, 0x57)        \
  X(vunpcklps, kNone, k0F, 0, 0x14) X(vunpcklpd, k66, k0F, 0, 0x14) X(vunpckhps, kNone, k0F, 0, 0x15)                          \
  X(vunpckhpd, k66, k0F, 0, 0x15)                                                                                              \
  /* AES (one round) and GF(2^8). */                                                                                           \
  X(vaesenc, k66, k0F38, 0, 0xDC) X(vaesenclast, k66, k0F38, 0, 0xDD) X(vaesdec, k66, k0F38, 0, 0xDE)                          \
  X(vaesdeclast, k66, k0F38, 0, 0xDF) X(vgf2p8mulb, k66, k0F38, 0, 0xCF)

// Fused multiply-add; digits name the operands: 132: dst * b + a, 213: a * dst + b, 231: a * b + dst.
// X(operation, opcode of the packed 132 form): the scalar opcode is one more, 213 and 231 follow at distances of 0x10.
#define ADYTON_X64_FMA(X) X(vfmadd, 0x98) X(vfmsub, 0x9A) X(vfnmadd, 0x9C) X(vfnmsub, 0x9E)

// dst, src (register or memory).
#define ADYTON_X64_VEX_TWO_OPERANDS(X)                                                                                         \
  X(vpabsb, k66, k0F38, 0, 0x1C) X(vpabsw, k66, k0F38, 0, 0x1D) X(vpabsd, k66, k0F38, 0, 0x1E)                                 \
  X(vpmovsxbw, k66, k0F38, 0, 0x20) X(vpmovsxbd, k66, k0F38, 0, 0x21) X(vpmovsxbq, k66, k0F38, 0, 0x22)                        \
  X(vpmovsxwd, k66, k0F38, 0, 0x23) X(vpmovsxwq, k66, k0F38, 0, 0x24) X(vpmovsxdq, k66, k0F38, 0, 0x25)                        \
  X(vpmovzxbw, k66, k0F38, 0, 0x30) X(vpmovzxbd, k66, k0F38, 0, 0x31) X(vpmovzxbq, k66, k0F38, 0, 0x32)                        \
  X(vpmovzxwd, k66, k0F38, 0, 0x33) X(vpmovzxwq, k66, k0F38, 0, 0x34) X(vpmovzxdq, k66, k0F38, 0, 0x35)                        \
  X(vpbroadcastb, k66, k0F38, 0, 0x78) X(vpbroadcastw, k66, k0F38, 0, 0x79) X(vpbroadcastd, k66, k0F38, 0, 0x58)               \
  X(vpbroadcastq, k66, k0F38, 0, 0x59) X(vbroadcastss, k66, k0F38, 0, 0x18) X(vphminposuw, k66, k0F38, 0, 0x41)                \
  X(vptest, k66, k0F38, 0, 0x17) X(vtestps, k66, k0F38, 0, 0x0E) X(vtestpd, k66, k0F38, 0, 0x0F)                               \
  X(vucomiss, kNone, k0F, 0, 0x2E) X(vucomisd, k66, k0F, 0, 0x2E) X(vcomiss, kNone, k0F, 0, 0x2F) X(vcomisd, k66, k0F, 0, 0x2F)\
  X(vsqrtps, kNone, k0F, 0, 0x51) X(vsqrtpd, k66, k0F, 0, 0x51)                                                                \
  X(vcvtps2pd, kNone, k0F, 0, 0x5A) X(vcvtpd2ps, k66, k0F, 0, 0x5A) X(vcvtdq2ps, kNone, k0F, 0, 0x5B)                          \
  X(vcvtdq2pd, kF3, k0F, 0, 0xE6) X(vcvtps2dq, k66, k0F, 0, 0x5B) X(vcvttps2dq, kF3, k0F, 0, 0x5B)                             \
  X(vcvtpd2dq, kF2, k0F, 0, 0xE6) X(vcvttpd2dq, k66, k0F, 0, 0xE6) X(vcvtph2ps, k66, k0F38, 0, 0x13)                           \
  X(vmovddup, kF2, k0F, 0, 0x12) X(vmovsldup, kF3, k0F, 0, 0x12) X(vmovshdup, kF3, k0F, 0, 0x16)                               \
  X(vaesimc, k66, k0F38, 0, 0xDB)

// dst, a, b (register or memory), 8-bit immediate.
#define ADYTON_X64_VEX_THREE_OPERANDS_IMM(X)                                                                                   \
  X(vpalignr, k66, k0F3A, 0, 0x0F) X(vpblendw, k66, k0F3A, 0, 0x0E) X(vpblendd, k66, k0F3A, 0, 0x02)                           \
  X(vblendps, k66, k0F3A, 0, 0x0C) X(vblendpd, k66, k0F3A, 0, 0x0D) X(vmpsadbw, k66, k0F3A, 0, 0x42)                           \
  X(vcmpss, kF3, k0F, 0, 0xC2) X(vcmpsd, kF2, k0F, 0, 0xC2) X(vcmpps, kNone, k0F, 0, 0xC2) X(vcmppd, k66, k0F, 0, 0xC2)        \
  X(vroundss, k66, k0F3A, 0, 0x0A) X(vroundsd, k66, k0F3A, 0, 0x0B) X(vshufps, kNone, k0F, 0, 0xC6) X(vshufpd, k66, k0F, 0, 0xC6) \
  X(vinsertps, k66, k0F3A, 0, 0x21) X(vpclmulqdq, k66, k0F3A, 0, 0x44)                                                         \
  X(vgf2p8affineqb, k66, k0F3A, 1, 0xCE) X(vgf2p8affineinvqb, k66, k0F3A, 1, 0xCF)

// dst, src (register or memory), 8-bit immediate.
#define ADYTON_X64_VEX_TWO_OPERANDS_IMM(X)                                                                                     \
  X(vpshufd, k66, k0F, 0, 0x70) X(vpshuflw, kF2, k0F, 0, 0x70) X(vpshufhw, kF3, k0F, 0, 0x70)                                  \
  X(vpermilps, k66, k0F3A, 0, 0x04) X(vpermilpd, k66, k0F3A, 0, 0x05)                                                          \
  X(vroundps, k66, k0F3A, 0, 0x08) X(vroundpd, k66, k0F3A, 0, 0x09) X(vaeskeygenassist, k66, k0F3A, 0, 0xDF)

// dst, a, b (register or memory), mask (register): where the top bit of the mask's lane is set, b, else a.
#define ADYTON_X64_VEX_BLEND_VARIABLE(X) \
  X(vpblendvb, k66, k0F3A, 0, 0x4C) X(vblendvps, k66, k0F3A, 0, 0x4A) X(vblendvpd, k66, k0F3A, 0, 0x4B)

// dst, src, immediate count: X(mnemonic, opcode byte, ModRM.reg), all 66 0F.
#define ADYTON_X64_VEX_SHIFT_IMM(X)                                                                                            \
  X(vpsllw, 0x71, 6) X(vpslld, 0x72, 6) X(vpsllq, 0x73, 6) X(vpsrlw, 0x71, 2) X(vpsrld, 0x72, 2) X(vpsrlq, 0x73, 2)            \
  X(vpsraw, 0x71, 4) X(vpsrad, 0x72, 4) X(vpslldq, 0x73, 7) X(vpsrldq, 0x73, 3)

// Register moves, loads (X and memory) and stores: X(mnemonic, prefix, map, load opcode, store opcode).
#define ADYTON_X64_VEX_MOVES(X)                                                                                                \
  X(vmovaps, kNone, k0F, 0x28, 0x29) X(vmovapd, k66, k0F, 0x28, 0x29) X(vmovups, kNone, k0F, 0x10, 0x11)                       \
  X(vmovupd, k66, k0F, 0x10, 0x11) X(vmovdqa, k66, k0F, 0x6F, 0x7F) X(vmovdqu, kF3, k0F, 0x6F, 0x7F)

// SHA, in the legacy encoding: two operands, the first is also a source.
#define ADYTON_X64_SHA(X)                                                                                                      \
  X(sha1nexte, 0xC8) X(sha1msg1, 0xC9) X(sha1msg2, 0xCA) X(sha256rnds2, 0xCB) X(sha256msg1, 0xCC) X(sha256msg2, 0xCD)

// --- AVX-512VL, in the EVEX encoding. The last number is log2 of the memory operand's size in bytes. ---

// dst, a, b (register or memory). For vpermi2*, vpermt2* and vpdp*, dst is a source too.
#define ADYTON_X64_EVEX_THREE_OPERANDS(X)                                                                                      \
  X(vpmullq, k66, k0F38, 1, 0x40, 4) X(vpminsq, k66, k0F38, 1, 0x39, 4) X(vpmaxsq, k66, k0F38, 1, 0x3D, 4)                     \
  X(vpminuq, k66, k0F38, 1, 0x3B, 4) X(vpmaxuq, k66, k0F38, 1, 0x3F, 4)                                                        \
  X(vpsraq, k66, k0F, 1, 0xE2, 4) X(vpsravq, k66, k0F38, 1, 0x46, 4) X(vpsravw, k66, k0F38, 1, 0x11, 4)                        \
  X(vpsllvw, k66, k0F38, 1, 0x12, 4) X(vpsrlvw, k66, k0F38, 1, 0x10, 4) X(vprolvd, k66, k0F38, 0, 0x15, 4)                     \
  X(vprolvq, k66, k0F38, 1, 0x15, 4) X(vprorvd, k66, k0F38, 0, 0x14, 4) X(vprorvq, k66, k0F38, 1, 0x14, 4)                     \
  X(vpermb, k66, k0F38, 0, 0x8D, 4) X(vpermw, k66, k0F38, 1, 0x8D, 4) X(vpermi2b, k66, k0F38, 0, 0x75, 4)                      \
  X(vpermi2w, k66, k0F38, 1, 0x75, 4) X(vpermt2b, k66, k0F38, 0, 0x7D, 4) X(vpmultishiftqb, k66, k0F38, 1, 0x83, 4)            \
  X(vpdpbusd, k66, k0F38, 0, 0x50, 4) X(vpdpwssd, k66, k0F38, 0, 0x52, 4)

// dst, src (register or memory).
#define ADYTON_X64_EVEX_TWO_OPERANDS(X)                                                                                        \
  X(vpabsq, k66, k0F38, 1, 0x1F, 4) X(vplzcntd, k66, k0F38, 0, 0x44, 4) X(vplzcntq, k66, k0F38, 1, 0x44, 4)                    \
  X(vpopcntb, k66, k0F38, 0, 0x54, 4) X(vpopcntw, k66, k0F38, 1, 0x54, 4) X(vpopcntd, k66, k0F38, 0, 0x55, 4)                  \
  X(vpopcntq, k66, k0F38, 1, 0x55, 4)                                                                                          \
  X(vcvtqq2pd, kF3, k0F, 1, 0xE6, 4) X(vcvtuqq2pd, kF3, k0F, 1, 0x7A, 4) X(vcvtudq2ps, kF2, k0F, 0, 0x7A, 4)                   \
  X(vcvtudq2pd, kF3, k0F, 0, 0x7A, 3) X(vcvtqq2ps, kNone, k0F, 1, 0x5B, 4) X(vcvtuqq2ps, kF2, k0F, 1, 0x7A, 4)                 \
  X(vcvtpd2qq, k66, k0F, 1, 0x7B, 4) X(vcvttpd2qq, k66, k0F, 1, 0x7A, 4) X(vcvtpd2uqq, k66, k0F, 1, 0x79, 4)                   \
  X(vcvttpd2uqq, k66, k0F, 1, 0x78, 4) X(vcvtps2udq, kNone, k0F, 0, 0x79, 4) X(vcvttps2udq, kNone, k0F, 0, 0x78, 4)            \
  X(vcvttps2qq, k66, k0F, 0, 0x7A, 3) X(vcvttps2uqq, k66, k0F, 0, 0x78, 3)

// dst, a, b (register or memory), 8-bit immediate. For vpternlog* and vfixupimm*, dst is a source too.
#define ADYTON_X64_EVEX_THREE_OPERANDS_IMM(X)                                                                                  \
  X(vpternlogd, k66, k0F3A, 0, 0x25, 4) X(vpternlogq, k66, k0F3A, 1, 0x25, 4)                                                  \
  X(vrangeps, k66, k0F3A, 0, 0x50, 4) X(vrangepd, k66, k0F3A, 1, 0x50, 4) X(vrangess, k66, k0F3A, 0, 0x51, 2)                  \
  X(vrangesd, k66, k0F3A, 1, 0x51, 3) X(vfixupimmps, k66, k0F3A, 0, 0x54, 4) X(vfixupimmpd, k66, k0F3A, 1, 0x54, 4)            \
  X(vfixupimmss, k66, k0F3A, 0, 0x55, 2) X(vfixupimmsd, k66, k0F3A, 1, 0x55, 3)

// dst, src (register or memory), immediate count: X(mnemonic, W, ModRM.reg), all 66 0F 72.
#define ADYTON_X64_EVEX_SHIFT_IMM(X) X(vpsraq, 1, 4) X(vprold, 0, 1) X(vprolq, 1, 1) X(vprord, 0, 0) X(vprorq, 1, 0)

// dst, src (registers): each lane narrowed, the rest of dst zero: X(mnemonic, opcode byte), all F3 0F38 W0. Truncating, then
// with signed (s) and unsigned (us) saturation.
#define ADYTON_X64_EVEX_NARROW(X)                                                                                              \
  X(vpmovwb, 0x30) X(vpmovdb, 0x31) X(vpmovqb, 0x32) X(vpmovdw, 0x33) X(vpmovqw, 0x34) X(vpmovqd, 0x35)                        \
  X(vpmovswb, 0x20) X(vpmovsdb, 0x21) X(vpmovsqb, 0x22) X(vpmovsdw, 0x23) X(vpmovsqw, 0x24) X(vpmovsqd, 0x25)                  \
  X(vpmovuswb, 0x10) X(vpmovusdb, 0x11) X(vpmovusqb, 0x12) X(vpmovusdw, 0x13) X(vpmovusqw, 0x14) X(vpmovusqd, 0x15)

// dst, src (general register): X(mnemonic, W, opcode byte), all 66 0F38.
#define ADYTON_X64_EVEX_BROADCAST_GPR(X) X(vpbroadcastb, 0, 0x7A) X(vpbroadcastw, 0, 0x7B) X(vpbroadcastd, 0, 0x7C) X(vpbroadcastq, 1, 0x7C)

// clang-format on
