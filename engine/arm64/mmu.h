// The VMSAv8-64 stage 1 translation table walk (Arm ARM D8). A pure function of the registers and of memory; caching is the
// caller's.
#pragma once
#include <cstdint>

#include "base/guest_memory.h"
#include "engine/arm64/cpu_state.h"

namespace adyton::engine::arm64 {

enum class AccessKind : uint8_t { kRead, kWrite, kExecute, kAtomicReadWrite, kCacheMaintenance };

// Fault status codes without the level (Arm ARM, ESR_ELx.DFSC/IFSC).
enum class FaultType : uint8_t {
  kNone, kAddressSize = 0x00 + 0x80, kTranslation = 0x04 + 0x80, kAccessFlag = 0x08 + 0x80, kPermission = 0x0c + 0x80,
  kSyncExternalOnWalk = 0x14 + 0x80, kSyncExternal = 0x10 + 0x80, kAlignment = 0x21 + 0x80, kTlbConflict = 0x30 + 0x80,
};

struct Fault {
  FaultType type = FaultType::kNone;
  uint8_t level = 0;  // for the types that have one
  // ESR.ISS DFSC/IFSC field.
  [[nodiscard]] uint32_t status_code() const;
};

struct Translation {
  Fault fault;               // type kNone when the walk found a leaf that allows the access
  uint64_t pa = 0;           // of the very address asked for
  uint64_t page_size = 0;    // bytes that the leaf (or contiguous run) maps; a power of two
  bool global = false;       // nG = 0
  bool user_read = false, user_write = false, user_exec = false;   // what EL0 may do
  bool priv_read = false, priv_write = false, priv_exec = false;   // what EL1 may do, PAN not applied
  bool dirty_on_write =
      false;                 // priv/user_write hold only after a write walk has set the dirty state (HD): cache as read-only now
  bool device = false;       // Device-* memory type
  bool upper = false;        // translated by TTBR1
  uint8_t mair_attr = 0;     // the attribute byte that AttrIndx selects in MAIR_EL1
  uint8_t shareability = 0;  // SH[1:0] of the leaf
};

// Who asks: privilege and modifiers, apart from CpuState's so that LDTR/STTR and AT can say theirs.
struct AccessContext {
  unsigned el = 1;           // effective privilege of the access: 0 for LDTR/STTR without UAO
  bool pan = false;          // PSTATE.PAN applies to this access
  bool update_tables = true; // false for AT, prefetch and debuggers: descriptors are judged as if updated, but stay as they are
};

// Translates `va` (tag included) for `kind`. With the MMU off the result is flat, readable, writable, executable. Sets the access
// flag and dirty state in memory when TCR_EL1.HA/HD say so. `cpu` supplies SCTLR, TCR, TTBRx, MAIR of the EL1&0 regime. On
// kPermission the other fields still describe the leaf.
Translation translate(const CpuState& cpu, const GuestMemory& memory, uint64_t va, AccessKind kind, AccessContext context);

// ESR.ISS for a data abort (without the ISV part) or an instruction abort.
uint32_t data_abort_iss(const Fault& fault, bool write, bool cache_maintenance);
uint32_t instruction_abort_iss(const Fault& fault);
// ISS of the data abort that a failed translate() for `kind` reports: WnR is 0 for an atomic whose read alone would have faulted.
uint32_t data_abort_iss(const Translation& failed, AccessKind kind, AccessContext context);

// Address with the tag byte handled as TCR_EL1.TBI0/TBI1 say: sign- or zero-extended from bit 55 if ignored, else unchanged.
uint64_t strip_tag(const CpuState& cpu, uint64_t va, bool instruction);

// log2 of the translation granule of the lower (TTBR0) or upper (TTBR1) half: 12, 14 or 16.
unsigned granule_bits(uint64_t tcr, bool upper);

}  // namespace adyton::engine::arm64
