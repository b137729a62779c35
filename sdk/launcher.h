// Reaches the user's virtualization service, and starts it if it does not run.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "adyton/virtual_machine_manager.h"
#include "base/result.h"
#include "rpc/session.h"

namespace adyton::sdk {

// Where the service's socket is, by the rules of IVirtualizationService.aidl; nothing is looked at.
std::string runtime_directory(const ManagerOptions& options);

// What the service is told of this program's environment: where files are and how to behave, nothing that is the program's own.
std::vector<std::string> service_environment(const char* const* environment, const std::string& directory);

// A session with the service. Two programs that find none start one between them.
Result<std::shared_ptr<rpc::Session>> connect_to_service(const ManagerOptions& options);

}  // namespace adyton::sdk
