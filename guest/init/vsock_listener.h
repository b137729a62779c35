// Connections from the host to its guest.
#pragma once
#include <cstdint>

#include "base/result.h"
#include "guest/init/exec_server.h"

namespace adyton::guest {

inline constexpr uint32_t kAnyPort = 0xffff'ffff;  // VMADDR_PORT_ANY

// Takes connections of the host (and of nobody in the guest) on `port`.
Result<Listener> listen_for_host(uint32_t port);

}  // namespace adyton::guest
