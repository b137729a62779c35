#include "sdk/conversion.h"

#include <algorithm>

#include "sdk/config_data.h"

namespace adyton::sdk {
namespace {

aidl::IsolationLevel to_aidl(IsolationLevel level) { return static_cast<aidl::IsolationLevel>(level); }
IsolationLevel from_aidl(aidl::IsolationLevel level) { return static_cast<IsolationLevel>(level); }
aidl::DebugLevel to_aidl(DebugLevel level) { return static_cast<aidl::DebugLevel>(level); }

std::optional<UniqueFd> if_valid(UniqueFd fd) {
  if (!fd.valid()) return std::nullopt;
  return fd;
}

aidl::VirtualMachinePayloadConfig to_aidl(guest::ExecRequest request) {
  aidl::VirtualMachinePayloadConfig payload;
  payload.program = std::move(request.program);
  payload.argv = std::move(request.argv);
  payload.env = std::move(request.env);
  payload.workdir = std::move(request.workdir);
  payload.hostname = std::move(request.hostname);
  payload.uid = static_cast<int32_t>(request.uid);
  payload.gid = static_cast<int32_t>(request.gid);
  payload.terminal = request.terminal;
  payload.rows = request.rows;
  payload.columns = request.columns;
  payload.rootSerial = std::move(request.root_serial);
  for (guest::Mount& mount : request.mounts) {
    aidl::PayloadMount& to = payload.mounts.emplace_back();
    to.serial = std::move(mount.serial);
    to.target = std::move(mount.target);
    to.readOnly = mount.read_only;
  }
  return payload;
}

}  // namespace

aidl::VirtualMachineRawConfig to_aidl(PreparedVm vm, const RunParameters& parameters) {
  aidl::VirtualMachineRawConfig raw;
  raw.name = parameters.name;
  raw.instanceId = parameters.instance_id;
  raw.kernel = if_valid(std::move(vm.kernel));
  raw.bootloader = if_valid(std::move(vm.firmware));
  raw.initrd = if_valid(std::move(vm.initrd));
  if (!vm.command_line.empty()) raw.params = std::move(vm.command_line);
  for (PreparedDisk& disk : vm.disks) {
    aidl::DiskImage& to = raw.disks.emplace_back();
    to.image = std::move(disk.image);
    to.writable = disk.writable;
    to.serial = std::move(disk.serial);
  }
  raw.memoryBytes = static_cast<int64_t>(vm.memory_bytes);
  raw.cpuCount = static_cast<int32_t>(vm.cpu_count);
  raw.isolation = to_aidl(vm.isolation);
  raw.virtioConsole = vm.virtio_console;
  raw.watchdogSeconds = static_cast<int32_t>(vm.watchdog_seconds);
  raw.detached = parameters.detached;
  raw.persistent = parameters.persistent;
  raw.vsockSocket = parameters.vsock_socket;
  return raw;
}

aidl::VirtualMachineConfig to_aidl(PreparedVm vm, const VirtualMachineConfig& config, const RunParameters& parameters) {
  using Tag = aidl::VirtualMachineConfig::Tag;
  aidl::VirtualMachineConfig made;
  std::optional<guest::ExecRequest> request = std::move(vm.request);
  aidl::VirtualMachineRawConfig machine = to_aidl(std::move(vm), parameters);
  if (!request) {
    made.set<Tag::rawConfig>(std::move(machine));
    return made;
  }
  aidl::VirtualMachineAppConfig app;
  app.machine = std::move(machine);
  app.payload = to_aidl(std::move(*request));
  app.debugLevel = to_aidl(config.getDebugLevel());
  app.bootTimeoutMillis = static_cast<int32_t>(std::min<uint32_t>(config.getBootTimeoutMillis(), INT32_MAX));
  made.set<Tag::appConfig>(std::move(app));
  return made;
}

aidl::VirtualMachineRecordConfig to_record(const VirtualMachineConfig& config) {
  aidl::VirtualMachineRecordConfig record;
  record.config = config.to_json();
  record.isolation = to_aidl(config.getIsolation());
  record.debugLevel = to_aidl(config.getDebugLevel());
  record.outputCaptured = config.isVmOutputCaptured();
  record.consoleInputSupported = config.isVmConsoleInputSupported();
  record.payloadBinaryName = config.data().payload_name();
  record.os = config.isCustom() ? "custom" : config.getPayload() ? "payload" : "root";
  return record;
}

Result<VirtualMachineConfig> from_record(const aidl::VirtualMachineRecordConfig& record) {
  return VirtualMachineConfig::from_json(record.config);
}

Capabilities from_aidl(const aidl::Capabilities& capabilities) {
  Capabilities made{.service_version = capabilities.version, .bits = capabilities.capabilities, .isolation = {}, .backends = {}};
  for (const auto& level : capabilities.isolation) {
    made.isolation.push_back({.level = from_aidl(level.level), .available = level.available, .reason = level.reason});
  }
  for (const auto& backend : capabilities.backends) {
    made.backends.push_back(
        {.name = backend.name, .available = backend.available, .reason = backend.reason, .host_features = backend.hostFeatures});
  }
  return made;
}

ResourceUsage from_aidl(const aidl::ResourceUsage& usage) {
  return {.vms = usage.vms,
          .max_vms = usage.maxVms,
          .max_vms_per_client = usage.maxVmsPerClient,
          .cpus = usage.cpus,
          .max_cpus = usage.maxCpus,
          .max_cpus_per_client = usage.maxCpusPerClient,
          .memory_bytes = usage.memoryBytes,
          .max_memory_bytes = usage.maxMemoryBytes,
          .max_memory_per_client_bytes = usage.maxMemoryPerClientBytes,
          .resident_bytes = usage.residentBytes,
          .clients = usage.clients};
}

ServiceStatistics from_aidl(const aidl::ServiceStatistics& statistics) {
  ServiceStatistics made{.version = statistics.version,
                         .vms = statistics.vms,
                         .clients = statistics.clients,
                         .resident_bytes = static_cast<uint64_t>(statistics.residentBytes),
                         .call_bounds = {},
                         .calls = {},
                         .host_pressure = {}};
  for (const int64_t bound : statistics.callBoundsNanos) made.call_bounds.emplace_back(bound);
  for (const auto& calls : statistics.calls) {
    made.calls.push_back({.vm = calls.vm,
                          .interface = calls.descriptor,
                          .method = calls.method,
                          .counts = {calls.counts.begin(), calls.counts.end()},
                          .time = std::chrono::nanoseconds(calls.totalNanos),
                          .failures = static_cast<uint64_t>(calls.failures)});
  }
  for (const auto& pressure : statistics.hostPressure) {
    made.host_pressure.push_back({.resource = pressure.resource,
                                  .kind = pressure.kind,
                                  .share = pressure.share,
                                  .stalled = std::chrono::microseconds(pressure.stalledMicros)});
  }
  return made;
}

CrashReport from_aidl(const aidl::VirtualMachineCrashReport& report) {
  return {.vm = report.vm,
          .kind = static_cast<CrashKind>(report.kind),
          .cause = report.cause,
          .time = std::chrono::system_clock::time_point(std::chrono::milliseconds(report.timeMillis)),
          .path = report.path};
}

VirtualMachineInfo from_aidl(const aidl::VirtualMachineInfo& info) {
  VirtualMachineInfo made;
  made.cid = info.cid;
  made.name = info.name;
  made.state = static_cast<VmState>(info.state);
  made.isolation = from_aidl(info.isolation);
  made.backend = info.backend;
  made.suspended = info.suspended;
  made.detached = info.detached;
  made.persistent = info.persistent;
  made.custom = !info.app;
  made.cpu_count = static_cast<uint32_t>(info.cpuCount);
  made.memory_bytes = static_cast<uint64_t>(info.memoryBytes);
  made.pid = info.pid;
  made.requester_uid = info.requesterUid;
  made.requester_pid = info.requesterPid;
  made.uptime = std::chrono::milliseconds(info.uptimeMillis);
  made.cpu_time = std::chrono::milliseconds(info.cpuTimeMillis);
  made.resident_bytes = static_cast<uint64_t>(info.residentBytes);
  made.peak_resident_bytes = static_cast<uint64_t>(info.peakResidentBytes);
  if (info.payloadExitCode >= 0) made.payload_exit_code = info.payloadExitCode;
  made.stop_reason = static_cast<StopReason>(info.deathReason);
  made.stop_message = info.deathMessage;
  made.vsock_socket = info.vsockSocket;
  if (info.crashReport) made.crash_report = from_aidl(*info.crashReport);
  return made;
}

LastRun from_aidl(aidl::VirtualMachineLastRun last) {
  LastRun made;
  made.stop = {.reason = static_cast<StopReason>(last.deathReason), .message = std::move(last.deathMessage)};
  if (last.payloadExitCode >= 0) made.payload_exit_code = last.payloadExitCode;
  made.custom = !last.app;
  made.log = std::move(last.log);
  if (last.crashReport) made.crash_report = from_aidl(*last.crashReport);
  return made;
}

VirtualMachineStatistics from_aidl(const aidl::VirtualMachineStatistics& statistics) {
  const auto named = [](const std::vector<aidl::NamedCount>& counts) {
    std::map<std::string, uint64_t> made;
    for (const auto& count : counts) made[count.name] = static_cast<uint64_t>(count.value);
    return made;
  };
  VirtualMachineStatistics made;
  for (const auto& thread : statistics.threads) made.thread_times[thread.name] += std::chrono::milliseconds(thread.cpuTimeMillis);
  made.counts = named(statistics.counts);
  for (const auto& vcpu : statistics.vcpus) made.vcpus.push_back(named(vcpu.counts));
  for (const auto& device : statistics.devices) {
    auto& shown = made.devices.emplace_back();
    shown.name = device.name;
    shown.interrupts = static_cast<uint64_t>(device.interrupts);
    for (const auto& queue : device.queues) {
      shown.queues.push_back({.kicks = static_cast<uint64_t>(queue.kicks),
                              .chains = static_cast<uint64_t>(queue.chains),
                              .bytes_from_guest = static_cast<uint64_t>(queue.bytesFromGuest),
                              .bytes_to_guest = static_cast<uint64_t>(queue.bytesToGuest)});
    }
  }
  made.vsock = {.connections = static_cast<uint64_t>(statistics.vsock.connections),
                .opened = static_cast<uint64_t>(statistics.vsock.opened),
                .refused = static_cast<uint64_t>(statistics.vsock.refused),
                .bytes_from_guest = static_cast<uint64_t>(statistics.vsock.bytesFromGuest),
                .bytes_to_guest = static_cast<uint64_t>(statistics.vsock.bytesToGuest)};
  const auto told = [](int64_t value) { return value < 0 ? std::nullopt : std::optional(static_cast<uint64_t>(value)); };
  made.balloon = {.target = static_cast<uint64_t>(statistics.balloon.target),
                  .actual = static_cast<uint64_t>(statistics.balloon.actual),
                  .returned = static_cast<uint64_t>(statistics.balloon.returned),
                  .guest_free = told(statistics.balloon.guestFree),
                  .guest_available = told(statistics.balloon.guestAvailable),
                  .guest_total = told(statistics.balloon.guestTotal),
                  .guest_caches = told(statistics.balloon.guestCaches)};
  return made;
}

Error to_error(const rpc::Status& status) {
  if (status.exception() == rpc::Exception::kIllegalState) {
    return {ErrorCode::kUnavailable,
            status.message().empty() ? "the virtual machine's state does not allow it" : status.message()};
  }
  if (status.transport_error() == rpc::TransportError::kDeadObject) {
    return {ErrorCode::kUnavailable, "the virtualization service has ended"};
  }
  return status;
}

}  // namespace adyton::sdk
