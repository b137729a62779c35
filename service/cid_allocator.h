// Numbers for VMs: AVF's range, none twice among the live, and a number that was given up is not used again until the range is
// through.
#pragma once
#include <cstdint>
#include <set>
#include <string>

#include "base/result.h"

namespace adyton::service {

// Threading: one thread at a time.
class CidAllocator {
 public:
  static constexpr uint32_t kFirst = 2048;
  static constexpr uint32_t kLast = 65535;

  // Continues after the number that `path` holds, and keeps the last one there, so that a service that is started again does not
  // repeat numbers that clients remember. The file is a help only: without it, or with nonsense in it, counting begins anew.
  explicit CidAllocator(std::string path);

  // kExhausted when all are taken.
  Result<uint32_t> allocate();
  void release(uint32_t cid) { live_.erase(cid); }

 private:
  std::string path_;
  uint32_t last_ = kLast;
  std::set<uint32_t> live_;
};

}  // namespace adyton::service
