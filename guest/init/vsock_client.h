// Connections from the guest to its host.
#pragma once
#include <cstdint>

#include "base/result.h"
#include "base/unique_fd.h"

namespace adyton::guest {

// Connects to the host's `port`, non-blocking from then on. A device that is still being probed is waited for, at most
// `device_wait_ms` milliseconds.
Result<UniqueFd> connect_to_host(uint32_t port, int device_wait_ms);

}  // namespace adyton::guest
