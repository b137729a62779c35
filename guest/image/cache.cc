#include "guest/image/cache.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <tuple>

namespace adyton::image {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kPartial = ".partial";
constexpr std::string_view kScratch = "scratch-";
constexpr time_t kUnusedSeconds = time_t{30} * 24 * 3600;

// Whether `fd` is (still) the file or directory at `path`, and not one that has been renamed or removed since it was opened.
bool still_at(int fd, const std::string& path) {
  struct stat opened {};
  struct stat named {};
  return ::fstat(fd, &opened) == 0 && ::stat(path.c_str(), &named) == 0 && opened.st_dev == named.st_dev && opened.st_ino == named.st_ino;
}

// `operation` of flock(2), LOCK_EX or LOCK_SH.
Result<void> lock(int fd, int operation, const std::string& path) {
  while (::flock(fd, operation) != 0) {
    if (errno != EINTR) return fail_errno("locking " + path);
  }
  return {};
}

// Whoever uses an artifact has a shared lock. The exclusive one is held for no longer than it takes to look or to unlink.
bool try_exclusive(int fd) { return ::flock(fd, LOCK_EX | LOCK_NB) == 0; }

}  // namespace

Result<std::string> Cache::default_directory() {
  // Relative values are to be ignored (XDG Base Directory Specification).
  if (const char* base = std::getenv("XDG_CACHE_HOME"); base && base[0] == '/') return std::string(base) + "/adyton";
  if (const char* home = std::getenv("HOME"); home && home[0] == '/') return std::string(home) + "/.cache/adyton";
  return fail(ErrorCode::kInvalidArgument, "there is no place for the cache: set XDG_CACHE_HOME or HOME");
}

Result<Cache> Cache::open(std::string directory) {
  std::error_code error;
  fs::create_directories(fs::path(directory).parent_path(), error);
  if (::mkdir(directory.c_str(), 0700) != 0 && errno != EEXIST) return fail_errno("making the cache directory " + directory);
  if (::access(directory.c_str(), R_OK | W_OK | X_OK) != 0) return fail_errno("using the cache directory " + directory);
  Cache cache(std::move(directory));
  cache.remove_leftovers();
  cache.remove_unused();
  return cache;
}

void Cache::remove_leftovers() const {
  std::error_code error;
  for (fs::directory_iterator entry(directory_, error), end; !error && entry != end; entry.increment(error)) {
    const std::string name = entry->path().filename();
    if (!name.ends_with(kPartial) && !name.starts_with(kScratch)) continue;
    const UniqueFd fd(::open(entry->path().c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
    if (!fd.valid() || ::flock(fd.get(), LOCK_EX | LOCK_NB) != 0 || !still_at(fd.get(), entry->path())) continue;
    std::error_code ignored;
    fs::remove_all(entry->path(), ignored);
  }
}

void Cache::remove_unused() const {
  std::error_code error;
  const time_t now = ::time(nullptr);
  for (fs::directory_iterator entry(directory_, error), end; !error && entry != end; entry.increment(error)) {
    struct stat info {};
    if (::lstat(entry->path().c_str(), &info) != 0 || !S_ISREG(info.st_mode) || now - info.st_mtime <= kUnusedSeconds) continue;
    (void)discard(entry->path().filename());  // what cannot be removed now can be another day
  }
}

Result<Artifact> Cache::find(const std::string& name) const {
  Artifact artifact{path_of(name), {}};
  do {
    artifact.fd.reset(::open(artifact.path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!artifact.fd.valid()) return fail_errno(artifact.path);
    TRY(lock(artifact.fd.get(), LOCK_SH, artifact.path));
  } while (!still_at(artifact.fd.get(), artifact.path));  // removed between the look and the lock
  ::futimens(artifact.fd.get(), nullptr);  // its modification time is its last use; failing to note that costs a rebuild some day
  return artifact;
}

void Cache::remove(const std::string& name) const { ::unlink(path_of(name).c_str()); }

Result<std::vector<Cache::Entry>> Cache::entries() const {
  using std::chrono::system_clock;
  std::vector<Entry> all;
  std::error_code error;
  for (fs::directory_iterator entry(directory_, error), end; !error && entry != end; entry.increment(error)) {
    std::string name = entry->path().filename();
    struct stat info {};
    if (name.ends_with(kPartial) || ::lstat(entry->path().c_str(), &info) != 0 || !S_ISREG(info.st_mode)) continue;
    const auto used = std::chrono::seconds(info.st_mtim.tv_sec) + std::chrono::nanoseconds(info.st_mtim.tv_nsec);
    const UniqueFd fd(::open(entry->path().c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
    all.push_back({.name = std::move(name),
                   .bytes = static_cast<uint64_t>(info.st_blocks) * 512,
                   .used = system_clock::time_point(std::chrono::duration_cast<system_clock::duration>(used)),
                   .in_use = fd.valid() && !try_exclusive(fd.get())});
  }
  if (error) return fail_errno("reading the cache directory " + directory_, error.value());
  std::ranges::sort(all, [](const Entry& a, const Entry& b) { return std::tie(a.used, a.name) < std::tie(b.used, b.name); });
  return all;
}

Result<bool> Cache::discard(const std::string& name) const {
  const std::string path = path_of(name);
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
  if (!fd.valid()) {
    if (errno == ENOENT) return true;
    return fail_errno("removing " + path);
  }
  if (!try_exclusive(fd.get())) {
    if (errno == EWOULDBLOCK) return false;
    return fail_errno("locking " + path);
  }
  // While we have the lock nobody takes it into use, and its name is its own or gone.
  if (still_at(fd.get(), path) && ::unlink(path.c_str()) != 0 && errno != ENOENT) return fail_errno("removing " + path);
  return true;
}

Result<Artifact> Cache::get(const std::string& name, const Builder& build, const Progress& progress) const {
  const std::string partial = path_of(name) + std::string(kPartial);
  for (;;) {
    auto found = find(name);
    if (found || found.error().code != ErrorCode::kNotFound) return found;
    const UniqueFd fd(::open(partial.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    if (!fd.valid()) return fail_errno(partial);
    if (::flock(fd.get(), LOCK_EX | LOCK_NB) != 0) {
      report(progress, "waiting for another adyton that prepares the same image");
      TRY(lock(fd.get(), LOCK_EX, partial));
    }
    if (!still_at(fd.get(), partial)) continue;  // the other one has finished, or given up
    if (auto raced = find(name)) {               // finished between the look and the lock
      ::unlink(partial.c_str());
      return raced;
    }
    const auto give_up = [&](Error error) {
      ::unlink(partial.c_str());
      return std::unexpected(std::move(error));
    };
    if (::ftruncate(fd.get(), 0) != 0) return give_up(fail_errno(partial).error());
    if (auto built = build(partial); !built) return give_up(std::move(built).error());
    // The builder may have replaced the file; the name is what counts. On disk before it has its name: a power failure leaves no husk.
    const UniqueFd finished(::open(partial.c_str(), O_RDONLY | O_CLOEXEC));
    if (!finished.valid() || ::fsync(finished.get()) != 0 || ::rename(partial.c_str(), path_of(name).c_str()) != 0) {
      return give_up(fail_errno("storing " + path_of(name)).error());
    }
    ::flock(fd.get(), LOCK_UN);  // the file is the artifact by now, which find() takes into use, unless somebody discards it before
  }
}

Result<Cache::Scratch> Cache::scratch() const {
  for (int attempt = 0; attempt < 100; ++attempt) {
    std::string path = directory_ + "/" + std::string(kScratch) + "XXXXXX";
    if (!::mkdtemp(path.data())) return fail_errno("making a directory in " + directory_);
    UniqueFd fd(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    // Another process may have taken it for a leftover before the lock stood.
    if (fd.valid() && ::flock(fd.get(), LOCK_EX | LOCK_NB) == 0 && still_at(fd.get(), path)) return Scratch(std::move(path), std::move(fd));
  }
  return fail(ErrorCode::kUnavailable, "no directory in " + directory_ + " can be locked");
}

Cache::Scratch::~Scratch() {
  if (!lock_.valid()) return;  // moved from
  std::error_code ignored;
  fs::remove_all(path_, ignored);
}

}  // namespace adyton::image
