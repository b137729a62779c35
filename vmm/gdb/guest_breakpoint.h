// A BRK that is the guest's own (a kernel's WARN or kprobe, a program's trap), met while a debugger takes all of them.
#pragma once
#include <cstdint>

#include "base/result.h"
#include "hypervisor/hypervisor.h"

namespace adyton::vmm::gdb {

// Takes the exception to EL1 as the CPU would have (Arm ARM D1.3.3): `syndrome` is what ESR_EL1 gets.
Result<void> take_guest_breakpoint(hypervisor::Vcpu& vcpu, uint32_t syndrome);

}  // namespace adyton::vmm::gdb
