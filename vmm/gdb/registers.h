// The registers as gdb sees them: its numbers, their widths, and the description that it reads (GDB manual, G.5.1 "AArch64 Features").
#pragma once
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "hypervisor/hypervisor.h"

namespace adyton::vmm::gdb {

struct Register {
  std::string name;
  uint64_t id = 0;      // hypervisor register id; for `sp` that of SP_EL0
  unsigned bytes = 0;   // in the protocol
};

// x0..x30, sp, pc, cpsr, v0..v31, fpsr, fpcr: what the packets g and G carry.
inline constexpr unsigned kGeneralRegisters = 68;
inline constexpr unsigned kSpNumber = 31, kPcNumber = 32, kCpsrNumber = 33, kFirstVector = 34;

class Registers {
 public:
  // Those that `vcpu` has: which system registers there are depends on the hypervisor.
  explicit Registers(hypervisor::Vcpu& vcpu);

  [[nodiscard]] std::span<const Register> all() const { return registers_; }
  [[nodiscard]] std::span<const Register> system() const { return std::span(registers_).subspan(kGeneralRegisters); }
  // target.xml, all features in one document.
  [[nodiscard]] const std::string& description() const { return description_; }

  // The bytes of register `number`, little-endian; none: there is no such register.
  [[nodiscard]] std::optional<std::string> read(hypervisor::Vcpu& vcpu, unsigned number) const;
  // False: there is none, it is not as wide, or it cannot have that value.
  [[nodiscard]] bool write(hypervisor::Vcpu& vcpu, unsigned number, std::string_view bytes) const;

 private:
  std::vector<Register> registers_;
  std::string description_;
};

}  // namespace adyton::vmm::gdb
