// What the commands that record something (captures, traces) share.
#pragma once
#include <optional>
#include <string>

#include "base/result.h"
#include "base/unique_fd.h"

namespace adyton::cli {

// From here on the signals that end us are the caller's to read, and SIGPIPE does nothing. Before there are threads that a signal
// could go to.
Result<UniqueFd> take_end_signals();

// A new file that only its owner may read, as what is recorded may be secret; "-", or none: standard output. A terminal is not
// given what was asked to be a file. A FIFO is waited for until somebody reads it; meanwhile the signals that end us do so again.
Result<UniqueFd> open_recording(const std::optional<std::string>& file);

}  // namespace adyton::cli
