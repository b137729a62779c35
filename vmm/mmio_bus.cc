#include "vmm/mmio_bus.h"

#include <fmt/format.h>

#include <algorithm>

namespace adyton::vmm {

Result<void> MmioBus::add(GuestPhysAddr base, uint64_t size, MmioDevice& device) {
  if (size == 0 || base + size < base)
    return fail(ErrorCode::kInvalidArgument, fmt::format("{} at {:#x} has no proper range", device.name(), base));
  for (const Range& range : ranges_) {
    if (base < range.base + range.size && range.base < base + size) {
      return fail(ErrorCode::kInvalidArgument,
                  fmt::format("{} at {:#x} overlaps {} at {:#x}", device.name(), base, range.device->name(), range.base));
    }
  }
  ranges_.push_back({base, size, &device});
  std::ranges::sort(ranges_, {}, &Range::base);
  return {};
}

const MmioBus::Range* MmioBus::find(GuestPhysAddr address, uint64_t size) const {
  auto next = std::ranges::upper_bound(ranges_, address, {}, &Range::base);
  if (next == ranges_.begin()) return nullptr;
  const Range& range = *--next;
  uint64_t offset = address - range.base;
  return offset < range.size && size <= range.size - offset ? &range : nullptr;
}

bool MmioBus::read(GuestPhysAddr address, std::span<uint8_t> data) const {
  const Range* range = find(address, data.size());
  if (!range) {
    std::ranges::fill(data, 0);
    return false;
  }
  range->device->read(address - range->base, data);
  return true;
}

bool MmioBus::write(GuestPhysAddr address, std::span<const uint8_t> data) const {
  const Range* range = find(address, data.size());
  if (range) range->device->write(address - range->base, data);
  return range != nullptr;
}

}  // namespace adyton::vmm
