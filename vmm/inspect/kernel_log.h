// The end of the guest kernel's log, from its ring of records (Documentation/core-api/printk-basics.rst; the layout is in
// VMCOREINFO), whether or not a console ever showed it.
#pragma once
#include <string>

#include "base/guest_memory.h"
#include "vmm/inspect/kernel_info.h"

namespace adyton::vmm::inspect {

// At most `most` bytes: whole lines as dmesg has them, the last one last. What stands in them is the guest's, any bytes. "" when
// there is no log.
std::string kernel_log(const GuestMemory& memory, const KernelInfo& kernel, size_t most);

}  // namespace adyton::vmm::inspect
