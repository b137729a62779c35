#include "adyton/virtual_machine_manager.h"

#include <fmt/format.h>

#include "rpc/utf.h"
#include "sdk/connection.h"
#include "sdk/conversion.h"
#include "sdk/manager_impl.h"
#include "sdk/virtual_machine_impl.h"

namespace adyton {
namespace {

namespace aidl = virtualizationservice;
using sdk::checked;

std::shared_ptr<VirtualMachine> make_vm(const std::shared_ptr<sdk::Connection>& connection, const std::string& name,
                                        bool persistent, std::optional<VirtualMachineConfig> config) {
  return std::make_shared<VirtualMachine>(
      std::make_unique<VirtualMachine::Impl>(connection, name, persistent, std::move(config)));
}

// The service has the other rules; a name that is no text does not even reach it.
Result<void> check_encoding(const std::string& name) {
  if (!rpc::utf16_from_utf8(name))
    return fail(ErrorCode::kInvalidArgument, "the name of a virtual machine is UTF-8, and this one is not");
  return {};
}

// Those that end meanwhile are left out.
template <typename Visit>
Result<void> for_each_running(aidl::IVirtualizationService& service, Visit visit) {
  for (const auto& vm : TRY(checked(service.debugListVms()))) {
    const auto object = service.getVm(vm.name);
    if (!object || !*object) continue;
    if (const auto info = (*object)->getInfo()) visit(**object, *info);
  }
  return {};
}

}  // namespace

std::string Capabilities::whyNot(IsolationLevel level) const {
  for (const IsolationCapability& capability : isolation) {
    if (capability.level != level) continue;
    if (capability.available) return {};
    return capability.reason.empty() ? "the machine cannot give it" : capability.reason;
  }
  return "the virtualization service does not know this level";
}

Result<std::shared_ptr<VirtualMachineManager>> VirtualMachineManager::Impl::make(std::shared_ptr<sdk::Connection> connection) {
  auto impl = std::make_shared<Impl>();
  impl->connection = std::move(connection);
  return std::shared_ptr<VirtualMachineManager>(new VirtualMachineManager(std::move(impl)));
}

Result<std::shared_ptr<VirtualMachineManager>> VirtualMachineManager::connect(const ManagerOptions& options) {
  return Impl::make(TRY(sdk::Connection::open(options)));
}

VirtualMachineManager::~VirtualMachineManager() = default;

Result<std::shared_ptr<VirtualMachine>> VirtualMachineManager::create(const std::string& name,
                                                                      const VirtualMachineConfig& config) {
  TRY(check_encoding(name));
  auto created = impl_->connection->service().createRecord(name, sdk::to_record(config));
  if (!created) {
    Error error = sdk::to_error(created.error());
    // That it exists is the caller's mistake, not a state that will pass.
    if (created.error().exception() == rpc::Exception::kIllegalState) error.code = ErrorCode::kInvalidArgument;
    return std::unexpected(std::move(error));
  }
  impl_->connection->forget(name);  // one of that name has been deleted, by another program
  return impl_->connection->remember(name, make_vm(impl_->connection, name, /*persistent=*/true, config));
}

Result<std::shared_ptr<VirtualMachine>> VirtualMachineManager::get(const std::string& name) {
  auto& connection = impl_->connection;
  if (auto vm = connection->known(name)) {
    // It may have been deleted by another program, and made anew.
    if (TRY(vm->getStatus()) != VmStatus::kDeleted) return vm;
    connection->forget(name);
  }
  const auto record = TRY(checked(connection->service().getRecord(name)));
  auto live = TRY(checked(connection->service().getVm(name)));
  if (!record && !live) return nullptr;
  std::optional<VirtualMachineConfig> config;
  if (record) {
    if (auto parsed = sdk::from_record(record->config)) config = std::move(*parsed);
  }
  auto vm = make_vm(connection, name, record.has_value(), std::move(config));
  if (live) TRY(vm->impl().attach(vm, std::move(live)));
  return record ? connection->remember(name, std::move(vm)) : vm;
}

Result<std::shared_ptr<VirtualMachine>> VirtualMachineManager::getOrCreate(const std::string& name,
                                                                           const VirtualMachineConfig& config) {
  TRY(check_encoding(name));
  TRY(checked(impl_->connection->service().getOrCreateRecord(name, sdk::to_record(config))));
  auto vm = TRY(get(name));
  if (!vm) return fail(ErrorCode::kUnavailable, fmt::format("the virtual machine '{}' was deleted at once", name));
  return vm;
}

Result<std::shared_ptr<VirtualMachine>> VirtualMachineManager::createTemporary(const VirtualMachineConfig& config,
                                                                               const std::string& name) {
  return make_vm(impl_->connection, name, /*persistent=*/false, config);
}

Result<std::shared_ptr<VirtualMachine>> VirtualMachineManager::importFromDescriptor(const std::string& name,
                                                                                    VirtualMachine::Descriptor descriptor) {
  TRY(check_encoding(name));
  aidl::VirtualMachineDescriptor files;
  files.config = std::move(descriptor.config);
  files.instanceId = std::move(descriptor.instance_id);
  if (descriptor.instance_image.valid()) files.instanceImage = std::move(descriptor.instance_image);
  if (descriptor.encrypted_storage.valid()) files.encryptedStorage = std::move(descriptor.encrypted_storage);
  const auto record = TRY(checked(impl_->connection->service().importRecord(name, files)));
  auto config = TRY(sdk::from_record(record.config));
  return impl_->connection->remember(name, make_vm(impl_->connection, name, /*persistent=*/true, std::move(config)));
}

Result<void> VirtualMachineManager::deleteVm(const std::string& name) {
  TRY(checked(impl_->connection->service().deleteRecord(name)));
  if (const auto vm = impl_->connection->known(name)) vm->impl().mark_deleted();
  return {};
}

Result<Capabilities> VirtualMachineManager::capabilities() {
  return sdk::from_aidl(TRY(checked(impl_->connection->service().getCapabilities())));
}

Result<ResourceUsage> VirtualMachineManager::resourceUsage() {
  return sdk::from_aidl(TRY(checked(impl_->connection->service().getResourceUsage())));
}

Result<std::vector<CrashReport>> VirtualMachineManager::listCrashReports(const std::string& name) {
  std::vector<CrashReport> reports;
  for (const auto& report : TRY(checked(impl_->connection->service().listCrashReports(name))))
    reports.push_back(sdk::from_aidl(report));
  return reports;
}

Result<UniqueFd> VirtualMachineManager::openCrashReport(const CrashReport& report) {
  return checked(impl_->connection->service().openCrashReport(report.path));
}

Result<std::vector<VirtualMachineInfo>> VirtualMachineManager::listRunning() {
  std::vector<VirtualMachineInfo> infos;
  TRY(for_each_running(impl_->connection->service(), [&](auto&, const auto& info) { infos.push_back(sdk::from_aidl(info)); }));
  return infos;
}

Result<std::vector<VirtualMachineManager::Activity>> VirtualMachineManager::listActivity() {
  std::vector<Activity> all;
  TRY(for_each_running(impl_->connection->service(), [&](auto& vm, const auto& info) {
    Activity& activity = all.emplace_back(Activity{.info = sdk::from_aidl(info), .statistics = {}});
    if (const auto statistics = vm.getStatistics()) activity.statistics = sdk::from_aidl(*statistics);
  }));
  return all;
}

Result<ServiceStatistics> VirtualMachineManager::serviceStatistics() {
  return sdk::from_aidl(TRY(checked(impl_->connection->service().getStatistics())));
}

Result<std::vector<std::string>> VirtualMachineManager::listRecords() {
  return checked(impl_->connection->service().listRecords());
}

}  // namespace adyton
