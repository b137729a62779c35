// A root directory with nothing in it.
#pragma once
#include "base/result.h"

namespace adyton::vmm::sandbox {

// Makes an empty read-only file system the only one that the process's mount namespace has (pivot_root(2)). In a mount namespace
// of our own only.
Result<void> enter_empty_root();

}  // namespace adyton::vmm::sandbox
