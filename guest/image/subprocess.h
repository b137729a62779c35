// Runs a helper program (apt-get, mkfs.erofs) and waits for it.
#pragma once
#include <string>
#include <vector>

#include "base/result.h"

namespace adyton::image {

struct CommandOutput {
  int status = 0;         // exit status, or 128 + signal
  std::string output;     // standard output
  std::string errors;     // standard error
};

// argv[0] is looked up in PATH; no shell is involved. Standard input is empty, the locale is C, the directory is `directory` unless that
// is empty. The program is killed when this thread dies. kNotFound when there is no such program.
Result<CommandOutput> run_command(const std::vector<std::string>& argv, const std::string& directory = "");

// The same, and a non-zero exit status is an error that carries the most telling line of the program's standard error.
Result<std::string> run_command_checked(const std::vector<std::string>& argv, const std::string& directory = "");

}  // namespace adyton::image
