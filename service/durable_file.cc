#include "service/durable_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <vector>

namespace adyton::service {
namespace {

Result<void> write_at(int fd, std::string_view content, uint64_t offset, const char* name) {
  while (!content.empty()) {
    const ssize_t put = ::pwrite(fd, content.data(), content.size(), static_cast<off_t>(offset));
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) return fail_errno(fmt::format("cannot write {}", name));
    content.remove_prefix(static_cast<size_t>(put));
    offset += static_cast<uint64_t>(put);
  }
  return {};
}

template <typename Function>
Result<void> make_file(int folder, const char* name, Function fill) {
  const UniqueFd fd(::openat(folder, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!fd.valid()) return fail_errno(fmt::format("cannot make {}", name));
  Result<void> done = fill(fd.get());
  if (!done) ::unlinkat(folder, name, 0);
  return done;
}

}  // namespace

Result<UniqueFd> open_at(int folder, const char* name, int flags) {
  UniqueFd fd(::openat(folder, name, flags | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY));
  if (!fd.valid()) return fail_errno(fmt::format("cannot open {}", name));
  TRY(check_regular_file(fd.get()));
  return fd;
}

Result<void> check_regular_file(int fd) {
  struct stat status{};
  if (::fstat(fd, &status) != 0) return fail_errno("cannot use a file");
  if (!S_ISREG(status.st_mode)) return fail(ErrorCode::kInvalidArgument, "a file is not a regular file");
  return {};
}

Result<std::string> read_small_file(int fd, size_t max, std::string_view what) {
  std::string text(max + 1, '\0');
  size_t size = 0;
  while (size < text.size()) {
    const ssize_t got = ::pread(fd, text.data() + size, text.size() - size, static_cast<off_t>(size));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return fail_errno(fmt::format("cannot read a file of '{}'", what));
    if (got == 0) break;
    size += static_cast<size_t>(got);
  }
  if (size > max) return fail(ErrorCode::kCorrupt, fmt::format("a file of '{}' is longer than {} bytes", what, max));
  text.resize(size);
  return text;
}

Result<void> write_file(int folder, const char* name, std::string_view content) {
  return make_file(folder, name, [&](int fd) { return write_at(fd, content, 0, name); });
}

Result<void> write_durable_file(int folder, const char* name, std::string_view content) {
  return make_file(folder, name, [&](int fd) -> Result<void> {
    TRY(write_at(fd, content, 0, name));
    return sync_file(fd);
  });
}

Result<void> copy_durable_file(int folder, const char* name, int source) {
  struct stat status{};
  if (::fstat(source, &status) != 0) return fail_errno("cannot use a file");
  const auto size = static_cast<uint64_t>(status.st_size);
  return make_file(folder, name, [&](int fd) -> Result<void> {
    if (::ftruncate(fd, status.st_size) != 0) return fail_errno(fmt::format("cannot write {}", name));
    std::vector<char> buffer(1 << 20);
    for (uint64_t at = 0; at < size;) {
      // Only what is data: a sparse image stays sparse.
      const off_t data = ::lseek(source, static_cast<off_t>(at), SEEK_DATA);
      if (data < 0 && errno == ENXIO) break;
      if (data >= 0) at = static_cast<uint64_t>(data);
      const off_t hole = ::lseek(source, static_cast<off_t>(at), SEEK_HOLE);
      const uint64_t end = hole > static_cast<off_t>(at) ? std::min(static_cast<uint64_t>(hole), size) : size;
      if (at >= end) break;
      const ssize_t got = ::pread(source, buffer.data(), std::min<uint64_t>(buffer.size(), end - at), static_cast<off_t>(at));
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) return fail_errno(fmt::format("cannot read {}", name));
      if (got == 0) break;
      TRY(write_at(fd, {buffer.data(), static_cast<size_t>(got)}, at, name));
      at += static_cast<uint64_t>(got);
    }
    return sync_file(fd);
  });
}

Result<void> sync_file(int fd) {
  if (::fsync(fd) != 0) return fail_errno("cannot bring a file to the disk");
  return {};
}

}  // namespace adyton::service
