#include "engine/jit/machine.h"

#include <immintrin.h>
#include <sched.h>

#include <mutex>

#include "base/log/logger.h"
#include "engine/jit/cpu.h"
#include "engine/jit/runtime.h"

namespace adyton::engine {

Result<std::unique_ptr<Machine>> Machine::create(const EngineConfig& config, const GuestMemory& memory) {
  x64::HostFeatures features = TRY(x64::HostFeatures::detect());
  if (config.baseline_host) features = {};
  std::unique_ptr<jit::CodeCache> code = TRY(jit::CodeCache::create(config.code_cache_size));
  std::unique_ptr<jit::CodePages> pages = TRY(jit::CodePages::create(memory));
  return std::make_unique<jit::MachineImpl>(config, memory, features, std::move(code), std::move(pages));
}

}  // namespace adyton::engine

namespace adyton::engine::jit {
namespace {

const log::Logger kLog("engine");

}  // namespace

MachineImpl::MachineImpl(const EngineConfig& config, const GuestMemory& memory, const x64::HostFeatures& features,
                         std::unique_ptr<CodeCache> code, std::unique_ptr<CodePages> pages)
    : config_(config), memory_(memory), features_(features), monitor_(memory), code_(std::move(code)), pages_(std::move(pages)),
      thunks_(emit_thunks(*code_, runtime_entries())), helpers_(translator_helpers()) {
  helpers_.sha = features_.sha;
  set_slow_paths(thunks_.for_compiler);
  pages_->set_thunks(thunks_.for_compiler.translate, thunks_.invalidated, code_->exec_delta());
}

MachineImpl::~MachineImpl() = default;

Result<Cpu*> MachineImpl::create_cpu(const CpuConfig& config, CpuHost& host) {
  cpus_.push_back(TRY(CpuImpl::create(*this, config, host)));
  monitor_.set_cpus(static_cast<unsigned>(cpus_.size()));
  return cpus_.back().get();
}

CodeStatistics MachineImpl::code_statistics() const {
  return {.bytes = code_->used(), .capacity = config_.code_cache_size, .flushes = code_generation()};
}

void MachineImpl::invalidate_code(GuestPhysAddr pa, uint64_t size) {
  std::shared_lock lock(code_lock_);  // the pages stay
  pages_->invalidate(pa, size);
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

void MachineImpl::request_code_flush() {
  code_flush_wanted_.store(true, std::memory_order_release);
  for (const auto& cpu : cpus_) cpu->request(kRequestRendezvous);
}

void MachineImpl::flush_code() {
  std::unique_lock lock(code_lock_);
  if (!code_flush_wanted_.exchange(false, std::memory_order_acq_rel)) return;
  const size_t used = code_->used();
  pages_->clear();
  code_->reset();
  const uint64_t flushes = code_generation_.fetch_add(1, std::memory_order_acq_rel) + 1;
  lock.unlock();
  kLog.debug(flush_limit_, {{"bytes", used}, {"flushes", flushes}}, "the code cache is full: all translations are dropped");
}

void MachineImpl::note_undefined(uint32_t insn) {
  if (const char* extension = unsupported_.first_of_its_kind(insn)) {
    kLog.warning({{"extension", extension}}, "the guest has executed an instruction of an extension that the engine lacks and its ID "
                                             "registers do not offer: it got the exception for UNDEFINED ones");
  }
}

}  // namespace adyton::engine::jit
