// The memory of a VM on its way out: what the socket of a `dump` carries. Pieces of a file in the order of their places; what is
// between them is zero.
//
//   piece := offset (u64) length (u64, 1 to kMaxPiece) bytes     end := size of the file (u64) 0 (u64)     all little-endian
//
// A stream that ends without its end is a dump that failed.
#pragma once
#include <cstdint>

#include "base/result.h"

namespace adyton::observe {

struct DumpPiece {
  static constexpr uint64_t kMaxPiece = 1 << 20;
  static constexpr uint64_t kMaxFile = uint64_t{1} << 42;
  uint64_t offset = 0;
  uint64_t length = 0;
};
static_assert(sizeof(DumpPiece) == 16);

// Writes the file that comes from `stream` to `file`, an empty regular file, with holes where nothing came. Returns its size.
// kUnavailable: the stream ended too early; kCorrupt: it is no such stream. Blocks.
Result<uint64_t> receive_dump(int stream, int file);

}  // namespace adyton::observe
