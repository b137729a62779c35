// Files that are on the disk when the function returns.
#pragma once
#include <cstddef>
#include <string>
#include <string_view>

#include "base/result.h"
#include "base/unique_fd.h"

namespace adyton::service {

// Opens a regular file in a folder; never follows a link, never waits.
Result<UniqueFd> open_at(int folder, const char* name, int flags);

Result<void> check_regular_file(int fd);

// The whole file, from its start, whatever the descriptor's position; kCorrupt if it is longer than `max`.
Result<std::string> read_small_file(int fd, size_t max, std::string_view what);

// Makes a new file (0600) that the kernel brings to the disk in its own time. Nothing is left of it on failure.
Result<void> write_file(int folder, const char* name, std::string_view content);
// The same, and it is on the disk.
Result<void> write_durable_file(int folder, const char* name, std::string_view content);
// A copy of all of `source`, holes included.
Result<void> copy_durable_file(int folder, const char* name, int source);

Result<void> sync_file(int fd);

}  // namespace adyton::service
