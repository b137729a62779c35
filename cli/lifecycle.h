// Commands that make, start and end virtual machines of the service. Each returns the exit code and says on stderr what went wrong.
#pragma once
#include "cli/options.h"

namespace adyton::cli {

int run_detached(const RunOptions& options);
int create(const CreateOptions& options);
int apply_verb(const VerbOptions& options);

}  // namespace adyton::cli
