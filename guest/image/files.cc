#include "guest/image/files.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>

namespace adyton::image {

Result<UniqueFd> open_for_reading(const std::string& path) {
  UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd.valid()) return fail_errno(path);
  return fd;
}

Result<Bytes> read_descriptor(int fd, const std::string& name) {
  struct stat info {};
  if (::fstat(fd, &info) != 0) return fail_errno(name);
  Bytes bytes(static_cast<size_t>(std::max<off_t>(info.st_size, 0)) + 1);  // one more, to see the end in the first read
  size_t filled = 0;
  for (;;) {
    if (filled == bytes.size()) bytes.resize(bytes.size() * 2);
    const ssize_t size = ::pread(fd, bytes.data() + filled, bytes.size() - filled, static_cast<off_t>(filled));
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) return fail_errno(name);
    if (size == 0) break;
    filled += static_cast<size_t>(size);
  }
  bytes.resize(filled);
  return bytes;
}

Result<Bytes> read_file(const std::string& path) {
  const UniqueFd fd = TRY(open_for_reading(path));
  return read_descriptor(fd.get(), path);
}

Result<void> write_all(int fd, std::span<const uint8_t> bytes, const std::string& name) {
  while (!bytes.empty()) {
    const ssize_t size = ::write(fd, bytes.data(), bytes.size());
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) return fail_errno("writing " + name);
    bytes = bytes.subspan(static_cast<size_t>(size));
  }
  return {};
}

Result<void> write_file(const std::string& path, std::span<const uint8_t> bytes) {
  const UniqueFd fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  if (!fd.valid()) return fail_errno(path);
  return write_all(fd.get(), bytes, path);
}

}  // namespace adyton::image
