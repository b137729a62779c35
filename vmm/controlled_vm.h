// What the control server starts: a machine with the devices that a configuration asks for.
#pragma once
#include "vmm/control/server.h"

namespace adyton::vmm {

class MachineFactory final : public control::VmFactory {
 public:
  control::Description describe() override;
  Result<std::unique_ptr<control::ControlledVm>> create(const control::Configure& configuration, std::vector<UniqueFd> fds,
                                                        control::VmObserver& observer) override;
};

}  // namespace adyton::vmm
