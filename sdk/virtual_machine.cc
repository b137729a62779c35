#include "adyton/virtual_machine.h"

#include <fmt/format.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstdint>

#include "rpc/session.h"
#include "sdk/conversion.h"
#include "sdk/virtual_machine_impl.h"

namespace adyton {
namespace {

namespace aidl = virtualizationservice;
using sdk::checked;

// The service says twice that a VM is gone: it answers stop(), and it tells its callbacks, which may come later.
constexpr std::chrono::seconds kLastWordPatience{10};

Result<UniqueFd> open_stream(rpc::Reply<UniqueFd> reply) {
  auto stream = TRY(checked(std::move(reply)));
  if (!stream.valid()) return fail(ErrorCode::kInternal, "the virtualization service gave no stream");
  return stream;
}

std::unexpected<Error> deleted(const std::string& name) {
  return fail(ErrorCode::kUnavailable, fmt::format("the virtual machine '{}' has been deleted", name));
}

Result<void> check_port(uint32_t port) {
  if (port >= VirtualMachine::kMinVsockPort) return {};
  return fail(ErrorCode::kInvalidArgument, fmt::format("vsock port {} is below {}", port, VirtualMachine::kMinVsockPort));
}

}  // namespace

// ---- the data ------------------------------------------------------------------------------------------------------------

std::shared_ptr<sdk::VmRun> VirtualMachine::Impl::last_run() {
  const std::lock_guard lock(mutex_);
  return run_;
}

Result<std::shared_ptr<sdk::VmRun>> VirtualMachine::Impl::live_run() {
  auto run = last_run();
  if (run && !run->stop_info()) return run;
  return fail(ErrorCode::kUnavailable, fmt::format("the virtual machine '{}' does not run", name_));
}

Result<VirtualMachineConfig> VirtualMachine::Impl::current_config() {
  {
    const std::lock_guard lock(mutex_);
    if (deleted_) return deleted(name_);
    if (!persistent_ && !config_) {
      return fail(ErrorCode::kUnsupported, fmt::format("the configuration of '{}' is known to the program that made it", name_));
    }
    // What a run was started with stays what it is until its end.
    if (!persistent_ || (config_ && run_ && !run_->stop_info())) return *config_;
  }
  const auto record = TRY(checked(connection_->service().getRecord(name_)));
  if (!record) {
    mark_deleted();
    return deleted(name_);
  }
  auto config = TRY(sdk::from_record(record->config));
  const std::lock_guard lock(mutex_);
  config_ = config;
  return config;
}

void VirtualMachine::Impl::mark_deleted() {
  {
    const std::lock_guard lock(mutex_);
    deleted_ = true;
  }
  connection_->forget(name_);
}

// ---- the object ----------------------------------------------------------------------------------------------------------

VirtualMachine::VirtualMachine(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
VirtualMachine::~VirtualMachine() { close(); }

const std::string& VirtualMachine::getName() const { return impl_->name_; }

Result<VirtualMachineConfig> VirtualMachine::getConfig() { return impl_->current_config(); }

Result<VirtualMachineConfig> VirtualMachine::setConfig(const VirtualMachineConfig& config) {
  const std::lock_guard running(impl_->run_mutex_);
  if (impl_->live_run()) return fail(ErrorCode::kUnavailable, fmt::format("the virtual machine '{}' runs", getName()));
  auto old = TRY(impl_->current_config());
  if (!old.isCompatibleWith(config)) {
    return fail(ErrorCode::kInvalidArgument,
                fmt::format("the new configuration of '{}' would make another virtual machine of it: isolation, debug level, "
                            "captured output, console input and which payload it runs stay as they are",
                            getName()));
  }
  if (impl_->persistent_) TRY(checked(impl_->connection_->service().setRecordConfig(getName(), sdk::to_record(config))));
  const std::lock_guard lock(impl_->mutex_);
  impl_->config_ = config;
  return old;
}

Result<VmStatus> VirtualMachine::getStatus() {
  if (impl_->live_run()) return VmStatus::kRunning;
  {
    const std::lock_guard lock(impl_->mutex_);
    if (impl_->deleted_) return VmStatus::kDeleted;
  }
  if (!impl_->persistent_) return VmStatus::kStopped;
  const auto record = TRY(checked(impl_->connection_->service().getRecord(getName())));
  if (!record) {
    impl_->mark_deleted();
    return VmStatus::kDeleted;
  }
  if (!record->running) return VmStatus::kStopped;
  // Another program has started it.
  const std::lock_guard running(impl_->run_mutex_);
  if (impl_->live_run()) return VmStatus::kRunning;
  auto vm = TRY(checked(impl_->connection_->service().getVm(getName())));
  if (!vm) return VmStatus::kStopped;
  TRY(impl_->attach(shared_from_this(), std::move(vm)));
  return VmStatus::kRunning;
}

Result<VirtualMachineInfo> VirtualMachine::getInfo() {
  const auto run = impl_->last_run();
  if (!run) return fail(ErrorCode::kNotFound, fmt::format("the virtual machine '{}' has not been started", getName()));
  return sdk::from_aidl(TRY(checked(run->vm().getInfo())));
}

Result<VirtualMachineStatistics> VirtualMachine::getStatistics() {
  const auto run = TRY(impl_->live_run());
  return sdk::from_aidl(TRY(checked(run->vm().getStatistics())));
}

void VirtualMachine::setCallback(std::shared_ptr<VirtualMachineCallback> callback, Executor executor) {
  const std::lock_guard lock(impl_->mutex_);
  std::swap(impl_->callback_, callback);  // the old one ends behind the lock
  std::swap(impl_->executor_, executor);
}

void VirtualMachine::clearCallback() { setCallback(nullptr); }

Result<void> VirtualMachine::run() { return run(RunOptions()); }
Result<void> VirtualMachine::run(RunOptions options) { return impl_->run(shared_from_this(), std::move(options)); }

Result<void> VirtualMachine::stop() {
  const auto run = TRY(impl_->live_run());
  TRY(checked(run->vm().stop()));
  run->wait(kLastWordPatience);
  return {};
}

Result<void> VirtualMachine::stop(std::chrono::milliseconds patience) {
  const auto run = TRY(impl_->live_run());
  const auto millis = static_cast<int32_t>(std::clamp<int64_t>(patience.count(), 0, INT32_MAX));
  TRY(checked(run->vm().stopWithin(millis)));
  run->wait(kLastWordPatience);
  return {};
}

Result<void> VirtualMachine::kill() {
  const auto run = TRY(impl_->live_run());
  TRY(checked(run->vm().kill()));
  run->wait(kLastWordPatience);
  return {};
}

void VirtualMachine::close() {
  const auto run = impl_->live_run();
  if (run && (*run)->owned() && (*run)->vm().stop()) (*run)->wait(kLastWordPatience);
}

std::optional<StopInfo> VirtualMachine::waitForStop(std::optional<std::chrono::milliseconds> timeout) {
  const auto run = impl_->last_run();
  if (!run) return StopInfo{.reason = StopReason::kUnknown, .message = "it has not been started"};
  return run->wait(timeout);
}

Result<void> VirtualMachine::waitForReady(std::optional<std::chrono::milliseconds> timeout) {
  const auto run = impl_->last_run();
  if (!run) return fail(ErrorCode::kUnavailable, fmt::format("the virtual machine '{}' has not been started", getName()));
  // A VM that was found by its name may have been ready before.
  if (!run->owned() && !run->stop_info()) {
    if (const auto info = run->vm().getInfo(); info && info->state == aidl::VirtualMachineState::READY) return {};
  }
  switch (run->wait_until_ready(timeout)) {
    case sdk::VmRun::Readiness::kReady: return {};
    case sdk::VmRun::Readiness::kUnknown:
      return fail(ErrorCode::kUnavailable,
                  fmt::format("the payload of '{}' is not ready after {} ms", getName(), timeout->count()));
    case sdk::VmRun::Readiness::kOver: break;
  }
  if (const auto code = run->exit_code()) {
    return fail(ErrorCode::kUnavailable,
                fmt::format("the payload of '{}' is not ready: it ended with exit code {}", getName(), *code));
  }
  return fail(ErrorCode::kUnavailable, fmt::format("the payload of '{}' is not ready: {}", getName(), run->stop_info()->message));
}

Result<void> VirtualMachine::suspend() {
  const auto run = TRY(impl_->live_run());
  return checked(run->vm().suspend());
}

Result<void> VirtualMachine::resume() {
  const auto run = TRY(impl_->live_run());
  return checked(run->vm().resume());
}

Result<UniqueFd> VirtualMachine::dump() {
  const auto run = TRY(impl_->live_run());
  return open_stream(run->vm().dumpMemory());
}

Result<void> VirtualMachine::attachDebugger(UniqueFd listener) {
  const auto run = TRY(impl_->live_run());
  return checked(run->vm().attachDebugger(listener, /*hold=*/false));
}

std::optional<int> VirtualMachine::getPayloadExitCode() {
  std::shared_ptr<sdk::VmRun> run;
  {
    const std::lock_guard lock(impl_->mutex_);
    if (impl_->preparation_exit_code_) return impl_->preparation_exit_code_;
    run = impl_->run_;
  }
  if (!run) return std::nullopt;
  if (const auto code = run->exit_code()) return code;
  const auto info = run->vm().getInfo();
  return info && info->payloadExitCode >= 0 ? std::optional(info->payloadExitCode) : std::nullopt;
}

Result<std::optional<LastRun>> VirtualMachine::getLastRun() {
  if (!impl_->persistent_) return std::nullopt;
  auto last = TRY(checked(impl_->connection_->service().getLastRun(getName())));
  if (!last) return std::nullopt;
  return sdk::from_aidl(std::move(*last));
}

// ---- streams -------------------------------------------------------------------------------------------------------------

Result<UniqueFd> VirtualMachine::connectVsock(uint32_t port, VsockType type) {
  const auto run = TRY(impl_->live_run());
  if (type == VsockType::kStream) return open_stream(run->vm().connectVsock(static_cast<int32_t>(port)));
  return open_stream(run->vm().connectVsockOfType(static_cast<int32_t>(port), static_cast<aidl::VsockType>(type)));
}

Result<std::shared_ptr<rpc::Binder>> VirtualMachine::connectToVsockServer(uint32_t port) {
  TRY(check_port(port));
  const auto run = TRY(impl_->live_run());
  const auto connector = [run, port] { return open_stream(run->vm().connectVsock(static_cast<int32_t>(port))); };
  // One connection back, so that the guest can call objects that it was given.
  const auto session = TRY(rpc::Session::connect(connector, {.outgoing_connections = 4, .incoming_connections = 1}));
  return checked(session->root());
}

Result<UniqueFd> VirtualMachine::captureVsock(const UniqueFd& ring, const CaptureFilter& filter) {
  const auto run = TRY(impl_->live_run());
  aidl::VsockCaptureFilter what;
  what.ports.assign(filter.ports.begin(), filter.ports.end());
  what.maxPayload = static_cast<int32_t>(std::min<uint32_t>(filter.maxPayload, INT32_MAX));
  return open_stream(run->vm().captureVsock(ring, what));
}

Result<UniqueFd> VirtualMachine::trace(const UniqueFd& rings, uint32_t count, uint32_t categories) {
  const auto run = TRY(impl_->live_run());
  return open_stream(
      run->vm().trace(rings, static_cast<int32_t>(std::min<uint32_t>(count, INT32_MAX)), static_cast<int32_t>(categories)));
}

Result<VirtualMachine::TraceSources> VirtualMachine::getTraceSources() {
  const auto run = TRY(impl_->live_run());
  auto sources = TRY(checked(run->vm().getTraceSources()));
  return TraceSources{.vcpus = static_cast<uint32_t>(std::max(sources.vcpuCount, 0)), .devices = std::move(sources.devices)};
}

Result<UniqueFd> VirtualMachine::traceCalls(const UniqueFd& ring) {
  const auto run = TRY(impl_->live_run());
  return open_stream(run->vm().traceCalls(ring));
}

Result<std::vector<VirtualMachine::BootPhase>> VirtualMachine::getBootPhases() {
  const auto run = impl_->last_run();
  if (!run) return fail(ErrorCode::kUnavailable, fmt::format("the virtual machine '{}' has not been started", getName()));
  std::vector<BootPhase> phases;
  for (const aidl::BootPhase& phase : TRY(checked(run->vm().getBootPhases()))) {
    phases.push_back(
        {.name = phase.name, .begin = std::chrono::nanoseconds(phase.beginNs), .end = std::chrono::nanoseconds(phase.endNs)});
  }
  return phases;
}

Result<void> VirtualMachine::listenVsock(uint32_t port, std::function<void(UniqueFd)> accept, VsockType type) {
  TRY(check_port(port));
  if (!accept) return fail(ErrorCode::kInvalidArgument, "nobody takes the connections");
  const Impl::Listening listening{std::make_shared<const std::function<void(UniqueFd)>>(std::move(accept)), type};
  const std::lock_guard running(impl_->run_mutex_);
  if (const auto run = impl_->live_run()) TRY(impl_->listen(**run, port, listening));
  const std::lock_guard lock(impl_->mutex_);
  impl_->listeners_[port] = listening;
  return {};
}

Result<UniqueFd> VirtualMachine::getConsoleOutput() {
  const auto run = impl_->last_run();
  if (!run) return fail(ErrorCode::kUnavailable, fmt::format("the virtual machine '{}' has not been started", getName()));
  if (const auto config = impl_->current_config(); config && !config->isVmOutputCaptured()) {
    return fail(ErrorCode::kPermission, "the console is not captured: see setVmOutputCaptured()");
  }
  return open_stream(run->vm().openConsole(/*withHistory=*/true));
}

Result<UniqueFd> VirtualMachine::getConsoleInput() {
  const auto run = TRY(impl_->live_run());
  if (const auto config = impl_->current_config(); config && !config->isVmConsoleInputSupported()) {
    return fail(ErrorCode::kPermission, "the console takes no input: see setVmConsoleInputSupported()");
  }
  auto stream = TRY(open_stream(run->vm().openConsole(/*withHistory=*/false)));
  ::shutdown(stream.get(), SHUT_RD);
  return stream;
}

Result<UniqueFd> VirtualMachine::getLogOutput() {
  const auto run = impl_->last_run();
  if (!run) return fail(ErrorCode::kUnavailable, fmt::format("the virtual machine '{}' has not been started", getName()));
  if (const auto config = impl_->current_config(); config && !config->isVmOutputCaptured()) {
    return fail(ErrorCode::kPermission, "the log is not captured: see setVmOutputCaptured()");
  }
  return open_stream(run->vm().openLog(/*withHistory=*/true));
}

Result<void> VirtualMachine::signalPayload(int signal) {
  const auto run = TRY(impl_->live_run());
  return checked(run->vm().signalPayload(signal));
}

Result<void> VirtualMachine::setTerminalSize(TerminalSize size) {
  const auto run = TRY(impl_->live_run());
  return checked(run->vm().setTerminalSize(size.rows, size.columns));
}

Result<void> VirtualMachine::trimMemory(TrimLevel level) {
  const auto run = TRY(impl_->live_run());
  return checked(run->vm().onTrimMemory(static_cast<aidl::MemoryTrimLevel>(level)));
}

Result<uint64_t> VirtualMachine::getMemoryBalloon() {
  const auto run = TRY(impl_->live_run());
  return static_cast<uint64_t>(TRY(checked(run->vm().getMemoryBalloon())));
}

Result<void> VirtualMachine::setMemoryBalloon(uint64_t bytes) {
  const auto run = TRY(impl_->live_run());
  return checked(run->vm().setMemoryBalloon(static_cast<int64_t>(bytes)));
}

Result<VirtualMachine::Descriptor> VirtualMachine::toDescriptor() {
  if (!impl_->persistent_) return fail(ErrorCode::kUnsupported, "a temporary virtual machine has no record to share");
  auto files = TRY(checked(impl_->connection_->service().exportRecord(getName())));
  Descriptor descriptor;
  descriptor.config = std::move(files.config);
  descriptor.instance_id = std::move(files.instanceId);
  if (files.instanceImage) descriptor.instance_image = std::move(*files.instanceImage);
  if (files.encryptedStorage) descriptor.encrypted_storage = std::move(*files.encryptedStorage);
  return descriptor;
}

}  // namespace adyton
