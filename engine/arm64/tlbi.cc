#include "engine/arm64/tlbi.h"

#include <algorithm>

#include "engine/arm64/mmu.h"

namespace adyton::engine::arm64 {
namespace {

using Scope = TlbInvalidation::Scope;

constexpr uint64_t kTcrAs = 1ull << 36;

// CRm of the three groups, as {Non-shareable, Inner Shareable, Outer Shareable}.
constexpr bool is_range(unsigned crm) { return crm == 6 || crm == 2 || crm == 5; }
constexpr bool is_broadcast(unsigned crm) { return crm == 3 || crm == 1 || crm == 2 || crm == 5; }

constexpr uint64_t sign_extend(uint64_t value, unsigned bits) {
  return static_cast<uint64_t>(static_cast<int64_t>(value << (64 - bits)) >> (64 - bits));
}

// The bytes from `va` up to the end of the address space; 0 stands for 2^64.
uint64_t clamp_size(uint64_t va, uint64_t size) { return va == 0 ? size : std::min(size, 0 - va); }

void set_page(TlbInvalidation& request, uint64_t value, uint64_t tcr) {
  // VA[55:12] in bits 43:0. TTL (47:44) is a hint about the level that we have no use for: every covering entry goes.
  const uint64_t va = sign_extend(value << 12, 56);
  const uint64_t page = 1ull << granule_bits(tcr, (va >> 55) & 1);
  request.va = va & ~(page - 1);
  request.size = page;
}

void set_range(TlbInvalidation& request, uint64_t value) {
  const unsigned granule_code = (value >> 46) & 3, scale = (value >> 44) & 3, num = (value >> 39) & 31;
  if (granule_code == 0) {
    request.scope = Scope::kEverything;
    return;
  }
  const unsigned granule = 10 + 2 * granule_code;
  request.va = sign_extend(value << granule, 37 + granule);  // BaseADDR is 37 bits of granules
  request.size = clamp_size(request.va, (num + 1ull) << (5 * scale + 1 + granule));
}

}  // namespace

TlbInvalidation decode_tlbi(uint16_t op, uint64_t value, uint64_t tcr) {
  const unsigned crm = (op >> 3) & 15, op2 = op & 7;
  TlbInvalidation request;
  request.broadcast = is_broadcast(crm);
  request.asid = static_cast<uint16_t>((value >> 48) & ((tcr & kTcrAs) ? 0xffff : 0xff));
  if (op2 == 0) return request;  // VMALLE1
  if (op2 == 2) {                // ASIDE1
    request.scope = Scope::kAsid;
    return request;
  }
  // VAE1 = 1, VAAE1 = 3, VALE1 = 5, VAALE1 = 7, and the range forms alike.
  request.last_level_only = (op2 & 4) != 0;
  request.all_asids = (op2 & 2) != 0;
  if (is_range(crm)) {
    request.scope = Scope::kRange;
    set_range(request, value);
  } else {
    request.scope = request.all_asids ? Scope::kVaAllAsid : Scope::kVaAsid;
    set_page(request, value, tcr);
  }
  return request;
}

}  // namespace adyton::engine::arm64
