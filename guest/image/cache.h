// The per-user cache of things that are slow to make: kernels, initramfs archives, directory images.
//
// An artifact's name contains a hash of everything that it is made from, so an artifact never changes and is never stale.
// It is built in NAME.partial, under an exclusive flock(2) on that file, and then renamed: readers see a whole file or none, two processes
// that want the same artifact build it once, and a process that is killed leaves only a .partial without a lock, which the next
// open() removes. An artifact is in use while somebody, in whatever process, has the descriptor that find() or get() opened: it carries
// a shared flock(2), and what is in use is not removed by discard(), nor for its age.
// Thread rules: a Cache may be used from several threads at once.
#pragma once
#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"
#include "guest/image/progress.h"

namespace adyton::image {

struct Artifact {
  std::string path;
  UniqueFd fd;  // open for reading; as long as it or a duplicate is open, the artifact is in use
};

class Cache {
 public:
  // Writes the artifact's contents to an existing, empty file.
  using Builder = std::function<Result<void>(const std::string& path)>;

  // `directory` is made if missing (mode 0700). Removes what killed processes left, and artifacts that nobody has used for 30 days.
  static Result<Cache> open(std::string directory);
  // $XDG_CACHE_HOME/adyton, or ~/.cache/adyton.
  static Result<std::string> default_directory();

  // The artifact `name` (no slash, no leading dot), made by `build` when it is not there.
  Result<Artifact> get(const std::string& name, const Builder& build, const Progress& progress = {}) const;

  // The artifact if it is there; kNotFound otherwise.
  Result<Artifact> find(const std::string& name) const;
  // Also one that is in use, whose users keep what they have. No error when it is not there.
  void remove(const std::string& name) const;

  struct Entry {
    std::string name;
    uint64_t bytes = 0;  // on the disk
    std::chrono::system_clock::time_point used;  // last
    bool in_use = false;
  };
  // What is kept: artifacts, oldest use first. Neither what is being made, nor scratch directories, nor other directories.
  [[nodiscard]] Result<std::vector<Entry>> entries() const;
  // Removes an artifact that is not in use; false: it is. One that is not there is removed.
  Result<bool> discard(const std::string& name) const;

  // An exclusive lock on a scratch directory below the cache. It is empty at first and removed with the object.
  class Scratch {
   public:
    Scratch(std::string path, UniqueFd lock) : path_(std::move(path)), lock_(std::move(lock)) {}
    Scratch(Scratch&&) noexcept = default;
    Scratch& operator=(Scratch&&) = delete;
    ~Scratch();
    [[nodiscard]] const std::string& path() const { return path_; }

   private:
    std::string path_;
    UniqueFd lock_;
  };
  // A scratch directory of this call's own, on the same file system as the artifacts.
  Result<Scratch> scratch() const;

  [[nodiscard]] const std::string& directory() const { return directory_; }

 private:
  explicit Cache(std::string directory) : directory_(std::move(directory)) {}
  void remove_leftovers() const;
  void remove_unused() const;
  [[nodiscard]] std::string path_of(const std::string& name) const { return directory_ + "/" + name; }

  std::string directory_;
};

}  // namespace adyton::image
