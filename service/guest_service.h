// What a guest reaches at the vsock port IVirtualMachineService.VM_BINDER_SERVICE_PORT: a server of its own for each VM, so that a guest
// speaks for itself alone. Guests are hostile: a server takes few connections, small messages and no descriptors, and no call of a guest
// makes the event loop wait.
#pragma once
#include <memory>

#include "base/unique_fd.h"
#include "service/call_queue.h"
#include "service/event_loop.h"
#include "service/vm.h"

namespace adyton::service {

// Serves connections to `vm` from here on. On the event loop. `janitor` is where servers are taken down, which waits for their threads.
void serve_guest(EventLoop& loop, CallQueues& queues, const std::shared_ptr<CallQueue>& janitor, const std::shared_ptr<Vm>& vm);

}  // namespace adyton::service
