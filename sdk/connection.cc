#include "sdk/connection.h"

#include "sdk/conversion.h"
#include "sdk/launcher.h"

namespace adyton::sdk {

Result<std::shared_ptr<Connection>> Connection::open(const ManagerOptions& options) {
  return over(TRY(connect_to_service(options)));
}

Result<std::shared_ptr<Connection>> Connection::over(std::shared_ptr<rpc::Session> session) {
  auto service = aidl::IVirtualizationService::from_binder(TRY(checked(session->root())));
  if (!service) return fail(ErrorCode::kUnavailable, "the virtualization service offers nothing");
  return std::make_shared<Connection>(std::move(session), std::move(service));
}

std::shared_ptr<VirtualMachine> Connection::known(const std::string& name) {
  const std::lock_guard lock(mutex_);
  const auto found = known_.find(name);
  return found == known_.end() ? nullptr : found->second.lock();
}

std::shared_ptr<VirtualMachine> Connection::remember(const std::string& name, std::shared_ptr<VirtualMachine> vm) {
  const std::lock_guard lock(mutex_);
  std::erase_if(known_, [](const auto& entry) { return entry.second.expired(); });
  auto& place = known_[name];
  if (auto existing = place.lock()) return existing;
  place = vm;
  return vm;
}

void Connection::forget(const std::string& name) {
  const std::lock_guard lock(mutex_);
  known_.erase(name);
}

}  // namespace adyton::sdk
