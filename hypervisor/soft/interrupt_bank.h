// The state of 32 interrupts, one bit each: a distributor bank of SPIs, or the SGIs and PPIs of one redistributor.
// Plain data; the owner's lock guards it.
#pragma once
#include <array>
#include <cstdint>

namespace adyton::hypervisor::soft {

// Five priority bits: 32 levels in bits 7:3 (IHI 0069, 4.8).
constexpr uint8_t kPriorityMask = 0xf8;
constexpr uint8_t kIdlePriority = 0xff;
constexpr uint32_t kSpuriousIntid = 1023;

// An interrupt that may be offered to a CPU interface.
struct PendingInterrupt {
  uint32_t intid = kSpuriousIntid;
  uint8_t priority = kIdlePriority;
  bool group1 = false;

  [[nodiscard]] bool any() const { return intid != kSpuriousIntid; }
  // Lower value wins; among equals the lower INTID.
  [[nodiscard]] bool beats(const PendingInterrupt& other) const {
    return priority != other.priority ? priority < other.priority : intid < other.intid;
  }
  bool operator==(const PendingInterrupt&) const = default;
};

struct InterruptBank {
  uint32_t enabled = 0;
  uint32_t latch = 0;  // pending by an edge, or by a write to ISPENDR
  uint32_t line = 0;   // level of the input
  uint32_t active = 0;
  uint32_t edge = 0;  // configured edge-triggered
  uint32_t group1 = 0;
  std::array<uint8_t, 32> priority{};

  [[nodiscard]] uint32_t pending() const { return latch | (line & ~edge); }

  // What may be signalled, by state only: enabled, pending and not active.
  [[nodiscard]] uint32_t deliverable() const { return pending() & enabled & ~active; }

  // Returns whether anything that matters to delivery changed.
  bool set_line(uint32_t bit, bool level) {
    if (level == ((line & bit) != 0)) return false;
    line ^= bit;
    if (!(edge & bit)) return true;
    if (level) latch |= bit;
    return level;
  }

  void acknowledge(uint32_t bit) {
    latch &= ~bit;
    active |= bit;
  }

  // The best of `candidates`, whose groups are in `groups` (bit 0: group 0, bit 1: group 1).
  [[nodiscard]] PendingInterrupt best(uint32_t candidates, unsigned groups, uint32_t first_intid) const;

  // A distributor or SGI frame register that describes this bank; `offset` is as in the frame but with the bank's own index taken
  // off: 0x80 for any IGROUPR<n>, 0x400 + byte for any IPRIORITYR<n>, 0xc00 or 0xc04 for ICFGR.
  [[nodiscard]] uint32_t read(uint32_t offset) const;
  // `fixed_config` are interrupts whose ICFGR field is read-only (SGIs).
  void write(uint32_t offset, uint32_t value, uint32_t fixed_config);
  [[nodiscard]] uint8_t read_priority(unsigned index) const { return priority[index & 31]; }
  void write_priority(unsigned index, uint8_t value) { priority[index & 31] = value & kPriorityMask; }
};

// Frame offsets (IHI 0069, 12.8 and 12.11); each array has one 32-bit word per bank unless said otherwise.
enum GicOffset : uint32_t {
  kIgroupr = 0x80,
  kIsenabler = 0x100,
  kIcenabler = 0x180,
  kIspendr = 0x200,
  kIcpendr = 0x280,
  kIsactiver = 0x300,
  kIcactiver = 0x380,
  kIpriorityr = 0x400,  // a byte per interrupt
  kIpriorityrEnd = 0x800,
  kIcfgr = 0xc00,  // two bits per interrupt
  kIcfgrEnd = 0xd00,
};

}  // namespace adyton::hypervisor::soft
