#include "service/call_observers.h"

#include "rpc/binder.h"
#include "service/vm_object.h"

namespace adyton::service {
namespace {

uint64_t nanoseconds(rpc::ServedCall::Clock::time_point time) {
  return static_cast<uint64_t>(std::chrono::duration_cast<std::chrono::nanoseconds>(time.time_since_epoch()).count());
}

void count(CallMetrics& metrics, const rpc::ServedCall& call) {
  metrics.served(call.target.interface_descriptor(), call.target.method_name(call.code), call.end - call.begin, call.succeeded);
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
  const auto* const vm = dynamic_cast<const VmObject*>(&call.target);
  count(vm != nullptr ? vm->call_metrics() : *metrics_, call);
  if (vm != nullptr) trace(vm->call_trace(), call, /*from_guest=*/false);
}

void GuestCallObserver::served(const rpc::ServedCall& call) {
  count(*metrics_, call);
  trace(*trace_, call, /*from_guest=*/true);
}

}  // namespace adyton::service
