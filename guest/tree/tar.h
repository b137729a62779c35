// A stream of files, folders and symbolic links: the part of POSIX's pax format (IEEE 1003.1, pax, "ustar" and "pax Interchange
// Format") that `adyton cp` sends, with GNU tar's sparse format 1.0 for files with holes. GNU tar and libarchive read and write
// the same. libarchive itself does not go into the guest's static init; both ends use this. The reader's bytes come from the
// other side, and may be anything: it takes a bounded amount of memory and fails on what it does not know. Threading: an object
// belongs to one thread.
#pragma once
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"

namespace adyton::tree {

// A part of a file that has data; between them are holes.
struct Extent {
  uint64_t offset = 0;
  uint64_t size = 0;
  bool operator==(const Extent&) const = default;
};

struct Entry {
  enum class Kind { kFile, kFolder, kLink };
  Kind kind = Kind::kFile;
  std::string name;
  uint32_t mode = 0644;  // permission bits
  int64_t mtime = 0;     // seconds since 1970
  uint32_t mtime_ns = 0;
  uint64_t size = 0;         // of a file, holes included
  std::string link;          // where a link points to
  std::vector<Extent> data;  // of a file: in order, within `size`
};

class TarWriter {
 public:
  // Writes to `fd`, which blocks and stays the caller's.
  explicit TarWriter(int fd) : fd_(fd) {}

  // Begins an entry. The bytes of a file's extents follow by data(), exactly as many as they are.
  Result<void> begin(const Entry& entry);
  Result<void> data(std::span<const uint8_t> bytes);
  // After the last entry.
  Result<void> finish();

 private:
  Result<void> header(char type, const std::string& name, const Entry& entry, uint64_t stored, const std::string& link);
  Result<void> pad();

  int fd_;
  uint64_t in_block_ = 0;  // bytes of the present entry, modulo a block
};

class TarReader {
 public:
  // Reads from `fd`, which blocks and stays the caller's.
  explicit TarReader(int fd) : fd_(fd) {}

  // The next entry; none at the end. What is left of the one before is passed over.
  Result<std::optional<Entry>> next();
  // The next bytes of the entry's extents, one behind the other: as many as fit, none when there are no more.
  Result<size_t> data(std::span<uint8_t> bytes);

 private:
  struct Attributes;
  Result<void> read_exactly(std::span<uint8_t> bytes);
  Result<void> skip(uint64_t size);
  Result<std::string> text(uint64_t size);
  Result<void> read_attributes(uint64_t size, Attributes& attributes);
  Result<void> read_map(Entry& entry);

  int fd_;
  uint64_t left_ = 0;     // of the present entry's bytes
  uint64_t padding_ = 0;  // behind them
};

}  // namespace adyton::tree
