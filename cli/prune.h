// `adyton prune`: what is in the cache, and its end.
#pragma once
#include <chrono>
#include <string>
#include <vector>

#include "cli/options.h"
#include "guest/image/cache.h"

namespace adyton::cli {

// Returns an exit code.
int prune(const PruneOptions& options);

// The table that it prints: a line for each file, and their sum.
std::string describe_files(const std::vector<image::Cache::Entry>& files, std::chrono::system_clock::time_point now);

}  // namespace adyton::cli
