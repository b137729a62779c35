// A program's connection to the service, shared by all that came through it.
#pragma once
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "adyton/virtual_machine.h"
#include "adyton/virtual_machine_manager.h"
#include "adyton/virtualizationservice/IVirtualizationService.h"
#include "base/result.h"
#include "rpc/session.h"
#include "sdk/callback_thread.h"

namespace adyton::sdk {

class Connection {
 public:
  static Result<std::shared_ptr<Connection>> open(const ManagerOptions& options);
  // Over a session that exists.
  static Result<std::shared_ptr<Connection>> over(std::shared_ptr<rpc::Session> session);

  Connection(std::shared_ptr<rpc::Session> session, std::shared_ptr<virtualizationservice::IVirtualizationService> service)
      : session_(std::move(session)), service_(std::move(service)) {}

  [[nodiscard]] virtualizationservice::IVirtualizationService& service() { return *service_; }
  [[nodiscard]] CallbackThread& callbacks() { return callbacks_; }

  // The objects of VMs with a name, so that one VM is one object.
  std::shared_ptr<VirtualMachine> known(const std::string& name);
  // Returns `vm`, or the one that another thread was faster with.
  std::shared_ptr<VirtualMachine> remember(const std::string& name, std::shared_ptr<VirtualMachine> vm);
  void forget(const std::string& name);

 private:
  const std::shared_ptr<rpc::Session> session_;
  const std::shared_ptr<virtualizationservice::IVirtualizationService> service_;
  std::mutex mutex_;
  std::map<std::string, std::weak_ptr<VirtualMachine>> known_;  // guarded by mutex_
  CallbackThread callbacks_;
};

}  // namespace adyton::sdk
