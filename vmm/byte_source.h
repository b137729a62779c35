// Bytes that are given to a VM at boot: an open file, or memory.
#pragma once
#include <cstdint>
#include <span>

#include "base/result.h"

namespace adyton::vmm {

class ByteSource {
 public:
  virtual ~ByteSource() = default;
  [[nodiscard]] virtual uint64_t size() const = 0;
  // Fills `out` from `offset`; kCorrupt when the source ends before that (a file may shrink while it is read).
  virtual Result<void> read(uint64_t offset, std::span<uint8_t> out) const = 0;
};

// A regular file or block device, read with pread: never mapped, because its owner could truncate it under us. Borrows the
// descriptor.
class FileSource final : public ByteSource {
 public:
  static Result<FileSource> open(int fd);
  [[nodiscard]] uint64_t size() const override { return size_; }
  Result<void> read(uint64_t offset, std::span<uint8_t> out) const override;

 private:
  FileSource(int fd, uint64_t size) : fd_(fd), size_(size) {}
  int fd_;
  uint64_t size_;
};

class MemorySource final : public ByteSource {
 public:
  explicit MemorySource(std::span<const uint8_t> bytes) : bytes_(bytes) {}
  [[nodiscard]] uint64_t size() const override { return bytes_.size(); }
  Result<void> read(uint64_t offset, std::span<uint8_t> out) const override;

 private:
  std::span<const uint8_t> bytes_;
};

}  // namespace adyton::vmm
