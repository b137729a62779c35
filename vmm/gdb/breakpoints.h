// Breakpoints and watchpoints of a debugger. Software breakpoints are BRK instructions in guest memory, by physical address; the debugger sees the
// instructions that were there. Hardware ones belong to virtual addresses, of whatever process.
#pragma once
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <vector>

#include "vmm/gdb/target.h"

namespace adyton::vmm::gdb {

class Breakpoints {
 public:
  // The numbers of the packets Z and z.
  enum class Type : uint8_t { kSoftware = 0, kHardware = 1, kWrite = 2, kRead = 3, kAccess = 4 };

  explicit Breakpoints(Target& target) : target_(target) {}

  // `length` is in bytes: 4 for breakpoints. `regime` says where virtual addresses lead now. False: it cannot be set, as no register is
  // free. One that is there already is not set twice.
  bool insert(Type type, uint64_t address, uint64_t length, hypervisor::Vcpu& regime);
  // False: it is not there.
  bool remove(Type type, uint64_t address, uint64_t length);
  void clear();

  // What the vCPUs are to be told, but for single step.
  [[nodiscard]] hypervisor::GuestDebug control() const;
  // Is the BRK at this physical address one of ours?
  [[nodiscard]] bool software_at(GuestPhysAddr address) const { return software_.contains(address); }
  // Which breakpoint is a register's at `address`? kSoftware: where nothing was mapped when it was set.
  [[nodiscard]] std::optional<Type> register_at(uint64_t address) const;
  // Which watchpoint watches `address`?
  [[nodiscard]] std::optional<Type> watching(uint64_t address) const;

  // `bytes` were read from `address` on: shows them as they are without us.
  void hide(GuestPhysAddr address, std::span<uint8_t> bytes) const;
  // Writes for the debugger, and leaves breakpoints where they are.
  bool write(GuestPhysAddr address, std::span<const uint8_t> bytes);

 private:
  struct Software {
    uint64_t va = 0;
    uint32_t original = 0;
  };
  struct Hardware {
    Type type = Type::kHardware;
    uint64_t address = 0, length = 0;
    bool operator==(const Hardware&) const = default;
  };
  bool insert_hardware(const Hardware& wanted);
  void take_out(GuestPhysAddr address, const Software& breakpoint);
  bool fits(const std::vector<Hardware>& wanted) const;

  Target& target_;
  std::map<GuestPhysAddr, Software> software_;
  std::vector<Hardware> hardware_;
};

}  // namespace adyton::vmm::gdb
