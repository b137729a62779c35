#include "service/service_object.h"

#include <algorithm>

#include "base/log/logger.h"
#include "service/conversion.h"
#include "service/guest_service.h"
#include "service/metrics/collector.h"
#include "service/metrics/host_pressure.h"
#include "service/report_store.h"
#include "service/vm_object.h"

namespace adyton::service {
namespace {

namespace aidl = virtualizationservice;

const log::Logger kLog("service");

Requester requester() {
  const rpc::Caller* caller = rpc::current_caller();
  if (caller == nullptr) return {};
  return {.session = caller->session, .uid = caller->uid, .pid = caller->pid};
}

// Descriptors of the client for the consoles of a VM.
struct Consoles {
  UniqueFd out, in, log;
};

Outcome<> connect(Vm& vm, Consoles consoles) {
  if (consoles.out.valid()) TRY(vm.console().add_output(std::move(consoles.out)));
  if (consoles.in.valid()) TRY(vm.console().add_input(std::move(consoles.in)));
  if (consoles.log.valid()) TRY(vm.log().add_output(std::move(consoles.log)));
  return {};
}

Outcome<Consoles> take(const std::optional<UniqueFd>& out, const std::optional<UniqueFd>& in,
                       const std::optional<UniqueFd>& log) {
  Consoles consoles;
  if (out) consoles.out = TRY(duplicate(*out, "console's output"));
  if (in) consoles.in = TRY(duplicate(*in, "console's input"));
  if (log) consoles.log = TRY(duplicate(*log, "log's output"));
  return consoles;
}

}  // namespace

// ---- VMs -----------------------------------------------------------------------------------------------------------------

rpc::Reply<std::shared_ptr<aidl::IVirtualMachine>> ServiceObject::createVm(const aidl::VirtualMachineConfig& config,
                                                                           const std::optional<UniqueFd>& console_out,
                                                                           const std::optional<UniqueFd>& console_in,
                                                                           const std::optional<UniqueFd>& os_log) {
  auto spec = spec_from(config);
  if (!spec) return refuse(spec.error());
  if (const auto possible = f_.host.check(spec->isolation); !possible) return refuse(possible.error());
  auto consoles = take(console_out, console_in, os_log);
  if (!consoles) return refuse(consoles.error());
  spec->requester = requester();
  const std::string name = spec->name;
  auto vm = f_.loop.call([&]() -> Outcome<std::shared_ptr<Vm>> {
    auto made = TRY(f_.vms.create(std::move(*spec)));
    if (auto connected = connect(*made, std::move(*consoles)); !connected) {
      made->kill({DeathReason::kStartFailed, connected.error().error.message}, [](const Outcome<>&) {});
      return std::unexpected(std::move(connected).error());
    }
    made->on_guest_service(guest_service(f_.loop, f_.queues, f_.janitor, made));
    return made;
  });
  if (!vm) {
    const Requester who = requester();
    kLog.warning(refused_limit_, {{"client", who.pid}, {"vm", name}}, "a VM is refused: {}", vm.error().error.message);
    return refuse(vm.error());
  }
  return std::make_shared<VmObject>(f_.loop, f_.queues, std::move(*vm), VmObject::Role::kOwner);
}

rpc::Reply<std::shared_ptr<aidl::IVirtualMachine>> ServiceObject::getVm(const std::string& name) {
  auto vm = f_.loop.call([&] { return f_.vms.find(name); });
  if (!vm) return nullptr;
  return std::make_shared<VmObject>(f_.loop, f_.queues, std::move(vm), VmObject::Role::kVisitor);
}

rpc::Reply<std::vector<aidl::VirtualMachineDebugInfo>> ServiceObject::debugListVms() {
  std::vector<aidl::VirtualMachineDebugInfo> list;
  f_.loop.call([&] {
    for (const auto& vm : f_.vms.list()) list.push_back(to_debug_info(vm->info()));
  });
  return list;
}

rpc::Reply<aidl::Capabilities> ServiceObject::getCapabilities() {
  auto capabilities = f_.host.capabilities();
  if (!capabilities) return refuse(capabilities.error());
  return std::move(*capabilities);
}

rpc::Reply<aidl::ResourceUsage> ServiceObject::getResourceUsage() {
  const Usage usage = f_.budget->usage();
  const Limits& limits = f_.budget->limits();
  aidl::ResourceUsage out;
  out.vms = saturated<int32_t>(usage.vms);
  out.maxVms = saturated<int32_t>(limits.vms);
  out.maxVmsPerClient = saturated<int32_t>(limits.vms_per_client);
  out.cpus = saturated<int32_t>(usage.cpus);
  out.maxCpus = saturated<int32_t>(limits.cpus);
  out.maxCpusPerClient = saturated<int32_t>(limits.cpus_per_client);
  out.memoryBytes = saturated<int64_t>(usage.memory);
  out.maxMemoryBytes = saturated<int64_t>(limits.memory);
  out.maxMemoryPerClientBytes = saturated<int64_t>(limits.memory_per_client);
  uint64_t resident = 0;
  f_.loop.call([&] {
    for (const auto& vm : f_.vms.list()) resident += vm->info().resident;
  });
  out.residentBytes = saturated<int64_t>(resident);
  out.clients = saturated<int32_t>(f_.client_count());
  return out;
}

rpc::Reply<aidl::ServiceStatistics> ServiceObject::getStatistics() {
  aidl::ServiceStatistics out;
  out.version = f_.version;
  out.clients = static_cast<int32_t>(f_.client_count());
  out.residentBytes = static_cast<int64_t>(own_resident_bytes());
  for (const auto bound : MethodCalls::kUpTo) out.callBoundsNanos.push_back(bound.count());
  for (const Pressure& pressure : host_pressure()) out.hostPressure.push_back(to_aidl(pressure));
  for (const MethodCalls& calls : f_.calls->all()) out.calls.push_back(to_aidl({}, calls));
  f_.loop.call([&] {
    const auto vms = f_.vms.list();
    out.vms = static_cast<int32_t>(vms.size());
    for (const auto& vm : vms) {
      for (const MethodCalls& calls : vm->call_metrics()->all()) out.calls.push_back(to_aidl(vm->name(), calls));
    }
  });
  return out;
}

rpc::Reply<std::array<uint8_t, 64>> ServiceObject::allocateInstanceId() {
  auto id = new_instance_id();
  if (!id) return refuse(id.error());
  return *id;
}

// ---- records -------------------------------------------------------------------------------------------------------------

rpc::Reply<aidl::VirtualMachineRecord> ServiceObject::createRecord(const std::string& name,
                                                                   const aidl::VirtualMachineRecordConfig& config) {
  auto record = f_.records->create(name, from_aidl(config));
  if (!record) return refuse(record.error());
  return to_aidl(*record);
}

rpc::Reply<std::optional<aidl::VirtualMachineRecord>> ServiceObject::getRecord(const std::string& name) {
  auto record = f_.records->get(name);
  if (!record) return refuse(record.error());
  if (!*record) return std::nullopt;
  return to_aidl(**record);
}

rpc::Reply<aidl::VirtualMachineRecord> ServiceObject::getOrCreateRecord(const std::string& name,
                                                                        const aidl::VirtualMachineRecordConfig& config) {
  auto record = f_.records->get_or_create(name, from_aidl(config));
  if (!record) return refuse(record.error());
  return to_aidl(*record);
}

rpc::Reply<std::vector<std::string>> ServiceObject::listRecords() {
  auto names = f_.records->list();
  if (!names) return refuse(names.error());
  return std::move(*names);
}

rpc::Reply<aidl::VirtualMachineRecordConfig> ServiceObject::setRecordConfig(const std::string& name,
                                                                            const aidl::VirtualMachineRecordConfig& config) {
  auto old = f_.records->set_config(name, from_aidl(config));
  if (!old) return refuse(old.error());
  return to_aidl(*old);
}

rpc::Reply<> ServiceObject::deleteRecord(const std::string& name) {
  if (auto removed = f_.records->remove(name); !removed) return refuse(removed.error());
  return {};
}

rpc::Reply<aidl::VirtualMachineDescriptor> ServiceObject::exportRecord(const std::string& name) {
  auto files = f_.records->export_files(name);
  if (!files) return refuse(files.error());
  aidl::VirtualMachineDescriptor out;
  out.config = std::move(files->config);
  out.instanceId = std::move(files->instance_id);
  if (files->instance_image.valid()) out.instanceImage = std::move(files->instance_image);
  if (files->encrypted_storage.valid()) out.encryptedStorage = std::move(files->encrypted_storage);
  return out;
}

rpc::Reply<aidl::VirtualMachineRecord> ServiceObject::importRecord(const std::string& name,
                                                                   const aidl::VirtualMachineDescriptor& descriptor) {
  const auto copy = [&]() -> Outcome<RecordFiles> {
    RecordFiles files;
    files.config = TRY(duplicate(descriptor.config, "configuration"));
    files.instance_id = TRY(duplicate(descriptor.instanceId, "instance id"));
    if (descriptor.instanceImage) files.instance_image = TRY(duplicate(*descriptor.instanceImage, "instance image"));
    if (descriptor.encryptedStorage) files.encrypted_storage = TRY(duplicate(*descriptor.encryptedStorage, "encrypted storage"));
    return files;
  };
  const auto files = copy();
  if (!files) return refuse(files.error());
  auto record = f_.records->import_files(name, *files);
  if (!record) return refuse(record.error());
  return to_aidl(*record);
}

rpc::Reply<std::optional<aidl::VirtualMachineLastRun>> ServiceObject::getLastRun(const std::string& name) {
  auto last = f_.records->last_run(name);
  if (!last) return refuse(last.error());
  if (!*last) return std::nullopt;
  auto& [run, log] = **last;
  const std::string report = "/" + run.crash_report;
  aidl::VirtualMachineLastRun out = to_aidl(std::move(run), std::move(log));
  if (report.size() > 1) {
    const auto kept = ReportStore(f_.records->directory()).list(name);
    if (!kept) return refuse(kept.error());
    const auto found = std::ranges::find_if(*kept, [&](const auto& one) { return one.path.ends_with("/crash" + report); });
    if (found != kept->end()) out.crashReport = to_aidl(*found);
  }
  return out;
}

// ---- crash reports -------------------------------------------------------------------------------------------------------

rpc::Reply<std::vector<aidl::VirtualMachineCrashReport>> ServiceObject::listCrashReports(const std::string& name) {
  const auto reports = ReportStore(f_.records->directory()).list(name.empty() ? std::nullopt : std::optional(name));
  if (!reports) return refuse(reports.error());
  std::vector<aidl::VirtualMachineCrashReport> out;
  for (const auto& report : *reports) out.push_back(to_aidl(report));
  return out;
}

rpc::Reply<UniqueFd> ServiceObject::openCrashReport(const std::string& path) {
  auto file = ReportStore(f_.records->directory()).open(path);
  if (!file) return refuse(file.error());
  return std::move(*file);
}

}  // namespace adyton::service
