#include "service/guest_service.h"

#include "adyton/virtualmachineservice/IGuestAgent.h"
#include "adyton/virtualmachineservice/IVirtualMachineService.h"
#include "rpc/server.h"
#include "service/call_observers.h"

namespace adyton::service {
namespace {

using virtualizationcommon::ErrorCode;
using virtualmachineservice::IGuestAgent;
using virtualmachineservice::IVirtualMachineService;
using virtualmachineservice::IVirtualMachineServiceStub;
using namespace std::chrono_literals;

static_assert(IVirtualMachineService::VM_BINDER_SERVICE_PORT == int32_t{kGuestServicePort});

rpc::ServerOptions guest_options() {
  rpc::ServerOptions options;
  options.max_threads = 2;
  options.max_sessions = 4;
  options.max_connections = 8;
  options.max_client_threads = 2;
  options.handshake_timeout = 5s;
  options.send_timeout = 5s;
  return options;
}

// Calls to the agent wait for nobody but the guest itself.
class AgentCalls final : public GuestAgent {
 public:
  AgentCalls(std::shared_ptr<CallQueue> queue, std::shared_ptr<IGuestAgent> agent)
      : queue_(std::move(queue)), agent_(std::move(agent)) {}
  ~AgentCalls() override {
    queue_->post_always([agent = std::move(agent_)]() mutable { agent.reset(); });
  }
  void shut_down() override {
    queue_->post([agent = agent_] { (void)agent->shutdownAsync(); });
  }
  void trim() override {
    queue_->post([agent = agent_] { (void)agent->trimAsync(); });
  }

 private:
  const std::shared_ptr<CallQueue> queue_;
  std::shared_ptr<IGuestAgent> agent_;
};

// Posts, and never waits: so taking the server down cannot wait for the loop either.
class VirtualMachineService final : public IVirtualMachineServiceStub {
 public:
  VirtualMachineService(EventLoop& loop, std::shared_ptr<CallQueue> queue, std::weak_ptr<Vm> vm)
      : loop_(loop), queue_(std::move(queue)), vm_(std::move(vm)) {}

  rpc::Reply<> notifyPayloadStarted() override {
    return tell([](Vm& vm) { vm.guest_started(); });
  }
  rpc::Reply<> notifyPayloadReady() override {
    return tell([](Vm& vm) { vm.guest_ready(); });
  }
  rpc::Reply<> notifyPayloadFinished(int32_t exit_code) override {
    return tell([exit_code](Vm& vm) { vm.guest_finished(exit_code); });
  }
  rpc::Reply<> notifyError(ErrorCode code, const std::string& message) override {
    return tell([code, message](Vm& vm) { vm.guest_failed(static_cast<GuestError>(code), message); });
  }
  rpc::Reply<> registerGuestAgent(const std::shared_ptr<IGuestAgent>& agent) override {
    if (!agent) return rpc::fail(rpc::Exception::kNullPointer, "an agent is needed");
    const auto calls = std::make_shared<AgentCalls>(queue_, agent);
    auto told = tell([calls](Vm& vm) { vm.set_agent(calls); });
    const auto leave = [&loop = loop_, vm = vm_, weak = std::weak_ptr<GuestAgent>(calls)] {
      loop.post([vm, weak] {
        const auto alive = vm.lock();
        if (const auto gone = weak.lock(); alive && gone) alive->drop_agent(gone);
      });
    };
    // An agent of this process does not die; one whose session has ended already has.
    if (const auto linked = agent->as_binder()->link_to_death(leave); !linked) {
      if (linked.error().transport_error() == rpc::TransportError::kDeadObject) leave();
    }
    return told;
  }

 private:
  rpc::Reply<> tell(std::function<void(Vm&)> what) {
    loop_.post([vm = vm_, what = std::move(what)] {
      if (const auto alive = vm.lock()) what(*alive);
    });
    return {};
  }

  EventLoop& loop_;
  const std::shared_ptr<CallQueue> queue_;
  const std::weak_ptr<Vm> vm_;
};

// Made when the guest first connects; gone, with its threads, soon after the VM.
class GuestServer {
 public:
  GuestServer(EventLoop& loop, CallQueues& queues, std::shared_ptr<CallQueue> janitor, std::weak_ptr<Vm> vm)
      : loop_(loop), queues_(queues), janitor_(std::move(janitor)), vm_(std::move(vm)) {}
  ~GuestServer() {
    if (!server_) return;
    janitor_->post_always([server = std::shared_ptr<rpc::Server>(std::move(server_))]() mutable { server.reset(); });
  }
  GuestServer(const GuestServer&) = delete;
  GuestServer& operator=(const GuestServer&) = delete;

  void add(UniqueFd stream) {
    if (!server_ && !start()) return;  // the stream closes
    (void)server_->add_connection(std::move(stream));
  }

 private:
  bool start() {
    auto queue = queues_.make("guest");
    if (!queue) return false;
    rpc::ServerOptions options = guest_options();
    if (const auto vm = vm_.lock()) {
      options.observer = std::make_shared<GuestCallObserver>(vm->call_metrics(), vm->call_trace());
      options.on_bad_peer = [limit = limit_, log = vm->diary().for_component("guest")](const rpc::Caller&, const Error& error) {
        log.warning(*limit, {}, "a connection of the guest to the service is ended: {}", error.message);
      };
    }
    server_ = std::make_unique<rpc::Server>(std::move(options));
    server_->set_root(std::make_shared<VirtualMachineService>(loop_, std::move(*queue), vm_));
    return true;
  }

  EventLoop& loop_;
  CallQueues& queues_;
  const std::shared_ptr<CallQueue> janitor_;
  const std::weak_ptr<Vm> vm_;
  const std::shared_ptr<log::RateLimit> limit_ = std::make_shared<log::RateLimit>();
  std::unique_ptr<rpc::Server> server_;
};

}  // namespace

Vm::StreamHandler guest_service(EventLoop& loop, CallQueues& queues, std::shared_ptr<CallQueue> janitor, std::weak_ptr<Vm> vm) {
  auto server = std::make_shared<GuestServer>(loop, queues, std::move(janitor), std::move(vm));
  return [server](UniqueFd stream) { server->add(std::move(stream)); };
}

}  // namespace adyton::service
