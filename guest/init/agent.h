// The guest's agent: a program that init starts beside the payload, and that speaks with the host's service (guest/agent). Init
// lives without it, and whatever becomes of it.
#pragma once
#include "base/unique_fd.h"

namespace adyton::guest {

inline constexpr char kAgentPath[] = "/lib/adyton/agent";  // in the initramfs

// What the agent says to init, on a pipe: bytes. Its end means nothing.
inline constexpr int kAgentPipe = 3;  // the agent's descriptor
inline constexpr char kAgentShutdown = 'S';

// Opened before the root changes; invalid where there is none.
UniqueFd open_agent();

// Starts the program and returns the end of its pipe that init reads, non-blocking; invalid if that fails.
UniqueFd start_agent(const UniqueFd& program);

}  // namespace adyton::guest
