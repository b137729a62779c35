// What this CPU says it is: an Armv8.2-like profile, field by field (Arm ARM D19.2). A field that is zero here is a feature that
// decoding, the MMU and the register table must refuse.
#pragma once
#include <cstdint>

namespace adyton::engine::arm64::id {

// One field of an ID register: `value` at bit `shift`.
constexpr uint64_t field(unsigned shift, uint64_t value) { return value << shift; }

// Implementer 0 ("reserved for software use") matches no erratum and no speculation-mitigation list. Architecture 0xf: see the ID
// registers.
constexpr uint64_t kMidr = field(24, 0x00) | field(20, 0) | field(16, 0xf) | field(4, 0xad0) | field(0, 0);

constexpr uint64_t kPfr0 = field(60, 1)    // CSV3: no KPTI needed
                           | field(56, 3)  // CSV2_3: no branch-history mitigation; brings SCXTNUM_ELx (from CSV2_2 on)
                           | field(48, 1)  // DIT
                           | field(24, 1)  // GICv3 system registers
                           | field(20, 0) | field(16, 0)  // AdvSIMD and FP without half-precision arithmetic
                           | field(12, 0) | field(8, 0)   // no EL3, no EL2
                           | field(4, 1) | field(0, 1);   // EL1, EL0: AArch64 only
constexpr uint64_t kIsar0 = field(56, 2)    // TLBI outer shareable and range
                            | field(52, 1)  // FlagM
                            | field(44, 1)  // DotProd
                            | field(28, 1)  // RDM
                            | field(20, 2)  // LSE
                            | field(16, 1)  // CRC32
                            | field(12, 1) | field(8, 1)  // SHA256, SHA1
                            | field(4, 2);                // AES and PMULL
constexpr uint64_t kIsar1 = field(36, 1)    // SB
                            | field(32, 1)  // FRINTTS
                            | field(20, 2)  // LRCPC2
                            | field(16, 1)  // FCMA
                            | field(12, 1)  // JSCVT
                            | field(0, 1);  // DC CVAP
constexpr uint64_t kMmfr0 = field(20, 1)    // 16 KiB granule; 64 KiB (27:24) and 4 KiB (31:28) are present when 0
                            | field(4, 2)   // 16-bit ASIDs
                            | field(0, 5);  // 48-bit physical addresses
// VMIDBits and XNX describe stage 2 and stay zero as long as there is no EL2.
constexpr uint64_t kMmfr1 = field(60, 1)    // ECBHB
                            | field(20, 2)  // PAN and AT S1E1RP/WP
                            | field(12, 1)  // hierarchical permission disables
                            | field(0, 2);  // hardware access flag and dirty state
// FWB describes stage 2, too. AT (LSE2) = 0: unaligned accesses are not single-copy atomic. IDS = 0: the ID space is UNDEFINED at
// EL0 (EC 0), not trapped.
constexpr uint64_t kMmfr2 = field(60, 1)    // E0PD
                            | field(48, 1)  // TTL in TLBI
                            | field(4, 1)   // UAO
                            | field(0, 1);  // CnP
constexpr uint64_t kDfr0 = field(28, 1)     // 2 context-aware breakpoints
                           | field(20, 3)   // 4 watchpoints
                           | field(12, 5)   // 6 breakpoints
                           | field(8, 0)    // no PMU
                           | field(0, 6);   // Armv8.0 debug (with OS double lock: DoubleLock = 0)

// Instruction fetch needs IC IVAU (DIC = 0) but no clean (IDC = 1); PIPT; all lines and granules are 64 bytes.
constexpr uint64_t kCtr = field(31, 1) | field(29, 0) | field(28, 1) | field(24, 4) | field(20, 4) | field(16, 4) | field(14, 3) |
                          field(0, 4);
// DC ZVA clears 2^4 words.
constexpr uint64_t kDczid = 4;
constexpr uint64_t kDczidProhibited = 1u << 4;
constexpr uint64_t kZvaBytes = 64;

// Level 1 instruction and data caches, a unified level 2, coherency at level 2; LoUU = LoUIS = 0 agrees with CTR_EL0.IDC. The
// sizes mean nothing but bound the loops of software that still cleans by set and way.
constexpr uint64_t kClidr = field(24, 2) | field(3, 4) | field(0, 3);
constexpr uint64_t ccsidr(uint64_t sets, uint64_t ways) { return field(13, sets - 1) | field(3, ways - 1) | 2; }
constexpr uint64_t kCcsidrL1 = ccsidr(128, 4), kCcsidrL2 = ccsidr(1024, 16);

// The whole values, as tools that dump the registers print them.
static_assert(kPfr0 == 0x1301000001000011);
static_assert(kIsar0 == 0x0210100010211120);
static_assert(kIsar1 == 0x0000001100211001);
static_assert(kMmfr0 == 0x0000000000100025);
static_assert(kMmfr1 == 0x1000000000201002);
static_assert(kMmfr2 == 0x1001000000000011);
static_assert(kDfr0 == 0x0000000010305006);
static_assert(kCtr == 0x9444c004);

}  // namespace adyton::engine::arm64::id
