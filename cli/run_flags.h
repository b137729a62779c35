// What `run` and `create` are told of a virtual machine: said in the same words, checked in the same way.
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "cli/options.h"

namespace CLI {
class App;
}

namespace adyton::cli {

// Filled by the parser; finish() makes options of it.
struct RunFlags {
  RunOptions run;
  std::string memory = "512M";
  std::string console = "serial";
  std::string name;
  std::vector<std::string> env;
  std::vector<std::string> mounts;
  std::vector<std::string> disks;
  std::optional<double> timeout;
  std::optional<double> boot_timeout;
  int watchdog = 0;
  bool tty = false;
  bool no_tty = false;

  void add_to(CLI::App& app);
  // Of a VM that one stays with: not for `create`.
  void add_attached_to(CLI::App& app);
  // What is wrong or does not go together is kInvalidArgument.
  Result<RunOptions> finish();

 private:
  [[nodiscard]] Result<void> check() const;
};

// "NAME=value" stays; "NAME" takes our own value, and is left out where we have none.
Result<std::vector<std::string>> expand_env(const std::vector<std::string>& given);

void add_kernel_suite(CLI::App& app, std::string& suite);

}  // namespace adyton::cli
