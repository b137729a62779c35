#include "base/mapping.h"

#include <sys/mman.h>

#include <utility>

namespace adyton {

Mapping::Mapping(Mapping&& other) noexcept : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}

Mapping& Mapping::operator=(Mapping&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  return *this;
}

Mapping::~Mapping() {
  if (data_) ::munmap(data_, size_);
}

Result<Mapping> Mapping::anonymous(size_t size) {
  void* p = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (p == MAP_FAILED) return fail_errno("cannot map memory");
  return Mapping(static_cast<uint8_t*>(p), size);
}

Result<Mapping> Mapping::shared(int fd, size_t size, int protection, uint64_t offset) {
  void* p = ::mmap(nullptr, size, protection, MAP_SHARED | MAP_NORESERVE, fd, static_cast<off_t>(offset));
  if (p == MAP_FAILED) return fail_errno("cannot map file");
  return Mapping(static_cast<uint8_t*>(p), size);
}

}  // namespace adyton
