// How a virtual machine is run, and how its events reach the program.
#include <fcntl.h>

#include "adyton/virtualizationservice/IVsockListener.h"
#include "sdk/conversion.h"
#include "sdk/virtual_machine_impl.h"

namespace adyton {
namespace {

namespace aidl = virtualizationservice;
using sdk::checked;

// Passes connections of the guest to the program.
class PortListener final : public aidl::IVsockListenerStub {
 public:
  using Accept = std::shared_ptr<const std::function<void(UniqueFd)>>;
  PortListener(std::weak_ptr<sdk::Connection> connection, Accept accept)
      : connection_(std::move(connection)), accept_(std::move(accept)) {}

  rpc::Reply<> onVsockConnection(int32_t, const UniqueFd& stream) override {
    const auto connection = connection_.lock();
    auto copy = std::make_shared<UniqueFd>(::fcntl(stream.get(), F_DUPFD_CLOEXEC, 3));
    if (connection && copy->valid()) {
      connection->callbacks().post([accept = accept_, copy] { (*accept)(std::move(*copy)); });
    }
    return {};
  }

 private:
  const std::weak_ptr<sdk::Connection> connection_;
  const Accept accept_;
};

struct Tell {
  VirtualMachine& vm;
  VirtualMachineCallback& callback;
  void operator()(const sdk::PayloadStarted&) const { callback.onPayloadStarted(vm); }
  void operator()(const sdk::PayloadReady&) const { callback.onPayloadReady(vm); }
  void operator()(const sdk::PayloadFinished& event) const { callback.onPayloadFinished(vm, event.exit_code); }
  void operator()(const sdk::VmError& event) const { callback.onError(vm, event.code, event.message); }
  void operator()(const StopInfo& event) const { callback.onStopped(vm, event.reason, event.message); }
};

std::optional<UniqueFd> if_valid(UniqueFd fd) {
  if (!fd.valid()) return std::nullopt;
  return fd;
}

}  // namespace

void VirtualMachine::Impl::deliver(std::shared_ptr<VirtualMachine> self, sdk::VmEvent event) {
  std::shared_ptr<VirtualMachineCallback> callback;
  Executor executor;
  {
    const std::lock_guard lock(mutex_);
    callback = callback_;
    executor = executor_;
  }
  // `self` may be the last reference, whose end waits for the service: that is nothing for the thread that hears the service.
  auto task = [self = std::move(self), callback, happened = std::move(event)] {
    if (callback) std::visit(Tell{*self, *callback}, happened);
  };
  if (callback && executor) {
    executor(std::move(task));
  } else {
    connection_->callbacks().post(std::move(task));
  }
}

Result<void> VirtualMachine::Impl::attach(const std::shared_ptr<VirtualMachine>& self,
                                          std::shared_ptr<aidl::IVirtualMachine> vm) {
  auto run = TRY(sdk::VmRun::watch(std::move(vm), /*owned=*/false, [weak = std::weak_ptr(self)](sdk::VmEvent event) {
    if (auto alive = weak.lock()) alive->impl().deliver(std::move(alive), std::move(event));
  }));
  {
    const std::lock_guard lock(mutex_);
    run_ = run;
  }
  run->announce();
  return {};
}

Result<sdk::PreparedVm> VirtualMachine::Impl::prepare_files(const std::optional<VirtualMachineConfig>& config,
                                                            const RunOptions& options) {
  if (source_) return source_();
  if (!config)
    return fail(ErrorCode::kUnsupported, "a virtual machine that another program made without a record cannot be run again");
  auto vm = sdk::prepare(*config, options.progress);
  if (vm) return std::move(*vm);
  const std::lock_guard lock(mutex_);
  preparation_exit_code_ = vm.error().exit_code;
  return std::unexpected(std::move(vm.error().error));
}

Result<void> VirtualMachine::Impl::listen(sdk::VmRun& run, uint32_t port, const Listening& listening) {
  const auto listener = std::make_shared<PortListener>(connection_, listening.accept);
  const auto number = static_cast<int32_t>(port);
  return checked(listening.type == VsockType::kStream
                     ? run.vm().listenVsock(number, listener)
                     : run.vm().listenVsockOfType(number, static_cast<aidl::VsockType>(listening.type), listener));
}

Result<void> VirtualMachine::Impl::run(const std::shared_ptr<VirtualMachine>& self, RunOptions options) {
  const std::lock_guard running(run_mutex_);
  std::optional<VirtualMachineConfig> config;
  {
    const std::lock_guard lock(mutex_);
    if (deleted_) return fail(ErrorCode::kUnavailable, "the virtual machine '" + name_ + "' has been deleted");
    if (run_ && !run_->stop_info()) return fail(ErrorCode::kUnavailable, "the virtual machine '" + name_ + "' runs already");
    preparation_exit_code_.reset();
    config = config_;
  }
  if (persistent_) config = TRY(current_config());
  sdk::PreparedVm files = TRY(prepare_files(config, options));
  sdk::RunParameters parameters{.name = name_,
                                .persistent = persistent_,
                                .detached = options.detached,
                                .instance_id = instance_id_,
                                .vsock_socket = options.vsock_socket};
  aidl::VirtualMachineConfig machine;
  if (config) {
    machine = sdk::to_aidl(std::move(files), *config, parameters);
  } else {
    machine.set<aidl::VirtualMachineConfig::Tag::rawConfig>(sdk::to_aidl(std::move(files), parameters));
  }
  auto vm =
      TRY(checked(connection_->service().createVm(machine, if_valid(std::move(options.console_output)),
                                                  if_valid(std::move(options.console_input)), if_valid(std::move(options.log)))));
  machine = {};  // our descriptors
  if (!vm) return fail(ErrorCode::kInternal, "the virtualization service made no virtual machine");

  // Everything that can fail comes before anybody hears of this run.
  auto run = TRY(sdk::VmRun::watch(std::move(vm), !options.detached, [weak = std::weak_ptr(self)](sdk::VmEvent event) {
    if (auto alive = weak.lock()) alive->impl().deliver(std::move(alive), std::move(event));
  }));
  std::map<uint32_t, Listening> listeners;
  {
    const std::lock_guard lock(mutex_);
    listeners = listeners_;
  }
  for (const auto& [port, listening] : listeners) TRY(listen(*run, port, listening));
  if (options.debugger.valid()) {
    TRY(checked(run->vm().attachDebugger(options.debugger, options.wait_for_debugger)));
    options.debugger.reset();
  }
  TRY(begin(self, run, options));
  {
    const std::lock_guard lock(mutex_);
    run_ = run;
  }
  run->announce();
  return {};
}

Result<void> VirtualMachine::Impl::begin(const std::shared_ptr<VirtualMachine>& self, const std::shared_ptr<sdk::VmRun>& run,
                                         const RunOptions& options) {
  if (!options.before_start) return checked(run->vm().start());
  TRY(checked(run->vm().prepare()));
  const auto exchange = [this](std::shared_ptr<sdk::VmRun> present) {
    const std::lock_guard lock(mutex_);
    return std::exchange(run_, std::move(present));
  };
  auto last = exchange(run);
  auto begun = options.before_start(*self);
  if (begun) begun = checked(run->vm().start());
  if (begun) return {};
  exchange(std::move(last));
  (void)run->vm().kill();
  return begun;
}

}  // namespace adyton
