// TLB maintenance instructions as requests: what an encoding and its operand ask to be forgotten (Arm ARM D8.14, C5.5).
#pragma once
#include <cstdint>

namespace adyton::engine::arm64 {

struct TlbInvalidation {
  enum class Scope : uint8_t {
    kEverything,  // all entries of the EL1&0 regime
    kAsid,        // non-global entries of `asid`
    kVaAsid,      // [va, va + size): entries of `asid`, and global ones
    kVaAllAsid,   // [va, va + size): entries of any ASID
    kRange,       // as kVaAsid or, when `all_asids`, kVaAllAsid; comes from a range instruction
  } scope = Scope::kEverything;
  // Sign-extended and aligned to the granule. An entry is meant when it covers any byte of the interval, however large its page
  // is.
  uint64_t va = 0;
  uint64_t size = 0;              // bytes; never beyond the end of the address space
  uint16_t asid = 0;
  bool all_asids = false;         // kRange only
  bool last_level_only = false;   // entries cached from table descriptors may stay
  bool broadcast = false;         // Inner or Outer Shareable: on all CPUs
};

// `op` is the SYS encoding (op0 = 1), `value` is Xt, `tcr` is TCR_EL1 (granule, ASID size). What is UNDEFINED must be kept out by
// decode_system_instruction(); an operand with a reserved field asks for more than needed, never for less.
TlbInvalidation decode_tlbi(uint16_t op, uint64_t value, uint64_t tcr);

}  // namespace adyton::engine::arm64
