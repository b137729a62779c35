// An owned memory mapping.
#pragma once
#include <cstddef>
#include <cstdint>
#include <span>

#include "base/result.h"

namespace adyton {

class Mapping {
 public:
  Mapping() = default;
  Mapping(Mapping&& other) noexcept;
  Mapping& operator=(Mapping&& other) noexcept;
  ~Mapping();

  // Anonymous, zero-filled, not reserved in swap. `size` in bytes, a multiple of the page size.
  static Result<Mapping> anonymous(size_t size);
  // Shared mapping of `size` bytes of `fd` from `offset`, with mmap's PROT_* bits.
  static Result<Mapping> shared(int fd, size_t size, int protection, uint64_t offset = 0);

  [[nodiscard]] uint8_t* data() const { return data_; }
  [[nodiscard]] size_t size() const { return size_; }
  [[nodiscard]] std::span<uint8_t> bytes() const { return {data_, size_}; }

 private:
  Mapping(uint8_t* data, size_t size) : data_(data), size_(size) {}
  uint8_t* data_ = nullptr;
  size_t size_ = 0;
};

}  // namespace adyton
