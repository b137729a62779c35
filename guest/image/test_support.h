// Shared by the image builder's tests.
#pragma once
#include <gtest/gtest.h>

#include <filesystem>
#include <map>
#include <string>

#include "base/temporary_directory.h"
#include "guest/image/files.h"

namespace adyton::image {

// With files made in it.
class TemporaryDirectory : public adyton::TemporaryDirectory {
 public:
  [[nodiscard]] std::string file(const std::string& name, std::string_view contents, int mode = 0644) const {
    const std::string made = path(name);
    std::filesystem::create_directories(std::filesystem::path(made).parent_path());
    EXPECT_TRUE(write_file(made, bytes_of(contents)));
    std::filesystem::permissions(made, static_cast<std::filesystem::perms>(mode));
    return made;
  }
};

struct CpioEntry {
  uint32_t mode = 0;
  uint32_t uid = 0;
  uint32_t mtime = 0;
  uint32_t device_major = 0;
  uint32_t device_minor = 0;
  std::string contents;
};

// A reader of "newc" archives written from the kernel's documentation (early-userspace/buffer-format.rst): thirteen fields of
// eight hexadecimal digits after the magic "070701"; name and contents are padded to multiples of four.
inline std::map<std::string, CpioEntry> parse_cpio(std::span<const uint8_t> bytes) {
  const std::string text(bytes.begin(), bytes.end());
  std::map<std::string, CpioEntry> entries;
  for (size_t position = 0; position + 110 <= text.size();) {
    if (text[position] == '\0') {  // padding between archives
      position += 4;
      continue;
    }
    EXPECT_EQ(text.substr(position, 6), "070701");
    uint32_t fields[13];
    for (int i = 0; i < 13; ++i)
      fields[i] = static_cast<uint32_t>(std::stoul(text.substr(position + 6 + 8 * static_cast<size_t>(i), 8), nullptr, 16));
    const std::string name = text.substr(position + 110, fields[11] - 1);
    position = (position + 110 + fields[11] + 3) / 4 * 4;
    if (name != "TRAILER!!!") {
      entries[name] = {fields[1], fields[2], fields[5], fields[9], fields[10], text.substr(position, fields[6])};
    }
    position = (position + fields[6] + 3) / 4 * 4;
  }
  return entries;
}

}  // namespace adyton::image
