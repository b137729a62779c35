#include "cli/service.h"

#include <fmt/format.h>

namespace adyton::cli {

Result<std::shared_ptr<VirtualMachineManager>> connect_to_service() { return VirtualMachineManager::connect(); }

Result<std::shared_ptr<VirtualMachine>> find_vm(VirtualMachineManager& manager, const std::string& name) {
  auto vm = TRY(manager.get(name));
  if (!vm) return fail(ErrorCode::kNotFound, fmt::format("there is no virtual machine '{}' (see 'adyton list')", name));
  return vm;
}

}  // namespace adyton::cli
