// The GICv3 CPU interface of one vCPU: priority mask, running priority, groups, binary points (IHI 0069, 4.8 and 12.2), for a
// system with one security state. Pure state: it decides, and its owner, the redistributor, holds the lock and knows what is
// pending.
#pragma once
#include <cstdint>

#include "engine/arm64/sysreg.h"
#include "hypervisor/soft/interrupt_bank.h"

namespace adyton::hypervisor::soft {

namespace icc {
constexpr uint16_t reg(unsigned crn, unsigned crm, unsigned op2) { return engine::arm64::sysreg_encoding(3, 0, crn, crm, op2); }
constexpr uint16_t kPmr = reg(4, 6, 0);
constexpr uint16_t kIar0 = reg(12, 8, 0), kEoir0 = reg(12, 8, 1), kHppir0 = reg(12, 8, 2), kBpr0 = reg(12, 8, 3);
constexpr uint16_t kAp0r0 = reg(12, 8, 4), kAp1r0 = reg(12, 9, 0);
constexpr uint16_t kDir = reg(12, 11, 1), kRpr = reg(12, 11, 3);
constexpr uint16_t kSgi1r = reg(12, 11, 5), kAsgi1r = reg(12, 11, 6), kSgi0r = reg(12, 11, 7);
constexpr uint16_t kIar1 = reg(12, 12, 0), kEoir1 = reg(12, 12, 1), kHppir1 = reg(12, 12, 2), kBpr1 = reg(12, 12, 3);
constexpr uint16_t kCtlr = reg(12, 12, 4), kSre = reg(12, 12, 5), kIgrpen0 = reg(12, 12, 6), kIgrpen1 = reg(12, 12, 7);
}  // namespace icc

class GicCpuInterface {
 public:
  // Groups this interface accepts: bit 0 for group 0, bit 1 for group 1.
  [[nodiscard]] unsigned enabled_groups() const { return igrpen_; }
  // With split EOI, EOIR only drops the priority and DIR deactivates.
  [[nodiscard]] bool split_eoi() const { return eoi_mode_; }
  [[nodiscard]] uint8_t running_priority() const;

  // Whether `interrupt` may be signalled now: unmasked by PMR, and more urgent than what runs.
  [[nodiscard]] bool accepts(const PendingInterrupt& interrupt) const;
  // Its group priority becomes the running priority.
  void activate(const PendingInterrupt& interrupt);
  // Ends the most urgent active priority when it belongs to the group; false when it does not, and nothing happens.
  bool drop_priority(bool group1);

  // Registers that are only state here. False: not one of those.
  bool read(uint16_t encoding, uint64_t& value) const;
  bool write(uint16_t encoding, uint64_t value);

 private:
  [[nodiscard]] uint8_t group_priority(uint8_t priority, bool group1) const;

  uint8_t pmr_ = 0;
  uint8_t bpr0_ = kMinBpr0, bpr1_ = kMinBpr1;
  uint8_t igrpen_ = 0;
  bool cbpr_ = false, eoi_mode_ = false, pmhe_ = false;
  uint32_t active0_ = 0, active1_ = 0;  // AP0R0, AP1R0: bit n is group priority n << 3

  // With five priority bits the finest split leaves bits 7:3 as group priority.
  static constexpr uint8_t kMinBpr0 = 2, kMinBpr1 = 3;
};

}  // namespace adyton::hypervisor::soft
