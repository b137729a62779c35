// The command line of `aidlc`, parsed and checked as far as text alone allows.
#pragma once
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/result.h"
#include "base/usage/program_usage.h"
#include "rpc/aidl/backend.h"
#include "rpc/aidl/compatibility.h"
#include "rpc/aidl/diagnostics.h"
#include "rpc/aidl/program.h"

namespace adyton::aidl {

// Text to print and be done: --help.
struct PrintText {
  std::string text;
};

struct GenerateOptions {
  std::vector<std::string> inputs;
  std::string output_dir;
  std::string header_dir;            // the same as output_dir when not given
  std::optional<std::string> dependency_file;
  bool dependency_files = false;     // -a: one beside each output
  bool ninja = false;
  std::optional<std::string> method_map;
  std::optional<std::string> interface_map;
  std::optional<std::string> api_mapping;
  ProgramOptions program;            // language kNone: only maps are asked for
  BackendOptions backend;
  WarningPolicy warnings;
};

struct DumpOptions {
  std::vector<std::string> inputs;
  std::string output_dir;
  ProgramOptions program;
  WarningPolicy warnings;
};

struct CheckOptions {
  CompatibilityLevel level = CompatibilityLevel::kCompatible;
  std::string old_dir;
  std::string new_dir;
  ProgramOptions program;
  WarningPolicy warnings;
};

using Command = std::variant<PrintText, GenerateOptions, DumpOptions, CheckOptions>;

// `arguments` is argv with the program's name. Fails with a sentence for the user.
Result<Command> parse_command_line(const std::vector<std::string>& arguments);

// What --help tells, for the man page and completion scripts.
usage::Program describe_command_line();

}  // namespace adyton::aidl
