// Streams decompressed bytes out of a source. Hostile input ends in an error; memory use is bounded whatever the input says.
#pragma once
#include <cstdint>
#include <memory>
#include <span>

#include "base/result.h"
#include "vmm/byte_source.h"

namespace adyton::vmm {

class Decompressor {
 public:
  virtual ~Decompressor() = default;
  // Fills as much of `out` as there is; fewer bytes than asked for means that the stream ended.
  virtual Result<size_t> read(std::span<uint8_t> out) = 0;

  // `length` bytes of `source` from `offset`; `source` outlives the result. Bytes behind the end of the stream are ignored.
  static Result<std::unique_ptr<Decompressor>> gzip(const ByteSource& source, uint64_t offset, uint64_t length);
  static Result<std::unique_ptr<Decompressor>> zstd(const ByteSource& source, uint64_t offset, uint64_t length);
  // The bytes as they are.
  static std::unique_ptr<Decompressor> plain(const ByteSource& source, uint64_t offset, uint64_t length);
};

}  // namespace adyton::vmm
