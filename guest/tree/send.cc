// The sending half of guest/tree/copy.h.
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstring>
#include <memory>
#include <optional>
#include <vector>

#include "base/unique_fd.h"
#include "guest/tree/copy.h"
#include "guest/tree/tar.h"

namespace adyton::tree {
namespace {

constexpr uint64_t kTarBlock = 512;
constexpr size_t kMaxParts = size_t{1} << 16;
constexpr size_t kMaxGenerated = size_t{16} << 20;

Entry entry_of(Entry::Kind kind, const std::string& name, const struct stat& status) {
  Entry entry;
  entry.kind = kind;
  entry.name = name;
  entry.mode = status.st_mode & 07777;
  entry.mtime = status.st_mtim.tv_sec;
  entry.mtime_ns = static_cast<uint32_t>(status.st_mtim.tv_nsec);
  return entry;
}

// Where a file has data. A file system that does not know says: everywhere.
std::vector<Extent> parts_of(int file, const struct stat& status) {
  const auto size = static_cast<uint64_t>(status.st_size);
  std::vector<Extent> parts;
  if (size == 0) return parts;
  if (static_cast<uint64_t>(status.st_blocks) * 512 >= size) return {{.offset = 0, .size = size}};
  uint64_t at = 0;
  while (at < size && parts.size() < kMaxParts) {
    const off_t data = ::lseek(file, static_cast<off_t>(at), SEEK_DATA);
    if (data < 0) {
      if (errno == ENXIO) return parts;  // a hole to the end
      return {{.offset = 0, .size = size}};
    }
    const off_t hole = ::lseek(file, data, SEEK_HOLE);
    // In whole blocks: GNU tar begins each extent with a new one.
    const uint64_t begin = std::max(at, static_cast<uint64_t>(data) / kTarBlock * kTarBlock);
    const uint64_t end = hole < 0 ? size : std::min((static_cast<uint64_t>(hole) + kTarBlock - 1) / kTarBlock * kTarBlock, size);
    if (begin >= size) return parts;
    parts.push_back({.offset = begin, .size = end - begin});
    at = end;
  }
  if (at < size) parts.back().size = size - parts.back().offset;
  return parts;
}

class Sender {
 public:
  Sender(int out, const Warn& warn) : writer_(out), warn_(warn) {}

  // `name` in the stream, `shown` to the person; `folder` and `path` say where it is.
  Result<void> send(int folder, const char* path, const std::string& name, const std::string& shown, bool follow_link) {
    struct stat status {};
    if (::fstatat(folder, path, &status, follow_link ? 0 : AT_SYMLINK_NOFOLLOW) != 0)
      return fail_errno("cannot read '" + shown + "'");
    const int follow = follow_link ? 0 : O_NOFOLLOW;
    if (S_ISLNK(status.st_mode)) {
      Entry entry = entry_of(Entry::Kind::kLink, name, status);
      entry.link.resize(PATH_MAX);
      const ssize_t size = ::readlinkat(folder, path, entry.link.data(), entry.link.size());
      if (size < 0) return fail_errno("cannot read '" + shown + "'");
      entry.link.resize(static_cast<size_t>(size));
      return writer_.begin(entry);
    }
    if (S_ISDIR(status.st_mode))
      return send_folder(UniqueFd(::openat(folder, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | follow)), name, shown);
    if (S_ISREG(status.st_mode)) {
      const UniqueFd file(::openat(folder, path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK | follow));
      return send_file(file.get(), name, shown, std::nullopt);
    }
    if (name.find('/') == std::string::npos) {
      return fail(ErrorCode::kInvalidArgument, "'" + shown + "' is neither a file, a folder nor a symbolic link");
    }
    if (warn_) warn_("'" + shown + "' is left out: it is neither a file, a folder nor a symbolic link");
    return {};
  }

  Result<void> send_file(int file, const std::string& name, const std::string& shown, std::optional<uint32_t> mode) {
    struct stat status {};
    if (file < 0 || ::fstat(file, &status) != 0) return fail_errno("cannot read '" + shown + "'");
    Entry entry = entry_of(Entry::Kind::kFile, name, status);
    if (mode) entry.mode = *mode;
    if (status.st_size == 0) return send_generated(file, std::move(entry), shown);
    entry.size = static_cast<uint64_t>(status.st_size);
    entry.data = parts_of(file, status);
    TRY(writer_.begin(entry));
    buffer_.resize(size_t{256} << 10);
    for (const Extent& part : entry.data) {
      for (uint64_t at = part.offset; at < part.offset + part.size;) {
        const auto wanted = static_cast<size_t>(std::min<uint64_t>(buffer_.size(), part.offset + part.size - at));
        const ssize_t got = ::pread(file, buffer_.data(), wanted, static_cast<off_t>(at));
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return fail_errno("cannot read '" + shown + "'");
        if (got == 0) return fail(ErrorCode::kUnavailable, "'" + shown + "' became shorter while it was copied");
        TRY(writer_.data(std::span(buffer_).first(static_cast<size_t>(got))));
        at += static_cast<uint64_t>(got);
      }
    }
    return {};
  }

  Result<void> finish() { return writer_.finish(); }

 private:
  // Files of /proc and /sys say that they are empty, and are not.
  Result<void> send_generated(int file, Entry entry, const std::string& shown) {
    std::vector<uint8_t> bytes;
    for (;;) {
      const size_t size = bytes.size();
      if (size >= kMaxGenerated)
        return fail(ErrorCode::kUnsupported, "'" + shown + "' does not say its size, and is too large to be kept");
      bytes.resize(size + 65536);
      const ssize_t got = ::read(file, bytes.data() + size, 65536);
      if (got < 0 && errno == EINTR) {
        bytes.resize(size);
        continue;
      }
      if (got < 0) return fail_errno("cannot read '" + shown + "'");
      bytes.resize(size + static_cast<size_t>(got));
      if (got == 0) break;
    }
    entry.size = bytes.size();
    if (entry.size != 0) entry.data.push_back({.offset = 0, .size = entry.size});
    TRY(writer_.begin(entry));
    return writer_.data(bytes);
  }

  Result<void> send_folder(UniqueFd fd, const std::string& name, const std::string& shown) {
    struct stat status {};
    if (!fd.valid() || ::fstat(fd.get(), &status) != 0) return fail_errno("cannot read '" + shown + "'");
    TRY(writer_.begin(entry_of(Entry::Kind::kFolder, name, status)));
    const std::unique_ptr<DIR, int (*)(DIR*)> folder(::fdopendir(fd.get()), ::closedir);
    if (!folder) return fail_errno("cannot read '" + shown + "'");
    [[maybe_unused]] const int owned = fd.release();  // by `folder`
    std::vector<std::string> names;
    errno = 0;
    while (const dirent* found = ::readdir(folder.get())) {
      if (std::strcmp(found->d_name, ".") != 0 && std::strcmp(found->d_name, "..") != 0) names.emplace_back(found->d_name);
    }
    if (errno != 0) return fail_errno("cannot read '" + shown + "'");
    std::ranges::sort(names);
    for (const std::string& child : names)
      TRY(send(::dirfd(folder.get()), child.c_str(), name + "/" + child, shown + "/" + child, false));
    return {};
  }

  TarWriter writer_;
  const Warn& warn_;
  std::vector<uint8_t> buffer_;
};

}  // namespace

Source parse_source(const std::string& path) {
  Source source{.path = path, .name = {}, .contents_only = false};
  std::string rest = path;
  while (rest.size() > 1 && rest.back() == '/') rest.pop_back();
  const std::string last = rest.substr(rest.rfind('/') + 1);
  // What "." and ".." and "/" are called is not in the path.
  source.contents_only = last == "." || last == ".." || last.empty();
  source.name = source.contents_only ? "" : last;
  return source;
}

Result<void> send_tree(const std::string& path, bool follow_link, int out, const Warn& warn) {
  Sender sender(out, warn);
  TRY(sender.send(AT_FDCWD, path.c_str(), ".", path, follow_link));
  return sender.finish();
}

Result<void> send_file(int file, uint32_t mode, int out) {
  const Warn nobody;
  Sender sender(out, nobody);
  TRY(sender.send_file(file, ".", "standard input", mode));
  return sender.finish();
}

}  // namespace adyton::tree
