// What a guest reaches at the vsock port IVirtualMachineService.VM_BINDER_SERVICE_PORT: a server of its own for each VM, so that
// a guest speaks for itself alone. Guests are hostile: a server takes few connections, small messages and no descriptors, and no
// call of a guest makes the event loop wait.
#pragma once
#include <memory>

#include "base/unique_fd.h"
#include "service/call_queue.h"
#include "service/event_loop.h"
#include "service/vm.h"

namespace adyton::service {

// For Vm::on_guest_service(). `janitor` is where the server is taken down, which waits for its threads. The handler runs on the
// event loop.
Vm::StreamHandler guest_service(EventLoop& loop, CallQueues& queues, std::shared_ptr<CallQueue> janitor, std::weak_ptr<Vm> vm);

}  // namespace adyton::service
