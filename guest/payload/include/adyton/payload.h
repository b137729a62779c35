// What a payload in C++ calls, with objects of our own runtime. vm_payload.h is the same for the Android NDK's.
#pragma once
#include <array>
#include <cstdint>
#include <functional>
#include <memory>

#include "base/result.h"
#include "rpc/binder.h"

namespace adyton::payload {

// Tells the host that the payload serves. kUnavailable if the host does not answer.
Result<void> notify_ready();

// What the host calls this instance of a VM: the same at each boot of one that is kept, and of no other. It comes from the host, so it
// names, and proves nothing. kNotFound where the host gave none.
Result<std::array<uint8_t, 64>> instance_id();

// Serves one object over RpcBinder on a vsock port (1024 or above) to the host, and to nobody else. `on_ready` runs once, when the host
// can connect. Returns only with an error: the port is taken, or there is no vsock device.
Result<void> serve_vsock(std::shared_ptr<rpc::Binder> service, uint32_t port, const std::function<void()>& on_ready = {});

}  // namespace adyton::payload
