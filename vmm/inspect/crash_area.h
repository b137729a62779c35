// Memory of a client's in which the VMM leaves the text of a crash report: no system call is needed to write there, whatever
// state the VM is in.
#pragma once
#include <cstdint>
#include <string_view>

#include "base/mapping.h"
#include "base/result.h"

namespace adyton::vmm::inspect {

class CrashArea {
 public:
  static constexpr size_t kMax = 1 << 20;  // bytes that are used of it

  // `memory`: a memfd that is sealed against shrinking, of at least a page. kCorrupt otherwise.
  static Result<CrashArea> map(int memory);

  [[nodiscard]] size_t capacity() const { return mapping_.size() - 1; }
  // As much as there is room for, and a zero byte.
  void write(std::string_view text);

 private:
  explicit CrashArea(Mapping mapping) : mapping_(std::move(mapping)) {}
  Mapping mapping_;
};

}  // namespace adyton::vmm::inspect
