// What the vCPUs of one VM share.
#pragma once
#include <atomic>
#include <memory>
#include <shared_mutex>
#include <vector>

#include "base/log/rate_limit.h"
#include "engine/engine.h"
#include "engine/jit/code_cache.h"
#include "engine/jit/code_pages.h"
#include "engine/jit/exclusive_monitor.h"
#include "engine/jit/shootdown.h"
#include "engine/jit/thunks.h"
#include "engine/jit/unsupported.h"
#include "engine/x64/host_features.h"

namespace adyton::engine::jit {

class CpuImpl;

class MachineImpl final : public Machine {
 public:
  MachineImpl(const EngineConfig& config, const GuestMemory& memory, const x64::HostFeatures& features,
              std::unique_ptr<CodeCache> code, std::unique_ptr<CodePages> pages);
  ~MachineImpl() override;

  Result<Cpu*> create_cpu(const CpuConfig& config, CpuHost& host) override;
  [[nodiscard]] CodeStatistics code_statistics() const override;

  [[nodiscard]] const EngineConfig& config() const { return config_; }
  [[nodiscard]] const GuestMemory& memory() const { return memory_; }
  [[nodiscard]] const x64::HostFeatures& features() const { return features_; }
  [[nodiscard]] ExclusiveMonitor& monitor() { return monitor_; }
  [[nodiscard]] const std::vector<std::unique_ptr<CpuImpl>>& cpus() const { return cpus_; }

  void invalidate_code(GuestPhysAddr pa, uint64_t size) override;

  // Queues `invalidation` at every vCPU but `sender`.
  void broadcast(const CpuImpl& sender, const Invalidation& invalidation);
  // Returns when all that was broadcast before has been applied wherever guest code runs. `sender` keeps serving its own queue.
  void await_shootdowns(CpuImpl& sender);

  [[nodiscard]] CodeCache& code() { return *code_; }
  [[nodiscard]] CodePages& pages() { return *pages_; }
  [[nodiscard]] const Thunks& thunks() const { return thunks_; }
  [[nodiscard]] const arm64::TranslatorHelpers& helpers() const { return helpers_; }

  // Held shared by a vCPU while it is in translated code or holds pointers to it.
  [[nodiscard]] std::shared_mutex& code_lock() { return code_lock_; }
  // Counts code cache flushes; a vCPU that sees it change drops its instruction TLB and its chunk.
  [[nodiscard]] uint64_t code_generation() const { return code_generation_.load(std::memory_order_acquire); }
  // The code cache is full: asks every vCPU out of translated code. Each then calls flush_code(), the first one does it.
  void request_code_flush();
  void flush_code();
  // An instruction was UNDEFINED: says so in the log if that is because the engine lacks what it is part of.
  void note_undefined(uint32_t insn);

 private:
  const EngineConfig config_;
  const GuestMemory& memory_;
  const x64::HostFeatures features_;
  ExclusiveMonitor monitor_;
  std::unique_ptr<CodeCache> code_;
  const std::unique_ptr<CodePages> pages_;
  Thunks thunks_;
  arm64::TranslatorHelpers helpers_;
  std::shared_mutex code_lock_;
  std::atomic<uint64_t> code_generation_{0};
  std::atomic<bool> code_flush_wanted_{false};
  log::RateLimit flush_limit_;
  UnsupportedInstructions unsupported_;
  std::vector<std::unique_ptr<CpuImpl>> cpus_;
};

}  // namespace adyton::engine::jit
