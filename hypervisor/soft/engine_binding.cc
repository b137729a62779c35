// The one place that names the engine's functions: whoever links only SoftVm, with an EnginePort of its own, does not need the
// engine.
#include "engine/arm64/sysreg.h"
#include "hypervisor/soft/soft_vm.h"

namespace adyton::hypervisor::soft {

Result<std::unique_ptr<Vm>> create_soft_vm(const SoftConfig& config) {
  EnginePort port{
      .create_machine = [](const engine::EngineConfig& c,
                           const GuestMemory& memory) { return engine::Machine::create(c, memory); },
      .reset = engine::arm64::reset,
      .counter = {.now = engine::physical_count, .frequency = engine::counter_frequency()},
  };
  return std::unique_ptr<Vm>(std::make_unique<SoftVm>(config, std::move(port)));
}

Result<std::vector<std::string>> soft_host_features() { return engine::host_features(); }

}  // namespace adyton::hypervisor::soft
