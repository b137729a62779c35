// Reads files out of a Debian binary package (deb(5)) or a compressed file. Packages come from a signed archive, but are parsed by libarchive
// with bounds all the same.
#pragma once
#include <functional>
#include <map>
#include <span>
#include <string>

#include "base/result.h"
#include "guest/image/files.h"

namespace adyton::image {

// The regular files of the package's data archive whose path ("boot/vmlinuz-6.1", no leading "./") `wanted` accepts.
Result<std::map<std::string, Bytes>> read_package_files(const std::string& deb, const std::function<bool(const std::string& path)>& wanted);

// The contents of an xz, gzip or zstd file; other files as they are.
Result<Bytes> decompress(std::span<const uint8_t> file);

}  // namespace adyton::image
