// What the sandbox of this process consists of, and what the host did not permit: one line for each measure, so that nobody has
// to believe that a measure is in force.
#pragma once
#include <string>
#include <vector>

namespace adyton::vmm::sandbox {

struct Measure {
  std::string name;  // "user namespace"
  bool in_force = false;
  std::string detail;  // why not, or what is special about it; may be empty
};

using Report = std::vector<Measure>;

}  // namespace adyton::vmm::sandbox
