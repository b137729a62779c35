#include "service/vm_object.h"

#include <fcntl.h>

#include "service/client_calls.h"
#include "service/conversion.h"

namespace adyton::service {
namespace {

using virtualizationservice::IVirtualMachineCallback;
using virtualizationservice::IVsockListener;
using virtualizationservice::MemoryTrimLevel;
using virtualizationservice::VirtualMachineInfo;
using virtualizationservice::VirtualMachineState;
using virtualizationservice::VsockType;

template <typename T>
rpc::Reply<T> reply(Outcome<T> outcome) {
  if (!outcome) return refuse(outcome.error());
  if constexpr (std::is_void_v<T>) {
    return {};
  } else {
    return std::move(*outcome);
  }
}

rpc::Reply<vmm::control::VsockType> type_of(VsockType type) {
  if (type == VsockType::STREAM) return vmm::control::VsockType::kStream;
  if (type == VsockType::SEQPACKET) return vmm::control::VsockType::kSeqpacket;
  return rpc::fail(rpc::Exception::kIllegalArgument, "there is no such type of vsock connection");
}

uint64_t caller_session() {
  const rpc::Caller* caller = rpc::current_caller();
  return caller != nullptr ? caller->session : 0;
}

}  // namespace

VmObject::~VmObject() {
  // Its parts may be watched by the loop, where it therefore has to end.
  loop_.post([vm = std::move(vm_), owner = role_ == Role::kOwner] {
    if (owner && !vm->detached()) vm->kill({DeathReason::kKilled, "its client let go of it"}, [](const Outcome<>&) {});
  });
}

rpc::Reply<int32_t> VmObject::getCid() { return static_cast<int32_t>(vm_->cid()); }

rpc::Reply<std::string> VmObject::getName() { return vm_->name(); }

rpc::Reply<VirtualMachineState> VmObject::getState() {
  return loop_.call([&] { return static_cast<VirtualMachineState>(vm_->state()); });
}

rpc::Reply<virtualizationservice::IsolationLevel> VmObject::getIsolation() {
  return static_cast<virtualizationservice::IsolationLevel>(vm_->isolation());
}

rpc::Reply<VirtualMachineInfo> VmObject::getInfo() {
  return to_aidl(loop_.call([&] { return vm_->info(); }));
}

rpc::Reply<> VmObject::registerCallback(const std::shared_ptr<IVirtualMachineCallback>& callback) {
  if (!callback) return rpc::fail(rpc::Exception::kNullPointer, "a callback is needed");
  auto queue = queues_.of(caller_session());
  if (!queue) return refuse(queue.error());
  auto observer = std::make_shared<CallbackObserver>(std::move(*queue), callback);
  if (auto observing = loop_.call([&] { return vm_->observe(observer); }); !observing) return refuse(observing.error());
  observer->on_session_end([&loop = loop_, vm = std::weak_ptr(vm_), weak = std::weak_ptr(observer)] {
    loop.post([vm, weak] {
      const auto alive = vm.lock();
      if (const auto gone = weak.lock(); alive && gone)
        alive->leave([&](const VmObserver& other) { return &other == gone.get(); });
    });
  });
  return {};
}

rpc::Reply<> VmObject::unregisterCallback(const std::shared_ptr<IVirtualMachineCallback>& callback) {
  if (!callback) return rpc::fail(rpc::Exception::kNullPointer, "a callback is needed");
  loop_.call([&] {
    vm_->leave([&](const VmObserver& observer) {
      const auto* const registered = dynamic_cast<const CallbackObserver*>(&observer);
      return registered != nullptr && registered->calls(*callback);
    });
  });
  return {};
}

rpc::Reply<> VmObject::prepare() {
  return reply(loop_.await<Outcome<>>([&](auto done) { vm_->prepare(done); }));
}

rpc::Reply<> VmObject::start() {
  return reply(loop_.await<Outcome<>>([&](auto done) { vm_->start(done); }));
}

rpc::Reply<> VmObject::stop() {
  return reply(loop_.await<Outcome<>>([&](auto done) { vm_->stop(done); }));
}

rpc::Reply<> VmObject::stopWithin(int32_t patience_ms) {
  if (patience_ms < 0) return rpc::fail(rpc::Exception::kIllegalArgument, "a VM cannot be stopped in less than no time");
  return reply(loop_.await<Outcome<>>([&](auto done) { vm_->stop(done, std::chrono::milliseconds(patience_ms)); }));
}

rpc::Reply<> VmObject::kill() {
  return reply(loop_.await<Outcome<>>([&](auto done) { vm_->kill({DeathReason::kKilled, "the VM was killed"}, done); }));
}

rpc::Reply<> VmObject::suspend() {
  return reply(loop_.await<Outcome<>>([&](auto done) { vm_->suspend(done); }));
}

rpc::Reply<> VmObject::resume() {
  return reply(loop_.await<Outcome<>>([&](auto done) { vm_->resume(done); }));
}

rpc::Reply<UniqueFd> VmObject::connectVsockOfType(int32_t port, VsockType type) {
  const auto kind = type_of(type);
  if (!kind) return std::unexpected(kind.error());
  return reply(loop_.await<Outcome<UniqueFd>>([&](auto done) { vm_->connect(static_cast<uint32_t>(port), done, *kind); }));
}

rpc::Reply<UniqueFd> VmObject::captureVsock(const UniqueFd& ring, const virtualizationservice::VsockCaptureFilter& filter) {
  if (filter.maxPayload < 0) return rpc::fail(rpc::Exception::kIllegalArgument, "a payload cannot be cut to less than nothing");
  UniqueFd memory(::fcntl(ring.get(), F_DUPFD_CLOEXEC, 0));
  if (!memory.valid()) return refuse(Failure(fail_errno("cannot take the ring").error()));
  vmm::control::Capture what{.ports = std::vector<uint32_t>(filter.ports.begin(), filter.ports.end()),
                             .max_payload = static_cast<uint32_t>(filter.maxPayload)};
  return reply(loop_.await<Outcome<UniqueFd>>([&](auto done) { vm_->capture(std::move(memory), std::move(what), done); }));
}

rpc::Reply<std::vector<virtualizationservice::BootPhase>> VmObject::getBootPhases() {
  const auto phases = loop_.await<Outcome<std::vector<observe::BootPhase>>>([&](auto done) { vm_->boot_phases(done); });
  if (!phases) return refuse(phases.error());
  std::vector<virtualizationservice::BootPhase> all;
  for (const observe::BootPhase& phase : *phases) {
    virtualizationservice::BootPhase& made = all.emplace_back();
    made.name = phase.name;
    made.beginNs = static_cast<int64_t>(phase.begin);
    made.endNs = static_cast<int64_t>(phase.end);
  }
  return all;
}

rpc::Reply<UniqueFd> VmObject::trace(const UniqueFd& rings, int32_t ringCount, int32_t categories) {
  if (ringCount < 0) return rpc::fail(rpc::Exception::kIllegalArgument, "a trace cannot have less than no rings");
  UniqueFd memory(::fcntl(rings.get(), F_DUPFD_CLOEXEC, 0));
  if (!memory.valid()) return refuse(Failure(fail_errno("cannot take the rings").error()));
  const vmm::control::Trace what{.ring_count = static_cast<uint32_t>(ringCount), .categories = static_cast<uint32_t>(categories)};
  return reply(loop_.await<Outcome<UniqueFd>>([&](auto done) { vm_->trace(std::move(memory), what, done); }));
}

rpc::Reply<virtualizationservice::TraceSources> VmObject::getTraceSources() {
  const auto told = loop_.await<Outcome<VmStatistics>>([&](auto done) { vm_->trace_sources(done); });
  if (!told) return refuse(told.error());
  virtualizationservice::TraceSources sources;
  sources.vcpuCount = static_cast<int32_t>(told->counts.vcpus.size());
  for (const auto& device : told->counts.devices) sources.devices.push_back(device.name);
  return sources;
}

rpc::Reply<UniqueFd> VmObject::traceCalls(const UniqueFd& ring) {
  auto wake = call_trace().start(ring.get());
  if (!wake) return refuse(Failure(wake.error()));
  return std::move(*wake);
}

rpc::Reply<> VmObject::listenVsockOfType(int32_t port, VsockType type, const std::shared_ptr<IVsockListener>& listener) {
  const auto kind = type_of(type);
  if (!kind) return std::unexpected(kind.error());
  if (!listener) return rpc::fail(rpc::Exception::kNullPointer, "a listener is needed");
  auto queue = queues_.of(caller_session());
  if (!queue) return refuse(queue.error());
  const auto number = static_cast<uint32_t>(port);
  auto calls = std::make_shared<ListenerCalls>(std::move(*queue), number, listener);
  const auto listening = loop_.await<Outcome<>>([&](auto done) {
    vm_->listen(
        number, [calls](UniqueFd stream) { calls->deliver(std::move(stream)); }, done, *kind);
  });
  if (!listening) return refuse(listening.error());
  const auto leave = [&loop = loop_, vm = std::weak_ptr(vm_), number] {
    loop.post([vm, number] {
      if (const auto alive = vm.lock()) alive->unlisten(number);
    });
  };
  // An object of this process has no session that could end; one whose session has ended already is gone.
  if (const auto linked = listener->as_binder()->link_to_death(leave); !linked) {
    if (linked.error().transport_error() == rpc::TransportError::kDeadObject) leave();
  }
  return {};
}

rpc::Reply<UniqueFd> VmObject::openConsole(bool with_history) {
  return reply(Outcome<UniqueFd>(loop_.call([&] { return vm_->console().open(with_history); })));
}

rpc::Reply<UniqueFd> VmObject::openLog(bool with_history) {
  return reply(Outcome<UniqueFd>(loop_.call([&] { return vm_->log().open(with_history); })));
}

rpc::Reply<> VmObject::signalPayload(int32_t signal) {
  return reply(loop_.call([&] { return vm_->signal(static_cast<uint32_t>(signal)); }));
}

rpc::Reply<> VmObject::setTerminalSize(int32_t rows, int32_t columns) {
  if (rows < 0 || rows > UINT16_MAX || columns < 0 || columns > UINT16_MAX)
    return rpc::fail(rpc::Exception::kIllegalArgument, "a terminal has 0 to 65535 rows and columns");
  return reply(loop_.call([&] { return vm_->set_terminal_size(static_cast<uint16_t>(rows), static_cast<uint16_t>(columns)); }));
}

rpc::Reply<> VmObject::onTrimMemory(MemoryTrimLevel) {
  return reply(loop_.call([&] { return vm_->trim(); }));
}

rpc::Reply<int64_t> VmObject::getMemoryBalloon() {
  const auto statistics = loop_.await<Outcome<VmStatistics>>([&](auto done) { vm_->statistics(done); });
  if (!statistics) return refuse(statistics.error());
  return static_cast<int64_t>(statistics->counts.balloon.actual);
}

rpc::Reply<> VmObject::setMemoryBalloon(int64_t bytes) {
  if (bytes < 0) return rpc::fail(rpc::Exception::kIllegalArgument, "a memory balloon cannot have less than nothing");
  return reply(loop_.await<Outcome<>>([&](auto done) { vm_->set_balloon(static_cast<uint64_t>(bytes), done); }));
}

rpc::Reply<> VmObject::setDetached(bool detached) {
  if (!detached) role_ = Role::kOwner;
  loop_.call([&] { vm_->set_detached(detached); });
  return {};
}

rpc::Reply<virtualizationservice::VirtualMachineStatistics> VmObject::getStatistics() {
  auto statistics = loop_.await<Outcome<VmStatistics>>([&](auto done) { vm_->statistics(done); });
  if (!statistics) return refuse(statistics.error());
  return to_aidl(*statistics);
}

rpc::Reply<UniqueFd> VmObject::dumpMemory() {
  return reply(loop_.await<Outcome<UniqueFd>>(
      [&](auto done) { vm_->dump([done](Outcome<UniqueFd> outcome) { done(std::move(outcome)); }); }));
}

rpc::Reply<> VmObject::attachDebugger(const UniqueFd& listener, bool hold) {
  auto copy = std::make_shared<UniqueFd>(::fcntl(listener.get(), F_DUPFD_CLOEXEC, 3));
  if (!copy->valid()) return rpc::fail(rpc::Exception::kIllegalArgument, "a listening socket is needed");
  return reply(loop_.await<Outcome<>>([&](auto done) { vm_->attach_debugger(std::move(*copy), hold, done); }));
}

}  // namespace adyton::service
