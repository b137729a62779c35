// Small file helpers of the image builder.
#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"

namespace adyton::image {

using Bytes = std::vector<uint8_t>;

Result<UniqueFd> open_for_reading(const std::string& path);
Result<Bytes> read_file(const std::string& path);
// From offset 0 to the end.
Result<Bytes> read_descriptor(int fd, const std::string& name_for_errors);
Result<void> write_all(int fd, std::span<const uint8_t> bytes, const std::string& name_for_errors);
Result<void> write_file(const std::string& path, std::span<const uint8_t> bytes);

inline std::span<const uint8_t> bytes_of(std::string_view text) {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}

}  // namespace adyton::image
