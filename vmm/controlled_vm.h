// What the control server starts: a machine with the devices that a configuration asks for.
#pragma once
#include <functional>
#include <optional>

#include "vmm/control/server.h"

namespace adyton::vmm {

class MachineFactory final : public control::VmFactory {
 public:
  // Called once, on the server's thread, when all of the VM's threads exist and none has run guest code yet. `largest_file` is
  // the size that no file of the VM will outgrow, where that can be told.
  using BeforeGuest = std::function<Result<void>(std::optional<uint64_t> largest_file)>;

  explicit MachineFactory(std::vector<control::SandboxMeasure> sandbox = {}, BeforeGuest before_guest = {})
      : sandbox_(std::move(sandbox)), before_guest_(std::move(before_guest)) {}
  control::Description describe() override;
  Result<std::unique_ptr<control::ControlledVm>> create(const control::Configure& configuration, std::vector<UniqueFd> fds,
                                                        control::VmObserver& observer) override;

 private:
  std::vector<control::SandboxMeasure> sandbox_;
  BeforeGuest before_guest_;
};

}  // namespace adyton::vmm
