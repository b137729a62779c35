// Finds the device behind an address.
//
// Threading: devices are added before the first vCPU runs; read() and write() may then be called on any number of threads, and
// hold no lock while the device works (see MmioDevice).
#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "base/guest_memory.h"
#include "base/result.h"
#include "vmm/mmio_device.h"

namespace adyton::vmm {

class MmioBus {
 public:
  // The device must outlive the bus. kInvalidArgument when the range is empty, wraps, or overlaps another.
  Result<void> add(GuestPhysAddr base, uint64_t size, MmioDevice& device);

  // False: nobody is there (reads give zeroes), or the access crosses a border.
  bool read(GuestPhysAddr address, std::span<uint8_t> data) const;
  bool write(GuestPhysAddr address, std::span<const uint8_t> data) const;

 private:
  struct Range {
    GuestPhysAddr base = 0;
    uint64_t size = 0;
    MmioDevice* device = nullptr;
  };
  [[nodiscard]] const Range* find(GuestPhysAddr address, uint64_t size) const;
  std::vector<Range> ranges_;  // sorted
};

}  // namespace adyton::vmm
