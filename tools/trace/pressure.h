// How long tasks of this host had to wait for memory (Linux, Documentation/accounting/psi.rst).
#pragma once
#include <cstdint>
#include <optional>
#include <string_view>

#include "base/unique_fd.h"

namespace adyton::trace {

// Microseconds that some task has waited for memory, ever, from the text of /proc/pressure/memory.
std::optional<uint64_t> parse_memory_stall(std::string_view text);

// The host's, for who looks again and again.
class MemoryPressure {
 public:
  MemoryPressure();
  // Nothing on kernels without.
  [[nodiscard]] std::optional<uint64_t> stalled() const;

 private:
  UniqueFd file_;
};

}  // namespace adyton::trace
