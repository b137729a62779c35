#include "observe/dump_stream.h"

#include <sys/types.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <span>
#include <vector>

namespace adyton::observe {
namespace {

Result<void> read_all(int stream, std::span<uint8_t> into) {
  while (!into.empty()) {
    const ssize_t got = ::read(stream, into.data(), into.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return fail_errno("cannot read the VM's memory");
    if (got == 0)
      return fail(ErrorCode::kUnavailable, "the VM ended before all of its memory was there, or nobody took it for too long");
    into = into.subspan(static_cast<size_t>(got));
  }
  return {};
}

Result<void> write_all(int file, std::span<const uint8_t> bytes, uint64_t offset) {
  while (!bytes.empty()) {
    const ssize_t written = ::pwrite(file, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return fail_errno("cannot write the dump");
    bytes = bytes.subspan(static_cast<size_t>(written));
    offset += static_cast<uint64_t>(written);
  }
  return {};
}

}  // namespace

Result<uint64_t> receive_dump(int stream, int file) {
  std::vector<uint8_t> bytes(DumpPiece::kMaxPiece);
  uint64_t end = 0;  // of what has come
  for (;;) {
    DumpPiece piece;
    TRY(read_all(stream, std::span(reinterpret_cast<uint8_t*>(&piece), sizeof piece)));
    if (piece.offset < end || piece.offset > DumpPiece::kMaxFile || piece.length > DumpPiece::kMaxPiece) {
      return fail(ErrorCode::kCorrupt, "the VM's process sends no dump that makes sense");
    }
    if (piece.length == 0) {
      if (::ftruncate(file, static_cast<off_t>(piece.offset)) != 0) return fail_errno("cannot write the dump");
      return piece.offset;
    }
    const std::span part = std::span(bytes).first(piece.length);
    TRY(read_all(stream, part));
    TRY(write_all(file, part, piece.offset));
    end = piece.offset + piece.length;
  }
}

}  // namespace adyton::observe
