#include "base/guest_memory.h"

#include <fmt/format.h>

#include <algorithm>

namespace adyton {
namespace {
constexpr uint64_t kRegionAlignment = 64 * 1024;
}

Result<void> GuestMemory::add_ram(GuestPhysAddr base, uint64_t size) {
  if (size == 0 || size % kRegionAlignment || base % kRegionAlignment || base + size < base) {
    return fail(ErrorCode::kInvalidArgument, fmt::format("guest memory of {} bytes at {:#x} is not a multiple of 64 KiB", size, base));
  }
  for (const GuestRegion& r : regions_) {
    if (base < r.base + r.size && r.base < base + size) {
      return fail(ErrorCode::kInvalidArgument, fmt::format("guest memory at {:#x} overlaps the region at {:#x}", base, r.base));
    }
  }
  Mapping mapping = TRY(Mapping::anonymous(size));
  regions_.push_back({base, size, mapping.data()});
  std::ranges::sort(regions_, {}, &GuestRegion::base);
  mappings_.push_back(std::move(mapping));
  return {};
}

Result<void> GuestMemory::read(GuestPhysAddr gpa, std::span<uint8_t> out) const {
  auto bytes = slice(gpa, out.size());
  if (bytes.size() != out.size()) return fail(ErrorCode::kInvalidArgument, fmt::format("guest address {:#x} is not in memory", gpa));
  if (!out.empty()) std::memcpy(out.data(), bytes.data(), out.size());
  return {};
}

Result<void> GuestMemory::write(GuestPhysAddr gpa, std::span<const uint8_t> data) const {
  auto bytes = slice(gpa, data.size());
  if (bytes.size() != data.size()) return fail(ErrorCode::kInvalidArgument, fmt::format("guest address {:#x} is not in memory", gpa));
  if (!data.empty()) std::memcpy(bytes.data(), data.data(), data.size());
  return {};
}

}  // namespace adyton
