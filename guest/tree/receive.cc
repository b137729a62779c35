// The receiving half of guest/tree/copy.h.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <string_view>
#include <vector>

#include "base/unique_fd.h"
#include "guest/tree/copy.h"
#include "guest/tree/tar.h"

namespace adyton::tree {
namespace {

constexpr size_t kMaxDepth = 1024;

std::array<timespec, 2> times_of(const Entry& entry) {
  return {timespec{.tv_sec = 0, .tv_nsec = UTIME_OMIT},
          timespec{.tv_sec = entry.mtime, .tv_nsec = static_cast<long>(entry.mtime_ns)}};
}

Result<void> write_at(int file, std::span<const uint8_t> bytes, uint64_t offset, const std::string& shown) {
  while (!bytes.empty()) {
    const ssize_t put = ::pwrite(file, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) return fail_errno("cannot write '" + shown + "'");
    bytes = bytes.subspan(static_cast<size_t>(put));
    offset += static_cast<uint64_t>(put);
  }
  return {};
}

Result<void> append(int file, std::span<const uint8_t> bytes, const std::string& shown) {
  while (!bytes.empty()) {
    const ssize_t put = ::write(file, bytes.data(), bytes.size());
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) return fail_errno("cannot write '" + shown + "'");
    bytes = bytes.subspan(static_cast<size_t>(put));
  }
  return {};
}

// Calls `write(bytes, offset)` for the file's data.
template <typename Write>
Result<void> take_data(TarReader& reader, const Entry& entry, const Write& write) {
  std::vector<uint8_t> buffer(size_t{256} << 10);
  for (const Extent& part : entry.data) {
    for (uint64_t at = part.offset; at < part.offset + part.size;) {
      const auto wanted = static_cast<size_t>(std::min<uint64_t>(buffer.size(), part.offset + part.size - at));
      const size_t got = TRY(reader.data(std::span(buffer).first(wanted)));
      TRY(write(std::span<const uint8_t>(buffer).first(got), at));
      at += got;
    }
  }
  return {};
}

class Receiver {
 public:
  Receiver(int in, const Target& target) : reader_(in), target_(target) {}

  Result<void> run() {
    const auto root = TRY(reader_.next());
    if (!root || root->name != ".") return fail(ErrorCode::kCorrupt, "the stream of files is damaged: it has no beginning");
    TRY(make_root(*root));
    for (;;) {
      const auto entry = TRY(reader_.next());
      TRY(leave_folders(entry ? entry->name : ""));
      if (!entry) return {};
      TRY(make(*entry));
    }
  }

 private:
  // A folder that was made, and is given its mode and time when nothing more comes into it.
  struct Made {
    std::string name;
    UniqueFd fd;
    Entry entry;
    bool is_new = false;
  };

  // Decides where the copy goes, as docker cp does.
  Result<void> make_root(const Entry& root) {
    std::string path = target_.path;
    struct stat status {};
    const bool there = ::stat(path.c_str(), &status) == 0;
    if (!there && errno != ENOENT) return fail_errno("cannot write '" + path + "'");
    bool inside = false;  // of a folder that the user names
    if (there && S_ISDIR(status.st_mode) && !(target_.contents_only && root.kind == Entry::Kind::kFolder)) {
      if (target_.name.empty() || target_.name == "." || target_.name == ".." || target_.name.find('/') != std::string::npos) {
        return fail(ErrorCode::kInvalidArgument, "'" + path + "' is a folder: say what the copy is called in it");
      }
      path += (path.ends_with('/') ? "" : "/") + target_.name;
      inside = true;
    } else if (there && !S_ISDIR(status.st_mode) && root.kind == Entry::Kind::kFolder) {
      return fail(ErrorCode::kInvalidArgument, "a folder cannot be copied onto '" + path + "', which is none");
    } else if (path.ends_with('/') && root.kind != Entry::Kind::kFolder) {
      return fail(ErrorCode::kNotFound, "there is no folder '" + path + "'");
    }
    shown_ = path;
    while (shown_.size() > 1 && shown_.back() == '/') shown_.pop_back();
    switch (root.kind) {
      case Entry::Kind::kFolder: return enter_folder(root, AT_FDCWD, shown_, /*follow=*/!inside);
      case Entry::Kind::kLink: return make_link(root, AT_FDCWD, shown_);
      case Entry::Kind::kFile: break;
    }
    // A file that the user names is written in place, whatever it is: a device, or one that a link leads to. A link in a folder
    // may be what the other side has left there with a copy before this one: it is replaced.
    if (inside && ::lstat(shown_.c_str(), &status) == 0 && S_ISLNK(status.st_mode) && ::unlink(shown_.c_str()) != 0)
      return fail_errno("cannot replace '" + shown_ + "'");
    const int follow = inside ? O_NOFOLLOW : 0;
    const UniqueFd file(::open(shown_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOCTTY | follow, 0600));
    if (!file.valid() || ::fstat(file.get(), &status) != 0) return fail_errno("cannot write '" + shown_ + "'");
    if (!S_ISREG(status.st_mode)) {
      return take_data(reader_, root, [&](auto bytes, uint64_t) { return append(file.get(), bytes, shown_); });
    }
    return fill(root, file.get(), shown_);
  }

  Result<void> make(const Entry& entry) {
    if (folders_.empty() || !entry.name.starts_with("./")) return refused(entry.name);
    const std::string shown = shown_ + entry.name.substr(1);
    // Folders come before what is in them, and all of one together: the one that this belongs to is the last that was entered.
    const size_t slash = entry.name.rfind('/');
    const std::string name = entry.name.substr(slash + 1);
    if (entry.name.substr(0, slash) != folders_.back().name || name.empty() || name == "." || name == ".." ||
        name.find('\0') != std::string::npos) {
      return refused(entry.name);
    }
    const int folder = folders_.back().fd.get();
    switch (entry.kind) {
      case Entry::Kind::kFolder: return enter_folder(entry, folder, name, /*follow=*/false);
      case Entry::Kind::kLink: return make_link(entry, folder, name);
      case Entry::Kind::kFile: break;
    }
    // Anew, so that neither a link nor another name of the old file is written through.
    if (::unlinkat(folder, name.c_str(), 0) != 0 && errno != ENOENT) return fail_errno("cannot replace '" + shown + "'");
    const UniqueFd file(::openat(folder, name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
    if (!file.valid()) return fail_errno("cannot write '" + shown + "'");
    return fill(entry, file.get(), shown);
  }

  static std::unexpected<Error> refused(const std::string& name) {
    return fail(ErrorCode::kCorrupt, "the other side names '" + name + "', which is not in the folder that is copied");
  }

  Result<void> fill(const Entry& entry, int file, const std::string& shown) {
    TRY(take_data(reader_, entry, [&](auto bytes, uint64_t at) { return write_at(file, bytes, at, shown); }));
    const auto times = times_of(entry);
    if (::ftruncate(file, static_cast<off_t>(entry.size)) != 0) return fail_errno("cannot write '" + shown + "'");
    if (::fchmod(file, entry.mode & target_.mode_mask) != 0) return fail_errno("cannot set the mode of '" + shown + "'");
    ::futimens(file, times.data());
    return {};
  }

  Result<void> make_link(const Entry& entry, int folder, const std::string& name) {
    const std::string shown = folder == AT_FDCWD ? shown_ : shown_ + entry.name.substr(1);
    if (::unlinkat(folder, name.c_str(), 0) != 0 && errno != ENOENT) return fail_errno("cannot replace '" + shown + "'");
    if (::symlinkat(entry.link.c_str(), folder, name.c_str()) != 0) return fail_errno("cannot make the link '" + shown + "'");
    ::utimensat(folder, name.c_str(), times_of(entry).data(), AT_SYMLINK_NOFOLLOW);
    return {};
  }

  Result<void> enter_folder(const Entry& entry, int parent, const std::string& name, bool follow) {
    const std::string shown = parent == AT_FDCWD ? shown_ : shown_ + entry.name.substr(1);
    if (folders_.size() >= kMaxDepth) return fail(ErrorCode::kUnsupported, "'" + shown + "' is too deep");
    Made made{.name = entry.name, .fd = {}, .entry = entry, .is_new = ::mkdirat(parent, name.c_str(), 0700) == 0};
    if (!made.is_new && errno != EEXIST) return fail_errno("cannot make the folder '" + shown + "'");
    made.fd.reset(::openat(parent, name.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC | (follow ? 0 : O_NOFOLLOW)));
    if (!made.fd.valid()) return fail_errno("cannot use the folder '" + shown + "'");
    folders_.push_back(std::move(made));
    return {};
  }

  // Those that `next` is not in.
  Result<void> leave_folders(const std::string& next) {
    while (!folders_.empty() && !next.starts_with(folders_.back().name + "/")) {
      const Made& made = folders_.back();
      if (made.is_new) {
        if (::fchmod(made.fd.get(), made.entry.mode & target_.mode_mask) != 0)
          return fail_errno("cannot set the mode of '" + shown_ + made.name.substr(1) + "'");
        ::futimens(made.fd.get(), times_of(made.entry).data());
      }
      folders_.pop_back();
    }
    return {};
  }

  TarReader reader_;
  const Target& target_;
  std::string shown_;  // where the copy goes
  std::vector<Made> folders_;
};

}  // namespace

Result<void> receive_tree(int in, const Target& target) { return Receiver(in, target).run(); }

Result<void> receive_file(int in, int out) {
  TarReader reader(in);
  const auto entry = TRY(reader.next());
  if (!entry || entry->kind != Entry::Kind::kFile)
    return fail(ErrorCode::kInvalidArgument, "only a file can be written to standard output");
  const std::vector<uint8_t> zeros(size_t{64} << 10);
  uint64_t written = 0;
  const auto fill_hole = [&](uint64_t end) -> Result<void> {
    while (written < end) {
      const auto part = static_cast<size_t>(std::min<uint64_t>(zeros.size(), end - written));
      TRY(append(out, std::span(zeros).first(part), "standard output"));
      written += part;
    }
    return {};
  };
  const auto write = [&](std::span<const uint8_t> bytes, uint64_t at) -> Result<void> {
    TRY(fill_hole(at));
    written += bytes.size();
    return append(out, bytes, "standard output");
  };
  TRY(take_data(reader, *entry, write));
  TRY(fill_hole(entry->size));
  TRY(reader.next());
  return {};
}

}  // namespace adyton::tree
