// Names for addresses of the guest's kernel, from the table that it carries itself (kallsyms), which VMCOREINFO of Linux 6.0 and
// later leads to.
#pragma once
#include <cstdint>
#include <map>
#include <span>
#include <string>

#include "base/guest_memory.h"
#include "vmm/inspect/kernel_info.h"

namespace adyton::vmm::inspect {

struct Symbol {
  std::string name;     // printable
  uint64_t offset = 0;  // of the address from its beginning
};

// Those of `addresses` that are in a function of the kernel's image. Total and bounded whatever the tables hold.
std::map<uint64_t, Symbol> kernel_symbols(const GuestMemory& memory, const KernelInfo& kernel,
                                          std::span<const uint64_t> addresses);

}  // namespace adyton::vmm::inspect
