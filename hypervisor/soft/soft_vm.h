// The software backend: a VM on the engine, with GICv3, generic timers and PSCI in the same process.
#pragma once
#include <atomic>
#include <functional>
#include <memory>
#include <vector>

#include "engine/engine.h"
#include "hypervisor/hypervisor.h"
#include "hypervisor/soft/irqfd_poller.h"
#include "hypervisor/soft/soft_vcpu.h"

namespace adyton::hypervisor::soft {

struct SoftConfig {
  engine::EngineConfig engine;
};

// A VM on the translating engine. The VM's threads end when it is destroyed.
Result<std::unique_ptr<Vm>> create_soft_vm(const SoftConfig& config = {});

// What the backend found in this host's processor that it can use; the error says why it cannot run here.
Result<std::vector<std::string>> soft_host_features();

// The parts of the engine that the backend uses, so that tests can put others in their place.
struct EnginePort {
  std::function<Result<std::unique_ptr<engine::Machine>>(const engine::EngineConfig&, const GuestMemory&)> create_machine;
  void (*reset)(engine::arm64::CpuState&, uint64_t affinity) = nullptr;
  Counter counter;
};

class SoftVm final : public Vm {
 public:
  SoftVm(const SoftConfig& config, EnginePort engine);
  ~SoftVm() override;

  [[nodiscard]] const Capabilities& capabilities() const override { return capabilities_; }
  Result<void> set_memory(const GuestMemory& memory) override;
  Result<Vcpu*> create_vcpu(unsigned index) override;
  Result<void> create_irqchip(const IrqchipConfig& config) override;
  void memory_written(GuestPhysAddr address, uint64_t size) override;
  void stop_counter() override;
  void restart_counter() override;
  [[nodiscard]] uint64_t counter() const override;
  [[nodiscard]] uint64_t counter_frequency() const override { return shared_.counter.frequency; }
  Result<void> set_irq_line(uint32_t intid, bool level) override;
  Result<void> add_irqfd(int eventfd, uint32_t intid) override;
  Result<void> remove_irqfd(int eventfd, uint32_t intid) override;
  Result<void> add_ioeventfd(const IoEventFd& doorbell) override { return shared_.doorbells.add(doorbell); }
  Result<void> remove_ioeventfd(const IoEventFd& doorbell) override { return shared_.doorbells.remove(doorbell); }
  [[nodiscard]] std::vector<Statistic> statistics() const override;
  // After create_irqchip().
  void observe_irqchip(IrqchipObserver& observer) override { shared_.gic->observe(observer); }

 private:
  Result<void> check_spi(uint32_t intid) const;

  const SoftConfig config_;
  const EnginePort engine_;
  Capabilities capabilities_;
  std::vector<std::unique_ptr<SoftVcpu>> vcpus_;
  std::unique_ptr<engine::Machine> machine_;
  SoftShared shared_;
  std::unique_ptr<IrqfdPoller> irqfds_;
  std::atomic<uint64_t> counter_stopped_at_ = 0;  // physical count; 0: it goes on
  std::atomic<uint64_t> counter_held_back_ = 0;   // counts, in all
};

}  // namespace adyton::hypervisor::soft
