// `adyton cp`: files between the host and the guest, as a stream between two ends of guest/tree/copy.h.
#pragma once
#include "cli/exec_session.h"
#include "cli/options.h"

namespace adyton::cli {

int copy(const CopyOptions& options);

// The copy itself. `session` says how the guest's exec server is reached, and where its messages go (stdio[2]). For tests.
Result<Outcome> copy_through(ExecSessionConfig session, const CopyOptions& options);

}  // namespace adyton::cli
