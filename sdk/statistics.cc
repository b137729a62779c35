#include "adyton/virtual_machine_statistics.h"

namespace adyton {

uint64_t VirtualMachineStatistics::exits() const {
  uint64_t sum = 0;
  for (const auto& vcpu : vcpus) {
    for (const auto& [name, value] : vcpu) {
      if (name.starts_with("exits.")) sum += value;
    }
  }
  return sum;
}

}  // namespace adyton
