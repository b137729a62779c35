// Gives back memory that the guest can do without.
#pragma once
#include "base/unique_fd.h"

namespace adyton::guest {

// Takes hold of the kernel's files in /proc at once, so that a change of root does not matter. Threading: one thread at a time.
class Reclaim {
 public:
  Reclaim();

  // Takes pages of files that programs have mapped, and have on disk, out of their address spaces; drops what of page cache,
  // directory entries and inodes is clean; and brings free pages together. What is dirty stays, and programs read their files
  // again when they need them. Best effort: a kernel that cannot do a part does the others.
  void run() const;

 private:
  void page_out_everyone() const;

  UniqueFd processes_;  // /proc
  UniqueFd drop_caches_;
  UniqueFd compact_memory_;
};

}  // namespace adyton::guest
