#include "service/call_observers.h"

#include "rpc/binder.h"
#include "service/vm_object.h"

namespace adyton::service {
namespace {

uint64_t nanoseconds(rpc::ServedCall::Clock::time_point time) {
  return static_cast<uint64_t>(std::chrono::duration_cast<std::chrono::nanoseconds>(time.time_since_epoch()).count());
}

void trace(CallTrace& trace, const rpc::ServedCall& call, bool from_guest) {
  if (!trace.running()) [[likely]]
    return;
  trace.served({.interface = call.target.interface_descriptor(),
                .method = call.target.method_name(call.code),
                .begin = nanoseconds(call.begin),
                .end = nanoseconds(call.end),
                .succeeded = call.succeeded,
                .oneway = call.oneway,
                .from_guest = from_guest});
}

}  // namespace

void ClientCallObserver::served(const rpc::ServedCall& call) {
  metrics_->served(call);
  if (const auto* vm = dynamic_cast<const VmObject*>(&call.target)) trace(vm->call_trace(), call, /*from_guest=*/false);
}

void GuestCallObserver::served(const rpc::ServedCall& call) { trace(*trace_, call, /*from_guest=*/true); }

}  // namespace adyton::service
