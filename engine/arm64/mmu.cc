#include "engine/arm64/mmu.h"

#include <algorithm>
#include <array>
#include <atomic>

namespace adyton::engine::arm64 {
namespace {

constexpr uint64_t kSctlrM = 1ull << 0, kSctlrWxn = 1ull << 19;
constexpr uint64_t kTcrHa = 1ull << 39, kTcrHd = 1ull << 40;
constexpr unsigned kPaBits = 48;  // ID_AA64MMFR0_EL1.PARange = 5

// Descriptors (Arm ARM D8.3).
constexpr uint64_t kDescValid = 1, kDescTableOrPage = 2;
constexpr uint64_t kDescUser = 1ull << 6, kDescReadOnly = 1ull << 7;  // AP[1], AP[2]
constexpr uint64_t kDescAf = 1ull << 10, kDescNotGlobal = 1ull << 11;
constexpr uint64_t kDescDbm = 1ull << 51, kDescContiguous = 1ull << 52, kDescPxn = 1ull << 53, kDescUxn = 1ull << 54;
constexpr uint64_t kTablePxn = 1ull << 59, kTableUxn = 1ull << 60, kTableNoUser = 1ull << 61, kTableReadOnly = 1ull << 62;

// A descriptor that other CPUs keep changing under a walk that wants to update it: give up rather than spin for ever.
constexpr int kMaxUpdateAttempts = 4096;

constexpr uint64_t low_mask(unsigned bits) { return bits >= 64 ? ~0ull : (1ull << bits) - 1; }

// One half of TCR_EL1, unpacked.
struct Half {
  uint64_t ttbr;
  unsigned granule;      // log2 of the page size
  unsigned input_bits;   // 64 - TxSZ
  bool disabled;         // EPDx
  bool user_disabled;    // E0PDx
  bool ignore_top_byte;  // TBIx
  bool flat_permissions; // HPDx: hierarchical permissions disabled
};

Half half_of(const CpuState& cpu, bool upper) {
  const uint64_t tcr = cpu.tcr_el[1];
  Half half{};
  half.granule = granule_bits(tcr, upper);
  // Outside 16..39 the size is CONSTRAINED UNPREDICTABLE; it behaves as the nearest legal value (no FEAT_LVA, no FEAT_TTST).
  half.input_bits = 64 - std::clamp<unsigned>((tcr >> (upper ? 16 : 0)) & 0x3f, 16, 39);
  half.ttbr = upper ? cpu.ttbr1_el1 : cpu.ttbr0_el[1];
  half.disabled = (tcr >> (upper ? 23 : 7)) & 1;
  half.user_disabled = (tcr >> (upper ? 56 : 55)) & 1;
  half.ignore_top_byte = (tcr >> (upper ? 38 : 37)) & 1;
  half.flat_permissions = (tcr >> (upper ? 42 : 41)) & 1;
  return half;
}

unsigned output_bits(uint64_t tcr) {
  constexpr std::array<uint8_t, 8> kIps = {32, 36, 40,      42,
                                           44, 48, kPaBits, kPaBits};  // larger ones behave as the implemented size
  return kIps[(tcr >> 32) & 7];
}

// Entries in a contiguous run (Arm ARM table D8-46); 1 where the bit has no meaning.
unsigned contiguous_entries(unsigned granule, unsigned level) {
  switch (granule) {
    case 12: return 16;
    case 14: return level == 3 ? 128 : 32;
    default: return 32;
  }
}

bool block_allowed(unsigned granule, unsigned level) { return granule == 12 ? level == 1 || level == 2 : level == 2; }

Translation failed(FaultType type, unsigned level) {
  Translation result;
  result.fault = {type, static_cast<uint8_t>(level)};
  return result;
}

uint64_t* descriptor_at(const GuestMemory& memory, uint64_t pa) {
  const auto bytes = memory.slice(pa, sizeof(uint64_t));
  return bytes.empty() ? nullptr : reinterpret_cast<uint64_t*>(bytes.data());
}

Translation translate_off(uint64_t va, bool upper, AccessKind kind) {
  if (va >> kPaBits) return failed(FaultType::kAddressSize, 0);
  Translation result;
  result.pa = va;
  result.page_size = 4096;
  result.global = true;
  result.upper = upper;
  result.user_read = result.user_write = result.user_exec = true;
  result.priv_read = result.priv_write = result.priv_exec = true;
  // Data is Device-nGnRnE; fetches are Normal whatever SCTLR_EL1.I says about caching (Arm ARM D8.2.10).
  result.device = kind != AccessKind::kExecute;
  result.shareability = 2;
  return result;
}

bool access_allowed(const Translation& t, AccessKind kind, const AccessContext& context) {
  const bool user = context.el == 0;
  const bool read = user ? t.user_read : t.priv_read, write = user ? t.user_write : t.priv_write;
  // PAN: EL1 must not touch data that EL0 can. Maintenance is no data access (Arm ARM D8.4.3); execute-only pages need FEAT_PAN3.
  const bool pan = !user && context.pan && (t.user_read || t.user_write);
  switch (kind) {
    case AccessKind::kRead: return read && !pan;
    case AccessKind::kWrite: return write && !pan;
    case AccessKind::kAtomicReadWrite: return read && write && !pan;
    case AccessKind::kExecute: return user ? t.user_exec : t.priv_exec;
    case AccessKind::kCacheMaintenance: return read;
  }
  return false;
}

struct WalkAttributes {
  uint64_t table = 0;  // the union of the hierarchical bits of all tables passed
  bool wxn = false, hd = false;
};

void set_permissions(Translation& t, uint64_t descriptor, const WalkAttributes& attributes) {
  const bool can_become_dirty = attributes.hd && (descriptor & kDescDbm) && (descriptor & kDescReadOnly);
  const bool read_only = ((descriptor & kDescReadOnly) && !can_become_dirty) || (attributes.table & kTableReadOnly);
  const bool user = (descriptor & kDescUser) && !(attributes.table & kTableNoUser);
  t.user_read = user;
  t.user_write = user && !read_only;
  t.priv_read = true;
  t.priv_write = !read_only;
  t.user_exec = !((descriptor & kDescUxn) || (attributes.table & kTableUxn));
  // What EL0 can write, EL1 never executes (Arm ARM D8.4.1.2).
  t.priv_exec = !((descriptor & kDescPxn) || (attributes.table & kTablePxn) || t.user_write);
  if (attributes.wxn) {
    t.user_exec = t.user_exec && !t.user_write;
    t.priv_exec = t.priv_exec && !t.priv_write;
  }
  t.dirty_on_write = can_become_dirty && !read_only;
}

enum class LeafOutcome : uint8_t { kDone, kDescriptorChanged };

// Fills `t` from a leaf, checks the access and updates the descriptor if the hardware management bits ask for it.
LeafOutcome finish_leaf(Translation& t, const CpuState& cpu, uint64_t* location, uint64_t descriptor, unsigned level,
                        AccessKind kind, const AccessContext& context, const WalkAttributes& attributes) {
  const bool ha = (cpu.tcr_el[1] & kTcrHa) != 0;
  if (!(descriptor & kDescAf) && !ha) {
    t.fault = {FaultType::kAccessFlag, static_cast<uint8_t>(level)};
    return LeafOutcome::kDone;
  }
  set_permissions(t, descriptor, attributes);
  t.global = !(descriptor & kDescNotGlobal);
  t.mair_attr = static_cast<uint8_t>(cpu.mair_el[1] >> (((descriptor >> 2) & 7) * 8));
  t.device = (t.mair_attr & 0xf0) == 0;
  t.shareability = (descriptor >> 8) & 3;
  if (!access_allowed(t, kind, context)) {
    t.fault = {FaultType::kPermission, static_cast<uint8_t>(level)};
    return LeafOutcome::kDone;
  }
  if (!context.update_tables) return LeafOutcome::kDone;

  uint64_t updated = descriptor | kDescAf;  // without HA the flag is set already
  const bool writes = kind == AccessKind::kWrite || kind == AccessKind::kAtomicReadWrite;
  if (writes && t.dirty_on_write) updated &= ~kDescReadOnly;
  if (updated != descriptor) {
    std::atomic_ref<uint64_t> entry(*location);
    if (!entry.compare_exchange_strong(descriptor, updated)) return LeafOutcome::kDescriptorChanged;
  }
  if (writes) t.dirty_on_write = false;
  return LeafOutcome::kDone;
}

}  // namespace

uint32_t Fault::status_code() const {
  const uint32_t code = static_cast<uint32_t>(type) & 0x3f;
  switch (type) {
    case FaultType::kAddressSize:
    case FaultType::kTranslation:
    case FaultType::kAccessFlag:
    case FaultType::kPermission:
    case FaultType::kSyncExternalOnWalk: return code | (level & 3u);
    default: return code;
  }
}

unsigned granule_bits(uint64_t tcr, bool upper) {
  // TG0 and TG1 number the granules differently; the reserved value of each behaves as 4 KiB.
  constexpr std::array<uint8_t, 4> kTg0 = {12, 16, 14, 12}, kTg1 = {12, 14, 12, 16};
  return upper ? kTg1[(tcr >> 30) & 3] : kTg0[(tcr >> 14) & 3];
}

uint64_t strip_tag(const CpuState& cpu, uint64_t va, bool /*instruction*/) {
  // TBIx covers instruction addresses too: TBIDx came with FEAT_PAuth, which we do not have.
  const bool upper = (va >> 55) & 1;
  if (!((cpu.tcr_el[1] >> (upper ? 38 : 37)) & 1)) return va;
  return upper ? va | (0xffull << 56) : va & low_mask(56);
}

Translation translate(const CpuState& cpu, const GuestMemory& memory, uint64_t va, AccessKind kind, AccessContext context) {
  const bool upper = (va >> 55) & 1;
  va = strip_tag(cpu, va, kind == AccessKind::kExecute);
  if (!(cpu.sctlr_el[1] & kSctlrM)) return translate_off(va, upper, kind);

  const Half half = half_of(cpu, upper);
  const uint64_t beyond = va >> half.input_bits;
  if (beyond != (upper ? ~0ull >> half.input_bits : 0)) return failed(FaultType::kTranslation, 0);
  if (half.disabled || (half.user_disabled && context.el == 0)) return failed(FaultType::kTranslation, 0);

  const unsigned stride = half.granule - 3;
  const unsigned start_level = 3 - (half.input_bits - half.granule - 1) / stride;
  const unsigned oa_bits = output_bits(cpu.tcr_el[1]);
  const uint64_t page_bits_mask = low_mask(48) & ~low_mask(half.granule);
  // The first table may be shorter than a granule, and is aligned to its size.
  const unsigned start_bits = half.input_bits - (3 - start_level) * stride - half.granule;
  const uint64_t start_table = half.ttbr & low_mask(48) & ~low_mask(start_bits + 3);
  if (start_table >> oa_bits) return failed(FaultType::kAddressSize, 0);

  for (int attempt = 0; attempt < kMaxUpdateAttempts; ++attempt) {
    WalkAttributes attributes;
    attributes.wxn = (cpu.sctlr_el[1] & kSctlrWxn) != 0;
    attributes.hd = (cpu.tcr_el[1] & kTcrHa) && (cpu.tcr_el[1] & kTcrHd);
    uint64_t table = start_table;
    unsigned index_bits = start_bits;
    for (unsigned level = start_level;; ++level, index_bits = stride) {
      const unsigned shift = half.granule + (3 - level) * stride;
      uint64_t* location = descriptor_at(memory, table + ((va >> shift) & low_mask(index_bits)) * sizeof(uint64_t));
      if (location == nullptr) return failed(FaultType::kSyncExternalOnWalk, level);
      const uint64_t descriptor = std::atomic_ref<uint64_t>(*location).load(std::memory_order_acquire);
      if (!(descriptor & kDescValid)) return failed(FaultType::kTranslation, level);

      const uint64_t output = descriptor & page_bits_mask;
      if (level < 3 && (descriptor & kDescTableOrPage)) {
        if (output >> oa_bits) return failed(FaultType::kAddressSize, level);
        if (!half.flat_permissions) attributes.table |= descriptor;
        table = output;
        continue;
      }
      if (level == 3 ? !(descriptor & kDescTableOrPage) : !block_allowed(half.granule, level)) {
        return failed(FaultType::kTranslation, level);
      }
      const uint64_t leaf_mask = low_mask(shift);
      if ((output & ~leaf_mask) >> oa_bits) return failed(FaultType::kAddressSize, level);

      Translation result;
      result.pa = (output & ~leaf_mask) | (va & leaf_mask);
      result.page_size = leaf_mask + 1;
      if (descriptor & kDescContiguous) result.page_size *= contiguous_entries(half.granule, level);
      result.upper = upper;
      if (finish_leaf(result, cpu, location, descriptor, level, kind, context, attributes) == LeafOutcome::kDone) return result;
      break;
    }
  }
  return failed(FaultType::kSyncExternalOnWalk, 3);
}

uint32_t data_abort_iss(const Fault& fault, bool write, bool cache_maintenance) {
  // CM implies WnR (Arm ARM D19.2.37, "ISS encoding for an exception from a Data Abort").
  return fault.status_code() | (cache_maintenance ? 1u << 8 : 0) | (write || cache_maintenance ? 1u << 6 : 0);
}

uint32_t data_abort_iss(const Translation& t, AccessKind kind, AccessContext context) {
  bool write = kind == AccessKind::kWrite;
  if (kind == AccessKind::kAtomicReadWrite && t.fault.type == FaultType::kPermission) {
    write = access_allowed(t, AccessKind::kRead, context);
  }
  return data_abort_iss(t.fault, write, kind == AccessKind::kCacheMaintenance);
}

uint32_t instruction_abort_iss(const Fault& fault) { return fault.status_code(); }

}  // namespace adyton::engine::arm64
