// Identification registers that the distributor and redistributor frames share (IHI 0069, 12.1.6 and 12.9).
#pragma once
#include <array>
#include <cstdint>

namespace adyton::hypervisor::soft {

// Implementer Arm (JEP106 0x43b), as software expects of a GIC; the product is ours. Zero and 0x0204043b are taken by errata
// lists.
constexpr uint32_t kGicIidr = 0x4100'043b;
constexpr uint8_t kGicDistributorPart = 0x92, kGicRedistributorPart = 0x93;

// PIDR4..7, PIDR0..3 and CIDR0..3 at 0xffd0..0xfffc; zero elsewhere.
constexpr uint32_t gic_id_register(uint32_t offset, uint8_t part) {
  if (offset < 0xffd0 || offset > 0xfffc || offset % 4) return 0;
  // PIDR2: architecture revision 3.
  const std::array<uint8_t, 12> ids = {0x44, 0, 0, 0, part, 0xb4, 0x3b, 0, 0x0d, 0xf0, 0x05, 0xb1};
  return ids[(offset - 0xffd0) / 4];
}

}  // namespace adyton::hypervisor::soft
