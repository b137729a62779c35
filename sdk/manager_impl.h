// What a VirtualMachineManager holds.
#pragma once
#include <memory>

#include "adyton/virtual_machine_manager.h"
#include "sdk/connection.h"

namespace adyton {

class VirtualMachineManager::Impl {
 public:
  static Result<std::shared_ptr<VirtualMachineManager>> make(std::shared_ptr<sdk::Connection> connection);

  std::shared_ptr<sdk::Connection> connection;
};

}  // namespace adyton
