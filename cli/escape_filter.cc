#include "cli/escape_filter.h"

#include <utility>

namespace adyton::cli {

size_t EscapeFilter::operator()(std::span<uint8_t> keys) {
  constexpr uint8_t kRubout = 0x7f;
  size_t kept = 0;
  for (const uint8_t key : keys) {
    if (left_) break;
    const bool after_tilde = std::exchange(tilde_, false);
    if (after_tilde && key == '.') {
      left_ = true;
      keys[kept++] = kRubout;
      continue;
    }
    if (after_tilde && key == '~') continue;
    tilde_ = line_begins_ && key == '~';
    line_begins_ = key == '\r' || key == '\n';
    keys[kept++] = key;
  }
  return kept;
}

}  // namespace adyton::cli
