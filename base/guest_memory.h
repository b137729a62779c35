// The guest's physical memory as seen from the host: a sorted list of regions, each backed by host memory.
//
// Everything that reads guest memory on behalf of a device goes through read/write/slice: the range is checked, and each
// field is copied out once (the guest may change memory at any time). Threading: the region list is fixed before the
// first vCPU runs; afterwards all methods may be called from any thread.
#pragma once
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <type_traits>
#include <vector>

#include "base/mapping.h"
#include "base/result.h"

namespace adyton {

using GuestPhysAddr = uint64_t;

struct GuestRegion {
  GuestPhysAddr base = 0;
  uint64_t size = 0;     // bytes
  uint8_t* host = nullptr;
};

class GuestMemory {
 public:
  // Adds `size` bytes of zeroed memory at `base`; both multiples of 64 KiB. Fails with kInvalidArgument on overlap.
  Result<void> add_ram(GuestPhysAddr base, uint64_t size);

  [[nodiscard]] const std::vector<GuestRegion>& regions() const { return regions_; }

  // The host bytes of [gpa, gpa + size), or an empty span when any byte of it is outside one region.
  [[nodiscard]] std::span<uint8_t> slice(GuestPhysAddr gpa, uint64_t size) const {
    for (const GuestRegion& r : regions_) {
      if (gpa >= r.base && gpa - r.base < r.size) {
        return size <= r.size - (gpa - r.base) ? std::span<uint8_t>(r.host + (gpa - r.base), size) : std::span<uint8_t>();
      }
    }
    return {};
  }

  Result<void> read(GuestPhysAddr gpa, std::span<uint8_t> out) const;
  Result<void> write(GuestPhysAddr gpa, std::span<const uint8_t> data) const;

  template <typename T>
    requires std::is_trivially_copyable_v<T>
  Result<T> load(GuestPhysAddr gpa) const {
    T value;
    if (auto done = read(gpa, std::span(reinterpret_cast<uint8_t*>(&value), sizeof(T))); !done) return std::unexpected(done.error());
    return value;
  }
  template <typename T>
    requires std::is_trivially_copyable_v<T>
  Result<void> store(GuestPhysAddr gpa, const T& value) const {
    return write(gpa, std::span(reinterpret_cast<const uint8_t*>(&value), sizeof(T)));
  }

 private:
  std::vector<GuestRegion> regions_;
  std::vector<Mapping> mappings_;
};

}  // namespace adyton
