// The guest's agent (service/aidl, IGuestAgent): what the host may ask a running guest. A process of its own, so that nothing
// that happens to it happens to init, which starts it beside the payload (guest/init/agent.h) and hears of it over a pipe. Where
// the host offers no service, or that ends, the agent ends.
#include <sys/socket.h>
// After what it needs.
#include <linux/vm_sockets.h>
#include <unistd.h>

#include <csignal>

#include "adyton/virtualmachineservice/IGuestAgent.h"
#include "adyton/virtualmachineservice/IVirtualMachineService.h"
#include "guest/agent/reclaim.h"
#include "guest/init/agent.h"
#include "rpc/session.h"

namespace adyton::guest {
namespace {

using virtualmachineservice::IVirtualMachineService;

class Agent final : public virtualmachineservice::IGuestAgentStub {
 public:
  rpc::Reply<> shutdownAsync() override {
    (void)!::write(kAgentPipe, &kAgentShutdown, 1);
    return {};
  }
  // Calls to one object come one after the other.
  rpc::Reply<> trimAsync() override {
    reclaim_.run();
    return {};
  }

 private:
  const Reclaim reclaim_;
};

int serve() {
  const auto session = rpc::Session::connect(
      rpc::VsockAddress{VMADDR_CID_HOST, static_cast<uint32_t>(IVirtualMachineService::VM_BINDER_SERVICE_PORT)},
      {.outgoing_connections = 1, .incoming_connections = 1});
  if (!session) return 0;
  auto root = (*session)->root();
  if (!root) return 0;
  const auto service = IVirtualMachineService::from_binder(std::move(*root));
  if (!service || !service->as_binder()->link_to_death([] { ::_exit(0); })) return 0;
  if (!service->registerGuestAgent(std::make_shared<Agent>())) return 0;
  for (;;) ::pause();
}

}  // namespace
}  // namespace adyton::guest

int main() {
  ::signal(SIGPIPE, SIG_IGN);
  return adyton::guest::serve();
}
