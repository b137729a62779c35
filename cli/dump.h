// `adyton dump`: a virtual machine's memory as a file.
#pragma once
#include "cli/options.h"

namespace adyton::cli {

int dump(const DumpOptions& options);

}  // namespace adyton::cli
