// `adyton trace`: what a running virtual machine does, as a file for ui.perfetto.dev or chrome://tracing.
#pragma once
#include "cli/options.h"

namespace adyton::cli {

int trace(const TraceOptions& options);

}  // namespace adyton::cli
