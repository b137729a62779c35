#include "engine/jit/machine.h"

#include <immintrin.h>
#include <sched.h>

#include "engine/jit/cpu.h"

namespace adyton::engine {

Result<std::unique_ptr<Machine>> Machine::create(const EngineConfig& config, const GuestMemory& memory) {
  return std::make_unique<jit::MachineImpl>(config, memory);
}

}  // namespace adyton::engine

namespace adyton::engine::jit {

MachineImpl::MachineImpl(const EngineConfig& config, const GuestMemory& memory) : config_(config), memory_(memory), monitor_(memory) {}

MachineImpl::~MachineImpl() = default;

Result<Cpu*> MachineImpl::create_cpu(const CpuConfig& config, CpuHost& host) {
  cpus_.push_back(TRY(CpuImpl::create(*this, config, host)));
  monitor_.set_cpus(static_cast<unsigned>(cpus_.size()));
  return cpus_.back().get();
}

void MachineImpl::broadcast(const CpuImpl& sender, const Invalidation& invalidation) {
  for (const auto& cpu : cpus_) {
    if (cpu.get() != &sender) cpu->post(invalidation);
  }
}

void MachineImpl::await_shootdowns(CpuImpl& sender) {
  for (const auto& cpu : cpus_) {
    if (cpu.get() == &sender) continue;
    const uint64_t ticket = cpu->inbox().posted();
    for (unsigned spins = 0; !cpu->inbox().done(ticket); ++spins) {
      sender.drain_inbox();  // two vCPUs may wait for each other
      if (spins < 1000) _mm_pause(); else ::sched_yield();
    }
  }
}

}  // namespace adyton::engine::jit
