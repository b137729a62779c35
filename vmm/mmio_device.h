// A device that the guest reaches by loads and stores to its registers.
//
// Threading: read() and write() are called on vCPU threads, several at the same time; the bus holds no lock. A device guards its
// own state, and must not hold that lock while it waits for anything but another short lock: a vCPU stands still meanwhile.
#pragma once
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>

namespace adyton::vmm {

class MmioDevice {
 public:
  virtual ~MmioDevice() = default;

  // One access of data.size() = 1, 2, 4 or 8 bytes (little-endian), `offset` bytes from the start of the device's range. The
  // access lies wholly inside the range, but need not be aligned, nor of a size the device likes: those read as zero and are
  // ignored. read() fills all of `data`.
  virtual void read(uint64_t offset, std::span<uint8_t> data) = 0;
  virtual void write(uint64_t offset, std::span<const uint8_t> data) = 0;

  // For messages and traces: "pl011", "virtio-console".
  [[nodiscard]] virtual std::string_view name() const = 0;
};

// The register value in an access's bytes, and back.
inline uint64_t mmio_value(std::span<const uint8_t> data) {
  uint64_t value = 0;
  std::memcpy(&value, data.data(), data.size() < 8 ? data.size() : 8);
  return value;
}
inline void set_mmio_value(std::span<uint8_t> data, uint64_t value) {
  std::memset(data.data(), 0, data.size());
  std::memcpy(data.data(), &value, data.size() < 8 ? data.size() : 8);
}

}  // namespace adyton::vmm
