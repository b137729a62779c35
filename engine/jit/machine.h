// What the vCPUs of one VM share.
#pragma once
#include <memory>
#include <vector>

#include "engine/engine.h"
#include "engine/jit/exclusive_monitor.h"
#include "engine/jit/shootdown.h"

namespace adyton::engine::jit {

class CpuImpl;

class MachineImpl final : public Machine {
 public:
  MachineImpl(const EngineConfig& config, const GuestMemory& memory);
  ~MachineImpl() override;

  Result<Cpu*> create_cpu(const CpuConfig& config, CpuHost& host) override;

  [[nodiscard]] const EngineConfig& config() const { return config_; }
  [[nodiscard]] const GuestMemory& memory() const { return memory_; }
  [[nodiscard]] ExclusiveMonitor& monitor() { return monitor_; }
  [[nodiscard]] const std::vector<std::unique_ptr<CpuImpl>>& cpus() const { return cpus_; }

  // Queues `invalidation` at every vCPU but `sender`.
  void broadcast(const CpuImpl& sender, const Invalidation& invalidation);
  // Returns when all that was broadcast before has been applied wherever guest code runs. `sender` keeps serving its own queue.
  void await_shootdowns(CpuImpl& sender);

 private:
  const EngineConfig config_;
  const GuestMemory& memory_;
  ExclusiveMonitor monitor_;
  std::vector<std::unique_ptr<CpuImpl>> cpus_;
};

}  // namespace adyton::engine::jit
