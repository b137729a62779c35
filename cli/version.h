// What `adyton --version` says.
#pragma once
#include <string>

namespace adyton::cli {

// "adyton 0.1.0 ...": version, host and guest architectures, isolation level.
std::string version_text();

}  // namespace adyton::cli
