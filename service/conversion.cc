#include "service/conversion.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sched.h>
#include <sys/stat.h>

#include <algorithm>

#include "adyton/virtualizationcommon/DeathReason.h"
#include "adyton/virtualizationcommon/ErrorCode.h"
#include "service/vm.h"

namespace adyton::service {
namespace {

namespace aidl = virtualizationservice;
using virtualizationcommon::ErrorCode;

template <typename To, typename From>
constexpr bool same(To to, From from) {
  return static_cast<int32_t>(to) == static_cast<int32_t>(from);
}
using AidlReason = virtualizationcommon::DeathReason;
static_assert(same(AidlReason::INFRASTRUCTURE_ERROR, DeathReason::kInfrastructureError));
static_assert(same(AidlReason::KILLED, DeathReason::kKilled));
static_assert(same(AidlReason::UNKNOWN, DeathReason::kUnknown));
static_assert(same(AidlReason::SHUTDOWN, DeathReason::kShutdown));
static_assert(same(AidlReason::START_FAILED, DeathReason::kStartFailed));
static_assert(same(AidlReason::REBOOT, DeathReason::kReboot));
static_assert(same(AidlReason::CRASH, DeathReason::kCrash));
static_assert(same(AidlReason::MICRODROID_FAILED_TO_CONNECT_TO_VIRTUALIZATION_SERVICE, DeathReason::kFailedToConnect));
static_assert(same(AidlReason::MICRODROID_PAYLOAD_HAS_CHANGED, DeathReason::kPayloadHasChanged));
static_assert(same(AidlReason::MICRODROID_PAYLOAD_VERIFICATION_FAILED, DeathReason::kPayloadVerificationFailed));
static_assert(same(AidlReason::MICRODROID_INVALID_PAYLOAD_CONFIG, DeathReason::kInvalidPayloadConfig));
static_assert(same(AidlReason::MICRODROID_UNKNOWN_RUNTIME_ERROR, DeathReason::kUnknownRuntimeError));
static_assert(same(AidlReason::HANGUP, DeathReason::kHangup));
static_assert(same(AidlReason::WATCHDOG_REBOOT, DeathReason::kWatchdogReboot));
static_assert(same(aidl::VirtualMachineState::NOT_STARTED, VmState::kNotStarted));
static_assert(same(aidl::VirtualMachineState::STARTING, VmState::kStarting));
static_assert(same(aidl::VirtualMachineState::STARTED, VmState::kStarted));
static_assert(same(aidl::VirtualMachineState::READY, VmState::kReady));
static_assert(same(aidl::VirtualMachineState::FINISHED, VmState::kFinished));
static_assert(same(aidl::VirtualMachineState::DEAD, VmState::kDead));
static_assert(same(ErrorCode::UNKNOWN, GuestError::kUnknown));
static_assert(same(ErrorCode::PAYLOAD_VERIFICATION_FAILED, GuestError::kPayloadVerificationFailed));
static_assert(same(ErrorCode::PAYLOAD_CHANGED, GuestError::kPayloadChanged));
static_assert(same(ErrorCode::PAYLOAD_INVALID_CONFIG, GuestError::kPayloadInvalidConfig));
static_assert(same(aidl::IsolationLevel::NONE, IsolationLevel::kNone));
static_assert(same(aidl::IsolationLevel::PROCESS, IsolationLevel::kProcess));
static_assert(same(aidl::IsolationLevel::HYPERVISOR, IsolationLevel::kHypervisor));

constexpr uint64_t kDefaultMemory = uint64_t{256} << 20;

std::unexpected<Failure> bad(std::string message) {
  return std::unexpected(Failure({adyton::ErrorCode::kInvalidArgument, std::move(message)}));
}

uint32_t usable_cpus() {
  cpu_set_t set;
  if (::sched_getaffinity(0, sizeof(set), &set) != 0) return 1;
  return static_cast<uint32_t>(CPU_COUNT(&set));
}

// A file that the VMM can map or read at any place: nothing that blocks.
Result<size_t> add_file(VmSpec& spec, const UniqueFd& fd, const char* what) {
  struct stat status {};
  if (fd.valid() && ::fstat(fd.get(), &status) == 0 && !S_ISREG(status.st_mode) && !S_ISBLK(status.st_mode))
    return fail(adyton::ErrorCode::kInvalidArgument, fmt::format("the {} is not a file", what));
  spec.fds.push_back(TRY(duplicate(fd, what)));
  return spec.fds.size() - 1;
}

Outcome<> take_machine(VmSpec& spec, const aidl::VirtualMachineRawConfig& config) {
  spec.name = config.name;
  spec.instance_id = config.instanceId;
  spec.detached = config.detached;
  spec.persistent = config.persistent;
  auto& machine = spec.machine;
  if (config.kernel) machine.kernel = TRY(add_file(spec, *config.kernel, "kernel"));
  if (config.bootloader) machine.firmware = TRY(add_file(spec, *config.bootloader, "bootloader"));
  if (config.initrd) machine.initrd = TRY(add_file(spec, *config.initrd, "initrd"));
  if (config.disks.size() > vmm::control::kMaxDisks)
    return bad(fmt::format("a VM has at most {} disks", vmm::control::kMaxDisks));
  for (const aidl::DiskImage& disk : config.disks) {
    const size_t fd = TRY(add_file(spec, disk.image, "disk"));
    machine.disks.push_back({.fd = fd, .read_only = !disk.writable, .serial = disk.serial});
  }
  machine.command_line = config.params.value_or("");
  if (config.memoryBytes < 0 || config.cpuCount < 0) return bad("a VM's memory and CPUs are not negative");
  machine.memory = config.memoryBytes == 0 ? kDefaultMemory : static_cast<uint64_t>(config.memoryBytes);
  machine.cpus =
      config.cpuCount == 0 ? std::min<uint32_t>(usable_cpus(), vmm::control::kMaxCpus) : static_cast<uint32_t>(config.cpuCount);
  machine.virtio_console = config.virtioConsole;
  machine.watchdog_seconds = static_cast<uint32_t>(config.watchdogSeconds);  // a negative one is too large
  spec.vsock_path = config.vsockSocket;
  switch (config.isolation) {
    case aidl::IsolationLevel::NONE:
    case aidl::IsolationLevel::PROCESS:
    case aidl::IsolationLevel::HYPERVISOR: spec.isolation = static_cast<IsolationLevel>(config.isolation); break;
    default: return bad(fmt::format("there is no isolation level {}", static_cast<int32_t>(config.isolation)));
  }
  return {};
}

Outcome<> take_payload(VmSpec& spec, const aidl::VirtualMachineAppConfig& config) {
  const aidl::VirtualMachinePayloadConfig& payload = config.payload;
  if (payload.program.empty()) return bad("a payload needs a program");
  if (payload.uid < 0 || payload.gid < 0) return bad("a payload's user and group are not negative");
  if (payload.rows < 0 || payload.rows > UINT16_MAX || payload.columns < 0 || payload.columns > UINT16_MAX)
    return bad("a terminal has 0 to 65535 rows and columns");
  if (config.bootTimeoutMillis < 0) return bad("the time to boot is not negative");
  auto& request = spec.payload.emplace();
  request.program = payload.program;
  request.argv = payload.argv;
  request.env = payload.env;
  request.workdir = payload.workdir;
  request.hostname = payload.hostname;
  request.uid = static_cast<uint32_t>(payload.uid);
  request.gid = static_cast<uint32_t>(payload.gid);
  request.terminal = payload.terminal;
  request.rows = static_cast<uint16_t>(payload.rows);
  request.columns = static_cast<uint16_t>(payload.columns);
  request.root = payload.rootSerial.empty() ? guest::RootMode::kInitramfs : guest::RootMode::kDisk;
  request.root_serial = payload.rootSerial;
  for (const aidl::PayloadMount& mount : payload.mounts)
    request.mounts.push_back({.serial = mount.serial, .target = mount.target, .read_only = mount.readOnly});
  spec.set_clock = payload.setClock;
  spec.debuggable = config.debugLevel == aidl::DebugLevel::FULL;
  spec.boot_timeout = std::chrono::milliseconds(config.bootTimeoutMillis);
  return {};
}

}  // namespace

rpc::Status status_of(const Failure& failure) {
  if (failure.problem != Problem::kNone) return rpc::Status::from_exception(rpc::Exception::kIllegalState, failure.error.message);
  return rpc::Status::from_error(failure.error);
}

Result<UniqueFd> duplicate(const UniqueFd& fd, const char* what) {
  if (!fd.valid()) return fail(adyton::ErrorCode::kInvalidArgument, fmt::format("the {} lacks its descriptor", what));
  UniqueFd copy(::fcntl(fd.get(), F_DUPFD_CLOEXEC, 3));
  if (!copy.valid()) return fail_errno(fmt::format("cannot use the {}", what));
  return copy;
}

Outcome<VmSpec> spec_from(const aidl::VirtualMachineConfig& config) {
  VmSpec spec;
  if (const auto* app = config.get_if<aidl::VirtualMachineConfig::Tag::appConfig>()) {
    TRY(take_machine(spec, app->machine));
    TRY(take_payload(spec, *app));
  } else {
    TRY(take_machine(spec, config.get<aidl::VirtualMachineConfig::Tag::rawConfig>()));
  }
  return spec;
}

aidl::VirtualMachineCrashReport to_aidl(const observe::KeptReport& report) {
  aidl::VirtualMachineCrashReport out;
  out.vm = report.vm;
  out.kind = static_cast<aidl::CrashKind>(report.kind);
  out.cause = report.cause;
  out.timeMillis = std::chrono::duration_cast<std::chrono::milliseconds>(report.time.time_since_epoch()).count();
  out.path = report.path;
  return out;
}

aidl::VirtualMachineInfo to_aidl(const VmInfo& info) {
  aidl::VirtualMachineInfo out;
  out.cid = static_cast<int32_t>(info.cid);
  out.name = info.name;
  out.state = static_cast<aidl::VirtualMachineState>(info.state);
  out.isolation = static_cast<aidl::IsolationLevel>(info.isolation);
  out.backend = info.backend;
  out.suspended = info.suspended;
  out.detached = info.detached;
  out.persistent = info.persistent;
  out.app = info.app;
  out.cpuCount = saturated<int32_t>(info.cpus);
  out.memoryBytes = saturated<int64_t>(info.memory);
  out.pid = info.pid;
  out.requesterUid = static_cast<int32_t>(info.requester.uid);
  out.requesterPid = info.requester.pid;
  out.uptimeMillis = info.uptime.count();
  out.cpuTimeMillis = info.cpu_time.count();
  out.residentBytes = saturated<int64_t>(info.resident);
  out.peakResidentBytes = saturated<int64_t>(info.peak_resident);
  out.payloadExitCode = info.payload_exit_code;
  out.deathReason = static_cast<AidlReason>(info.death.reason);
  out.deathMessage = info.death.message;
  out.vsockSocket = info.vsock_path;
  if (info.crash_report) out.crashReport = to_aidl(*info.crash_report);
  return out;
}

aidl::VirtualMachineDebugInfo to_debug_info(const VmInfo& info) {
  aidl::VirtualMachineDebugInfo out;
  out.cid = static_cast<int32_t>(info.cid);
  out.name = info.name;
  out.requesterUid = static_cast<int32_t>(info.requester.uid);
  out.requesterPid = info.requester.pid;
  out.state = static_cast<aidl::VirtualMachineState>(info.state);
  out.isolation = static_cast<aidl::IsolationLevel>(info.isolation);
  out.cpuCount = saturated<int32_t>(info.cpus);
  out.memoryBytes = saturated<int64_t>(info.memory);
  out.suspended = info.suspended;
  out.detached = info.detached;
  out.pid = info.pid;
  out.uptimeMillis = info.uptime.count();
  return out;
}

aidl::HostPressure to_aidl(const Pressure& pressure) {
  aidl::HostPressure out;
  out.resource = pressure.resource;
  out.kind = pressure.kind;
  out.share = pressure.share_10s / 100;
  out.stalledMicros = pressure.stalled.count();
  return out;
}

aidl::CallStatistics to_aidl(const std::string& vm, const MethodCalls& calls) {
  aidl::CallStatistics out;
  out.vm = vm;
  out.descriptor = calls.interface;
  out.method = calls.method;
  out.counts.assign(calls.counts.begin(), calls.counts.end());
  out.totalNanos = calls.time.count();
  out.failures = static_cast<int64_t>(calls.failures);
  return out;
}

aidl::VirtualMachineStatistics to_aidl(const VmStatistics& statistics) {
  const auto named = [](const std::vector<std::string>& names, const std::vector<uint64_t>& values) {
    std::vector<aidl::NamedCount> counts(names.size());
    for (size_t i = 0; i < names.size(); ++i) {
      counts[i].name = names[i];
      counts[i].value = static_cast<int64_t>(values[i]);
    }
    return counts;
  };
  aidl::VirtualMachineStatistics out;
  for (const ThreadUsage& thread : statistics.threads) {
    aidl::ThreadUsage& usage = out.threads.emplace_back();
    usage.name = thread.name;
    usage.cpuTimeMillis = thread.cpu_time.count();
  }
  const vmm::control::Statistics& counts = statistics.counts;
  out.counts = named(counts.vm_names, counts.vm);
  for (const auto& values : counts.vcpus) out.vcpus.emplace_back().counts = named(counts.vcpu_names, values);
  for (const auto& device : counts.devices) {
    aidl::DeviceStatistics& shown = out.devices.emplace_back();
    shown.name = device.name;
    shown.interrupts = static_cast<int64_t>(device.interrupts);
    for (const auto& queue : device.queues) {
      aidl::QueueStatistics& carried = shown.queues.emplace_back();
      carried.kicks = static_cast<int64_t>(queue.kicks);
      carried.chains = static_cast<int64_t>(queue.chains);
      carried.bytesFromGuest = static_cast<int64_t>(queue.bytes_from_guest);
      carried.bytesToGuest = static_cast<int64_t>(queue.bytes_to_guest);
    }
  }
  out.vsock.connections = static_cast<int64_t>(counts.vsock.connections);
  out.vsock.opened = static_cast<int64_t>(counts.vsock.opened);
  out.vsock.refused = static_cast<int64_t>(counts.vsock.refused);
  out.vsock.bytesFromGuest = static_cast<int64_t>(counts.vsock.payload_from_guest);
  out.vsock.bytesToGuest = static_cast<int64_t>(counts.vsock.payload_to_guest);
  const vmm::control::BalloonStatistics& balloon = counts.balloon;
  out.balloon.target = static_cast<int64_t>(balloon.target);
  out.balloon.actual = static_cast<int64_t>(balloon.actual);
  out.balloon.returned = static_cast<int64_t>(balloon.returned);
  const auto told = [](const std::optional<uint64_t>& value) { return value ? static_cast<int64_t>(*value) : int64_t{-1}; };
  out.balloon.guestFree = told(balloon.guest_free);
  out.balloon.guestAvailable = told(balloon.guest_available);
  out.balloon.guestTotal = told(balloon.guest_total);
  out.balloon.guestCaches = told(balloon.guest_caches);
  return out;
}

aidl::VirtualMachineRecord to_aidl(const Record& record) {
  aidl::VirtualMachineRecord out;
  out.name = record.name;
  out.instanceId = record.instance_id;
  out.config = to_aidl(record.config);
  out.directory = record.directory;
  out.running = record.in_use;
  return out;
}

aidl::VirtualMachineLastRun to_aidl(LastRun run, UniqueFd log) {
  aidl::VirtualMachineLastRun out;
  out.deathReason = static_cast<virtualizationcommon::DeathReason>(run.reason);
  out.deathMessage = std::move(run.message);
  out.payloadExitCode = run.exit_code;
  out.app = run.app;
  out.log = std::move(log);
  return out;
}

aidl::VirtualMachineRecordConfig to_aidl(const RecordConfig& config) {
  aidl::VirtualMachineRecordConfig out;
  out.config = config.config;
  out.isolation = static_cast<aidl::IsolationLevel>(config.isolation);
  out.debugLevel = static_cast<aidl::DebugLevel>(config.debug_level);
  out.encryptedStorageBytes = config.encrypted_storage_bytes;
  out.outputCaptured = config.output_captured;
  out.consoleInputSupported = config.console_input_supported;
  out.payloadBinaryName = config.payload_binary_name;
  out.payloadConfigPath = config.payload_config_path;
  out.packageName = config.package_name;
  out.os = config.os;
  out.extraPayloads = config.extra_payloads;
  return out;
}

RecordConfig from_aidl(const aidl::VirtualMachineRecordConfig& config) {
  RecordConfig out;
  out.config = config.config;
  out.isolation = static_cast<int32_t>(config.isolation);
  out.debug_level = static_cast<int32_t>(config.debugLevel);
  out.encrypted_storage_bytes = config.encryptedStorageBytes;
  out.output_captured = config.outputCaptured;
  out.console_input_supported = config.consoleInputSupported;
  out.payload_binary_name = config.payloadBinaryName;
  out.payload_config_path = config.payloadConfigPath;
  out.package_name = config.packageName;
  out.os = config.os;
  out.extra_payloads = config.extraPayloads;
  return out;
}

}  // namespace adyton::service
