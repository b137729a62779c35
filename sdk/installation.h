// Where the parts of this Adyton are: beside the running program in a build tree, under the prefix where it, or the library, is
// installed, or in PATH.
#pragma once
#include <string>
#include <vector>

#include "base/result.h"

namespace adyton::sdk {

// $ENVIRONMENT if set, else the first of the places that has an executable of that name. kNotFound names the places.
Result<std::string> find_program(const std::string& name, const char* environment);

// share/adyton/NAME. kNotFound names the places.
Result<std::string> find_shared_file(const std::string& name);

// The folders that programs are looked for in, PATH last.
std::vector<std::string> program_folders();

}  // namespace adyton::sdk
