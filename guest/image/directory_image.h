// A read-only erofs image of a directory tree, for --rootfs and --mount.
#pragma once
#include <string>

#include "base/result.h"
#include "guest/image/cache.h"
#include "guest/image/progress.h"

namespace adyton::image {

struct DirectoryImageOptions {
  // Everything belongs to root in the guest. False keeps the host's owners, which makes sense for a tree that root installed.
  bool all_root = true;
};

// The image comes from the cache when nothing in the tree has changed since (names, sizes, owners, modes, change times). It is on the
// way out of the cache when the tree changes while it is read: such an image serves this call only.
Result<Artifact> build_directory_image(const Cache& cache, const std::string& directory, const DirectoryImageOptions& options,
                                       const Progress& progress = {});

}  // namespace adyton::image
