// What a VM has done: what the host's kernel says of its process, and what that process says of itself.
#pragma once
#include <sys/types.h>

#include <chrono>
#include <string>
#include <vector>

#include "vmm/control/statistics.h"

namespace adyton::service {

struct ThreadUsage {
  std::string name;  // at most 15 bytes, printable
  std::chrono::milliseconds cpu_time{0};
};

struct VmStatistics {
  std::vector<ThreadUsage> threads;
  vmm::control::Statistics counts;
};

// The threads of a process, those of one name added up, in the order of their names; none when it is gone.
std::vector<ThreadUsage> threads_of(pid_t pid);

}  // namespace adyton::service
