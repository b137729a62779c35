// Writes a "newc" cpio archive as the kernel's initramfs reads it (Documentation/driver-api/early-userspace/buffer-format.rst).
#pragma once
#include <cstdint>
#include <memory>
#include <set>
#include <span>
#include <string>

#include "base/result.h"
#include "guest/image/files.h"

namespace adyton::image {

// Owner root, all times 1970-01-01, so that the same contents give the same bytes. Paths are absolute; missing parent directories are
// added before an entry.
class CpioWriter {
 public:
  CpioWriter();
  ~CpioWriter();
  CpioWriter(CpioWriter&&) noexcept;
  CpioWriter& operator=(CpioWriter&&) noexcept;

  Result<void> add_directory(const std::string& path, uint32_t mode = 0755);
  Result<void> add_file(const std::string& path, std::span<const uint8_t> contents, uint32_t mode = 0644);
  Result<void> add_symlink(const std::string& path, const std::string& target);
  Result<void> add_character_device(const std::string& path, uint32_t mode, unsigned major, unsigned minor);

  // The whole archive; archives may be concatenated. The object takes no further entries.
  Result<Bytes> finish();

 private:
  struct State;
  Result<void> add_parents(const std::string& path);
  std::unique_ptr<State> state_;
};

}  // namespace adyton::image
