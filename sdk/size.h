// Sizes as people write them on a command line.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace adyton::sdk {

// "512M" -> bytes: a whole number and one of K, M, G, T (powers of 1024, also lower case, also with iB or B behind), or none for
// bytes.
Result<uint64_t> parse_size(std::string_view text);

// "512 MiB": with the largest unit that keeps at least one digit before the point, and at most one behind it.
std::string format_size(uint64_t bytes);

}  // namespace adyton::sdk
