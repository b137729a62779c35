// `adyton exec` and `adyton cp`.
#pragma once
#include "cli/options.h"

namespace adyton::cli {

int exec(const ExecOptions& options);
int copy(const CopyOptions& options);

}  // namespace adyton::cli
