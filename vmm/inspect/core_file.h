// The ELF core of a guest: what gdb, crash and readelf read (System V gABI; Linux's include/uapi/linux/elf.h, elfcore.h). Header
// and notes are made here; the memory follows as it is.
#pragma once
#include <array>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/guest_memory.h"
#include "vmm/inspect/kernel_info.h"

namespace adyton::vmm::inspect {

// A vCPU as a thread of the core.
struct CoreVcpu {
  std::array<uint64_t, 34> general{};  // x0 to x30, the stack pointer in use, PC, PSTATE
  std::array<std::array<uint8_t, 16>, 32> vector{};
  uint32_t fpsr = 0, fpcr = 0;
};

struct CoreLayout {
  struct Part {
    GuestPhysAddr address = 0;
    uint64_t size = 0, offset = 0;  // bytes; where it is in the file
  };
  std::vector<uint8_t> header;  // the file's beginning
  std::vector<Part> parts;      // the regions of the guest's memory
  uint64_t size = 0;            // of the file
};

// A part of the kernel's image at its own virtual addresses.
struct CoreImage {
  uint64_t va = 0;
  GuestPhysAddr address = 0;
  uint64_t size = 0;  // bytes, a multiple of the page size
};
// Where a virtual address leads; none: it is not mapped.
using TranslateVirtual = std::function<std::optional<GuestPhysAddr>(uint64_t va)>;
// What of the image is mapped, from _stext on: a kernel that runs has given back some of it.
std::vector<CoreImage> kernel_image(const GuestMemory& memory, const KernelInfo& kernel, const TranslateVirtual& translate);

// One PT_LOAD for each region, with its physical address; with `kernel` at the virtual addresses of the linear map, and then the
// parts of `image` once more at their own. Without, virtual addresses are the physical ones. Notes: NT_PRSTATUS and NT_FPREGSET of each
// vCPU (its thread id is its index plus 1), and VMCOREINFO.
CoreLayout core_layout(const GuestMemory& memory, const std::vector<CoreVcpu>& vcpus, const KernelInfo* kernel,
                       const std::vector<CoreImage>& image);

}  // namespace adyton::vmm::inspect
