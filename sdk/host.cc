#include "sdk/host.h"

#include <sys/sysinfo.h>

#include <algorithm>
#include <fstream>
#include <string>

namespace adyton::sdk {

uint64_t host_memory() {
  struct sysinfo info{};
  if (::sysinfo(&info) != 0) return 0;
  uint64_t memory = uint64_t{info.totalram} * info.mem_unit;
  // Version 2 inside a container, where the own group is the root of the hierarchy that is seen; then version 1.
  for (const char* path : {"/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"}) {
    uint64_t limit = 0;
    if (std::ifstream(path) >> limit) memory = std::min(memory, limit);
  }
  return memory;
}

}  // namespace adyton::sdk
