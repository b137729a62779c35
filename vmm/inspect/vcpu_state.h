// A vCPU that stands still, as crash reports and cores show it.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "hypervisor/hypervisor.h"
#include "vmm/inspect/backtrace.h"
#include "vmm/inspect/core_file.h"

namespace adyton::vmm::inspect {

// Its registers; what it does not have is zero.
CoreVcpu read_vcpu(hypervisor::Vcpu& vcpu);

// Reads through the vCPU's present translation.
ReadVirtual virtual_memory(hypervisor::Vcpu& vcpu, const GuestMemory& memory);

// The text of a crash report: each vCPU's registers and whom it was called by, and the end of the kernel's log. At most `most`
// bytes, printable but for line ends in the parts of our own; the log is the guest's. `stands`, by vCPU: those that do not are
// only named.
std::string describe_guest(const std::vector<hypervisor::Vcpu*>& vcpus, const std::vector<bool>& stands,
                           const GuestMemory& memory, size_t most);

}  // namespace adyton::vmm::inspect
