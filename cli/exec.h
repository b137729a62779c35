// `adyton exec`.
#pragma once
#include <string>

#include "base/result.h"
#include "cli/exec_session.h"
#include "cli/options.h"

namespace adyton::cli {

int exec(const ExecOptions& options);

// Fills in how the exec server of the virtual machine `name` is reached.
Result<void> reach_exec_server(ExecSessionConfig& config, const std::string& name);

}  // namespace adyton::cli
