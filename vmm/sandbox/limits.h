// Resource limits (setrlimit(2)).
#pragma once
#include <cstdint>

#include "base/result.h"

namespace adyton::vmm::sandbox {

// Descriptors for as many vsock streams as the device carries, and no more; no core dumps, locked memory, message queues or
// real-time priority.
Result<void> limit_resources();

// No file grows beyond `bytes`: a disk keeps the size that it has.
Result<void> limit_file_size(uint64_t bytes);

}  // namespace adyton::vmm::sandbox
