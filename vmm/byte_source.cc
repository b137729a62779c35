#include "vmm/byte_source.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace adyton::vmm {
namespace {
std::unexpected<Error> too_short() { return fail(ErrorCode::kCorrupt, "the file ends too early"); }
}  // namespace

Result<FileSource> FileSource::open(int fd) {
  struct stat status;
  if (::fstat(fd, &status)) return fail_errno("cannot look at the file");
  if (S_ISDIR(status.st_mode)) return fail(ErrorCode::kInvalidArgument, "it is a directory");
  off_t end = ::lseek(fd, 0, SEEK_END);
  if (end < 0) return fail(ErrorCode::kInvalidArgument, "it is not a regular file");
  return FileSource(fd, static_cast<uint64_t>(end));
}

Result<void> FileSource::read(uint64_t offset, std::span<uint8_t> out) const {
  while (!out.empty()) {
    ssize_t got = ::pread(fd_, out.data(), std::min<size_t>(out.size(), 1u << 30), static_cast<off_t>(offset));
    if (got < 0) {
      if (errno == EINTR) continue;
      return fail_errno("cannot read the file");
    }
    if (got == 0) return too_short();
    offset += static_cast<uint64_t>(got);
    out = out.subspan(static_cast<size_t>(got));
  }
  return {};
}

Result<void> MemorySource::read(uint64_t offset, std::span<uint8_t> out) const {
  if (offset > bytes_.size() || out.size() > bytes_.size() - offset) return too_short();
  if (!out.empty()) std::memcpy(out.data(), bytes_.data() + offset, out.size());
  return {};
}

}  // namespace adyton::vmm
