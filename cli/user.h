// The user's side of a session: streams, signals, and whether they are a terminal.
#pragma once
#include <array>
#include <functional>
#include <optional>

#include "base/result.h"
#include "base/unique_fd.h"

namespace adyton::cli {

// From here on these signals are the caller's to read, as signalfd_siginfo. Before, they end us as they end any program. Those that whoever
// started us wanted to be ignored (nohup, a shell's background job) stay ignored.
Result<UniqueFd> take_signals();

// Does what takes long while those signals end us again, as they end any program. On the thread that took them.
Result<void> while_signals_end_us(const std::function<Result<void>()>& work);

// Standard input, output and error for Channels.
Result<std::array<UniqueFd, 3>> open_stdio();

// Whether a program gets a terminal: what the user said, or if both standard input and output are one.
bool wants_terminal(const std::optional<bool>& said);

}  // namespace adyton::cli
