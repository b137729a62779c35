#include "guest/image/directory_image.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>

#include "guest/image/files.h"
#include "guest/image/sha256.h"
#include "guest/image/subprocess.h"

namespace adyton::image {
namespace {

namespace fs = std::filesystem;

// A file may change twice within one tick of its time stamps (4 ms at HZ=250, 2 s on FAT). A tree that changed so recently is not cached.
constexpr time_t kSettleSeconds = 3;

struct TreeState {
  std::string fingerprint;
  time_t newest = 0;
};

Result<TreeState> inspect(const std::string& root) {
  std::vector<std::string> names;
  std::error_code error;
  for (fs::recursive_directory_iterator entry(root, error), end; !error && entry != end; entry.increment(error)) names.push_back(entry->path());
  if (error) return fail_errno("reading " + root, error.value());
  names.push_back(root);
  std::sort(names.begin(), names.end());
  Fingerprint fingerprint;
  TreeState state;
  for (const std::string& name : names) {
    struct stat info {};
    if (::lstat(name.c_str(), &info) != 0) return fail_errno(name);
    fingerprint.add(name);
    for (const uint64_t number : {uint64_t{info.st_dev}, uint64_t{info.st_ino}, uint64_t{info.st_mode}, uint64_t{info.st_uid}, uint64_t{info.st_gid},
                                  uint64_t{info.st_rdev}, static_cast<uint64_t>(info.st_size), static_cast<uint64_t>(info.st_mtim.tv_sec),
                                  static_cast<uint64_t>(info.st_mtim.tv_nsec), static_cast<uint64_t>(info.st_ctim.tv_sec),
                                  static_cast<uint64_t>(info.st_ctim.tv_nsec)}) {
      fingerprint.add(number);
    }
    state.newest = std::max(state.newest, info.st_ctim.tv_sec);
  }
  state.fingerprint = fingerprint.finish();
  return state;
}

// mkfs.erofs says that a write failed, not why.
bool is_full(const std::string& path) {
  struct statvfs system {};
  return ::statvfs(path.c_str(), &system) == 0 && system.f_bavail == 0;
}

}  // namespace

Result<Artifact> build_directory_image(const Cache& cache, const std::string& directory, const DirectoryImageOptions& options, const Progress& progress) {
  std::error_code error;
  const std::string root = fs::canonical(directory, error);
  if (error) return fail_errno(directory, error.value());
  if (!fs::is_directory(root, error)) return fail_errno(directory, ENOTDIR);
  const TreeState before = TRY(inspect(root));
  Fingerprint key;
  key.add("erofs 1");
  key.add(uint64_t{options.all_root});
  key.add(before.fingerprint);
  const std::string name = "tree-" + key.finish().substr(0, 40) + ".erofs";
  bool settled = ::time(nullptr) - before.newest > kSettleSeconds;
  auto image = cache.get(
      name,
      [&](const std::string& path) -> Result<void> {
        report(progress, fmt::format("making an image of {}", directory));
        // No extended attributes: the host's security labels mean nothing in the guest.
        std::vector<std::string> command = {"mkfs.erofs", "--quiet", "-x-1"};
        if (options.all_root) command.push_back("--all-root");
        command.push_back(path);
        command.push_back(root);
        auto made = run_command_checked(command);
        if (!made && made.error().code == ErrorCode::kNotFound) return fail(ErrorCode::kNotFound, "mkfs.erofs is missing; install the package erofs-utils");
        if (!made && is_full(path)) {
          return fail(ErrorCode::kExhausted, fmt::format("making an image of {}: no space left for {}; free some, or set XDG_CACHE_HOME to a folder on another disk",
                                                         directory, path));
        }
        if (!made) return fail(made.error().code, fmt::format("making an image of {}: {}", directory, made.error().message));
        const auto after = inspect(root);
        settled &= after && after->fingerprint == before.fingerprint;
        return {};
      },
      progress);
  if (image && !settled) cache.remove(name);
  return image;
}

}  // namespace adyton::image
