#include "sdk/testing/fake_service.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>

#include "service/interface.h"

namespace adyton::sdk::testing {
namespace {

using State = aidl::VirtualMachineState;
using virtualizationcommon::DeathReason;

std::pair<UniqueFd, UniqueFd> stream_pair() {
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) std::abort();
  return {UniqueFd(ends[0]), UniqueFd(ends[1])};
}

std::unexpected<rpc::Status> illegal_state(const std::string& message) {
  return rpc::fail(rpc::Exception::kIllegalState, message);
}
std::unexpected<rpc::Status> not_found(const std::string& name) {
  return std::unexpected(
      rpc::Status::from_service_specific(aidl::IVirtualizationService::ERROR_NOT_FOUND, "there is no " + name));
}

}  // namespace

// ---- the VM --------------------------------------------------------------------------------------------------------------

FakeVm::FakeVm(int32_t cid, std::string name, const aidl::VirtualMachineConfig& config) : cid_(cid), name_(std::move(name)) {
  using Tag = aidl::VirtualMachineConfig::Tag;
  app = config.tag() == Tag::appConfig;
  const aidl::VirtualMachineRawConfig& raw = app ? config.get<Tag::appConfig>().machine : config.get<Tag::rawConfig>();
  if (app) {
    payload = config.get<Tag::appConfig>().payload;
    boot_timeout = config.get<Tag::appConfig>().bootTimeoutMillis;
  }
  detached = raw.detached;
  persistent = raw.persistent;
  has_kernel = raw.kernel && raw.kernel->valid();
  cpus = raw.cpuCount;
  memory = raw.memoryBytes;
  params = raw.params.value_or("");
  instance_id = raw.instanceId;
  for (const auto& disk : raw.disks) disks.push_back(disk.serial + (disk.writable ? ",rw" : ",ro"));
}

void FakeVm::tell(State state, const Callback& what) {
  std::vector<std::shared_ptr<aidl::IVirtualMachineCallback>> callbacks;
  {
    const std::lock_guard lock(mutex_);
    if (state_ == State::DEAD) return;
    state_ = state;
    callbacks = callbacks_;
  }
  for (const auto& callback : callbacks) what(*callback);
}

void FakeVm::say_ready() {
  tell(State::READY, [this](auto& callback) { (void)callback.onPayloadReady(cid_); });
}
void FakeVm::say_error(const std::string& message) {
  tell(State::STARTED,
       [&](auto& callback) { (void)callback.onError(cid_, virtualizationcommon::ErrorCode::PAYLOAD_CHANGED, message); });
}
void FakeVm::finish_payload(int exit_code) {
  {
    const std::lock_guard lock(mutex_);
    exit_code_ = exit_code;
  }
  tell(State::FINISHED, [&](auto& callback) { (void)callback.onPayloadFinished(cid_, exit_code); });
}
void FakeVm::die(DeathReason reason, const std::string& message) {
  {
    const std::lock_guard lock(mutex_);
    if (state_ != State::DEAD) {
      reason_ = reason;
      message_ = message;
    }
  }
  tell(State::DEAD, [&](auto& callback) { (void)callback.onDied(cid_, reason, message); });
  const std::lock_guard lock(mutex_);
  consoles_.clear();
}

UniqueFd FakeVm::connect_from_guest(uint32_t port) {
  std::shared_ptr<aidl::IVsockListener> listener;
  {
    const std::lock_guard lock(mutex_);
    listener = listeners_[port];
  }
  if (!listener) return {};
  auto [ours, theirs] = stream_pair();
  (void)listener->onVsockConnection(static_cast<int32_t>(port), theirs);
  return std::move(ours);
}
UniqueFd FakeVm::take_guest_end() {
  const std::lock_guard lock(mutex_);
  if (guest_ends_.empty()) return {};
  UniqueFd end = std::move(guest_ends_.back());
  guest_ends_.pop_back();
  return end;
}
UniqueFd FakeVm::take_console() {
  const std::lock_guard lock(mutex_);
  if (consoles_.empty()) return {};
  UniqueFd end = std::move(consoles_.back());
  consoles_.pop_back();
  return end;
}
bool FakeVm::alive() const {
  const std::lock_guard lock(mutex_);
  return state_ != State::DEAD;
}

rpc::Reply<State> FakeVm::getState() {
  const std::lock_guard lock(mutex_);
  return state_;
}
rpc::Reply<aidl::VirtualMachineInfo> FakeVm::getInfo() {
  const std::lock_guard lock(mutex_);
  aidl::VirtualMachineInfo info;
  info.cid = cid_;
  info.name = name_;
  info.state = state_;
  info.backend = "fake";
  info.app = app;
  info.suspended = suspended;
  info.detached = detached;
  info.persistent = persistent;
  info.cpuCount = cpus;
  info.memoryBytes = memory;
  info.payloadExitCode = exit_code_;
  info.deathReason = reason_;
  info.deathMessage = message_;
  return info;
}
rpc::Reply<aidl::VirtualMachineStatistics> FakeVm::getStatistics() {
  if (!alive()) return rpc::fail(rpc::Exception::kIllegalState, "it does not run");
  aidl::VirtualMachineStatistics statistics;
  statistics.threads.emplace_back().name = "vcpu0";
  statistics.threads.back().cpuTimeMillis = 12;
  auto& counts = statistics.vcpus.emplace_back().counts;
  for (const char* name : {"exits.mmio", "exits.wfi", "interrupts"}) {
    counts.emplace_back().name = name;
    counts.back().value = 5;
  }
  statistics.vsock.bytesFromGuest = 100;
  statistics.devices.emplace_back().name = "virtio-rng";
  statistics.devices.back().queues.emplace_back().kicks = 3;
  return statistics;
}
rpc::Reply<> FakeVm::registerCallback(const std::shared_ptr<aidl::IVirtualMachineCallback>& callback) {
  const std::lock_guard lock(mutex_);
  callbacks_.push_back(callback);
  return {};
}
rpc::Reply<> FakeVm::unregisterCallback(const std::shared_ptr<aidl::IVirtualMachineCallback>& callback) {
  const std::lock_guard lock(mutex_);
  std::erase_if(callbacks_, [&](const auto& other) { return other->as_binder() == callback->as_binder(); });
  return {};
}
rpc::Reply<> FakeVm::start() {
  if (!start_error.empty()) {
    die(DeathReason::START_FAILED, start_error);
    return rpc::fail(rpc::Exception::kIllegalArgument, start_error);
  }
  tell(State::STARTED, [this](auto& callback) { (void)callback.onPayloadStarted(cid_); });
  return {};
}
rpc::Reply<> FakeVm::stop() {
  die(DeathReason::KILLED, "it was stopped");
  return {};
}
rpc::Reply<> FakeVm::kill() {
  die(DeathReason::KILLED, "it was killed");
  return {};
}
rpc::Reply<UniqueFd> FakeVm::connectVsock(int32_t port) {
  if (port == 4711) return std::unexpected(rpc::Status::from_service_specific(5, "nobody listens on port 4711"));
  auto [ours, theirs] = stream_pair();
  const std::lock_guard lock(mutex_);
  guest_ends_.push_back(std::move(ours));
  return std::move(theirs);
}
rpc::Reply<UniqueFd> FakeVm::captureVsock(const UniqueFd& ring, const aidl::VsockCaptureFilter& filter) {
  auto [ours, theirs] = stream_pair();
  const std::lock_guard lock(mutex_);
  captures_.push_back({.ring = UniqueFd(::dup(ring.get())), .wake = std::move(ours), .filter = filter});
  return std::move(theirs);
}
rpc::Reply<UniqueFd> FakeVm::trace(const UniqueFd& rings, int32_t ringCount, int32_t categories) {
  if (ringCount != 3 || categories != 5) return std::unexpected(rpc::Status::from_service_specific(5, "not what was asked for"));
  return UniqueFd(::dup(rings.get()));
}
rpc::Reply<aidl::TraceSources> FakeVm::getTraceSources() {
  aidl::TraceSources sources;
  sources.vcpuCount = 2;
  sources.devices = {"virtio-rng"};
  return sources;
}
rpc::Reply<std::vector<aidl::BootPhase>> FakeVm::getBootPhases() {
  aidl::BootPhase phase;
  phase.name = "spawn";
  phase.beginNs = 1;
  phase.endNs = 3;
  return std::vector<aidl::BootPhase>{phase};
}
std::optional<FakeVm::Capture> FakeVm::take_capture() {
  const std::lock_guard lock(mutex_);
  if (captures_.empty()) return std::nullopt;
  Capture capture = std::move(captures_.back());
  captures_.pop_back();
  return capture;
}
rpc::Reply<> FakeVm::listenVsock(int32_t port, const std::shared_ptr<aidl::IVsockListener>& listener) {
  const std::lock_guard lock(mutex_);
  listeners_[static_cast<uint32_t>(port)] = listener;
  return {};
}
rpc::Reply<UniqueFd> FakeVm::openConsole(bool) {
  auto [ours, theirs] = stream_pair();
  const std::lock_guard lock(mutex_);
  consoles_.push_back(std::move(ours));
  return std::move(theirs);
}
rpc::Reply<> FakeVm::signalPayload(int32_t signal) {
  const std::lock_guard lock(mutex_);
  signals.push_back(signal);
  return {};
}
rpc::Reply<> FakeVm::setTerminalSize(int32_t rows, int32_t columns) {
  const std::lock_guard lock(mutex_);
  sizes.emplace_back(rows, columns);
  return {};
}
rpc::Reply<> FakeVm::attachDebugger(const UniqueFd& listener, bool hold) {
  const std::lock_guard lock(mutex_);
  if (!listener.valid()) return rpc::fail(rpc::Exception::kIllegalArgument, "a listening socket is needed");
  debuggers.push_back(hold);
  return {};
}
rpc::Reply<> FakeVm::setDetached(bool value) {
  const std::lock_guard lock(mutex_);
  detached = value;
  return {};
}

// ---- the service ---------------------------------------------------------------------------------------------------------

std::shared_ptr<FakeVm> FakeService::last_vm() {
  const std::lock_guard lock(mutex_);
  return vms_.empty() ? nullptr : vms_.back();
}
void FakeService::fail_next_start(const std::string& message) {
  const std::lock_guard lock(mutex_);
  next_start_error_ = message;
}

std::shared_ptr<FakeVm> FakeService::live(const std::string& name) {
  for (const auto& vm : vms_) {
    if (vm->alive() && *vm->getName() == name) return vm;
  }
  return nullptr;
}
aidl::VirtualMachineRecord FakeService::record(const std::string& name) {
  aidl::VirtualMachineRecord made;
  made.name = name;
  made.config = records_.at(name);
  made.running = live(name) != nullptr;
  return made;
}

rpc::Reply<std::shared_ptr<aidl::IVirtualMachine>> FakeService::createVm(const aidl::VirtualMachineConfig& config,
                                                                         const std::optional<UniqueFd>&,
                                                                         const std::optional<UniqueFd>&,
                                                                         const std::optional<UniqueFd>& log) {
  using Tag = aidl::VirtualMachineConfig::Tag;
  const auto& raw = config.tag() == Tag::appConfig ? config.get<Tag::appConfig>().machine : config.get<Tag::rawConfig>();
  const std::lock_guard lock(mutex_);
  const int32_t cid = next_cid_++;
  const std::string name = raw.name.empty() ? "vm-" + std::to_string(cid) : raw.name;
  if (live(name)) return illegal_state(name + " runs already");
  auto vm = std::make_shared<FakeVm>(cid, name, config);
  vm->start_error = std::exchange(next_start_error_, "");
  if (log) (void)!::write(log->get(), "log\n", 4);
  vms_.push_back(vm);
  return vm;
}
rpc::Reply<std::shared_ptr<aidl::IVirtualMachine>> FakeService::getVm(const std::string& name) {
  const std::lock_guard lock(mutex_);
  return live(name);
}
rpc::Reply<std::vector<aidl::VirtualMachineDebugInfo>> FakeService::debugListVms() {
  const std::lock_guard lock(mutex_);
  std::vector<aidl::VirtualMachineDebugInfo> infos;
  for (const auto& vm : vms_) {
    if (!vm->alive()) continue;
    auto& info = infos.emplace_back();
    info.cid = *vm->getCid();
    info.name = *vm->getName();
  }
  return infos;
}
rpc::Reply<aidl::ResourceUsage> FakeService::getResourceUsage() {
  aidl::ResourceUsage usage;
  usage.maxVms = 64;
  return usage;
}
rpc::Reply<aidl::ServiceStatistics> FakeService::getStatistics() {
  aidl::ServiceStatistics statistics;
  statistics.version = "fake";
  const std::lock_guard lock(mutex_);
  statistics.vms = static_cast<int32_t>(vms_.size());
  return statistics;
}
rpc::Reply<aidl::VirtualMachineRecord> FakeService::createRecord(const std::string& name,
                                                                 const aidl::VirtualMachineRecordConfig& config) {
  const std::lock_guard lock(mutex_);
  if (name.empty() || name.find('/') != std::string::npos || name[0] == '.') {
    return rpc::fail(rpc::Exception::kIllegalArgument, "'" + name + "' is no name");
  }
  if (records_.contains(name)) return illegal_state(name + " exists");
  records_.emplace(name, config);
  return record(name);
}
rpc::Reply<std::optional<aidl::VirtualMachineRecord>> FakeService::getRecord(const std::string& name) {
  const std::lock_guard lock(mutex_);
  if (!records_.contains(name)) return std::nullopt;
  return record(name);
}
rpc::Reply<aidl::VirtualMachineRecord> FakeService::getOrCreateRecord(const std::string& name,
                                                                      const aidl::VirtualMachineRecordConfig& config) {
  const std::lock_guard lock(mutex_);
  records_.emplace(name, config);
  return record(name);
}
rpc::Reply<std::vector<std::string>> FakeService::listRecords() {
  const std::lock_guard lock(mutex_);
  std::vector<std::string> names;
  for (const auto& [name, config] : records_) names.push_back(name);
  return names;
}
rpc::Reply<aidl::VirtualMachineRecordConfig> FakeService::setRecordConfig(const std::string& name,
                                                                          const aidl::VirtualMachineRecordConfig& config) {
  const std::lock_guard lock(mutex_);
  if (!records_.contains(name)) return not_found(name);
  if (live(name)) return illegal_state(name + " runs");
  return std::exchange(records_.at(name), config);
}
rpc::Reply<> FakeService::deleteRecord(const std::string& name) {
  const std::lock_guard lock(mutex_);
  if (live(name)) return illegal_state(name + " runs");
  if (records_.erase(name) == 0) return not_found(name);
  return {};
}
rpc::Reply<aidl::VirtualMachineDescriptor> FakeService::exportRecord(const std::string& name) {
  const std::lock_guard lock(mutex_);
  if (!records_.contains(name)) return not_found(name);
  aidl::VirtualMachineDescriptor descriptor;
  descriptor.config.reset(::memfd_create("config", MFD_CLOEXEC));
  const std::string& text = records_.at(name).config;
  if (::write(descriptor.config.get(), text.data(), text.size()) < 0) std::abort();
  descriptor.instanceId.reset(::memfd_create("instance_id", MFD_CLOEXEC));
  return descriptor;
}
rpc::Reply<aidl::VirtualMachineRecord> FakeService::importRecord(const std::string& name,
                                                                 const aidl::VirtualMachineDescriptor& descriptor) {
  std::string text(1 << 16, '\0');
  const ssize_t got = ::pread(descriptor.config.get(), text.data(), text.size(), 0);
  text.resize(got > 0 ? static_cast<size_t>(got) : 0);
  aidl::VirtualMachineRecordConfig config;
  config.config = text;
  return createRecord(name, config);
}

// ---- the socket ----------------------------------------------------------------------------------------------------------

ServedFake::ServedFake() : server_({.max_threads = 4, .allow_fds = true, .max_body_size = service::kMaxRpcBody}) {
  std::string name = (std::filesystem::temp_directory_path() / "adyton-sdk.XXXXXX").string();
  if (::mkdtemp(name.data()) == nullptr) std::abort();
  directory_ = name;
  server_.set_root(service_);
  auto socket = rpc::listen_on(rpc::UnixAddress{directory_ + "/adytond.sock"});
  if (!socket || !server_.serve(std::move(*socket))) std::abort();
}

ServedFake::~ServedFake() {
  server_.shutdown();
  std::error_code ignored;
  std::filesystem::remove_all(directory_, ignored);
}

}  // namespace adyton::sdk::testing
