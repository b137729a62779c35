// A CPU that plays a script instead of running guest code, for tests of everything around the CPU.
#pragma once
#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <vector>

#include "engine/engine.h"
#include "hypervisor/soft/soft_vm.h"

namespace adyton::hypervisor::soft::testing {

// Time that stands still until a test moves it. One per process, because the counter is a plain function.
inline std::atomic<uint64_t> fake_time = 0;
inline constexpr uint64_t kFakeFrequency = 1'000'000'000;
inline Counter fake_counter() {
  return {.now = [] { return fake_time.load(); }, .frequency = kFakeFrequency};
}

class FakeCpu final : public engine::Cpu {
 public:
  FakeCpu(const engine::CpuConfig& config, engine::CpuHost& host) : config_(config), host_(host) {}

  // Each step is one run(); with no step left run() returns kKicked, as if nothing had happened.
  using Step = std::function<engine::Exit(FakeCpu&)>;
  void then(Step step) {
    std::lock_guard lock(mutex_);
    steps_.push_back(std::move(step));
  }
  void then(const engine::Exit& exit) {
    then([exit](FakeCpu&) { return exit; });
  }
  void then_hypercall(uint64_t x0, uint64_t x1 = 0, uint64_t x2 = 0, uint64_t x3 = 0) {
    then([=](FakeCpu& cpu) {
      cpu.state_.x[0] = x0;
      cpu.state_.x[1] = x1;
      cpu.state_.x[2] = x2;
      cpu.state_.x[3] = x3;
      return engine::Exit{.reason = engine::Exit::Reason::kHypercall};
    });
  }
  void then_mmio(GuestPhysAddr address, unsigned size, bool is_write, uint64_t data = 0) {
    then(engine::Exit{.reason = engine::Exit::Reason::kMmio, .mmio = {address, data, static_cast<uint8_t>(size), is_write}});
  }
  void then_fail() { then(engine::Exit{.reason = engine::Exit::Reason::kInternalError, .message = "end of the script"}); }

  engine::Exit run() override {
    Step step;
    {
      std::lock_guard lock(mutex_);
      if (steps_.empty()) return {};
      step = std::move(steps_.front());
      steps_.pop_front();
    }
    return step(*this);
  }
  void complete_mmio(uint64_t data) override { answers.push_back(data); }
  void kick() override { ++kicks; }
  void set_irq(bool level) override { irq_ = level; }
  void set_fiq(bool level) override { fiq_ = level; }
  [[nodiscard]] bool irq() const override { return irq_; }
  [[nodiscard]] bool fiq() const { return fiq_; }
  engine::arm64::CpuState& state() override { return state_; }
  void state_changed() override { ++state_changes; }
  [[nodiscard]] engine::CpuStatistics statistics() const override { return {.interrupts = 7}; }
  void set_debug(const engine::DebugControl& control) override { debug = control; }
  std::optional<GuestPhysAddr> debug_translate(uint64_t va) override { return va < (1ull << 32) ? std::optional(va + 0x1000) : std::nullopt; }

  [[nodiscard]] const engine::CpuConfig& config() const { return config_; }
  engine::CpuHost& host() { return host_; }

  std::vector<uint64_t> answers;  // of complete_mmio
  engine::DebugControl debug;
  std::atomic<int> kicks = 0, state_changes = 0;

 private:
  const engine::CpuConfig config_;
  engine::CpuHost& host_;
  engine::arm64::CpuState state_{};
  std::atomic<bool> irq_ = false, fiq_ = false;
  std::mutex mutex_;
  std::deque<Step> steps_;
};

class FakeMachine final : public engine::Machine {
 public:
  explicit FakeMachine(std::vector<FakeCpu*>& cpus) : cpus_(cpus) {}
  Result<engine::Cpu*> create_cpu(const engine::CpuConfig& config, engine::CpuHost& host) override {
    owned_.push_back(std::make_unique<FakeCpu>(config, host));
    cpus_.push_back(owned_.back().get());
    return owned_.back().get();
  }
  [[nodiscard]] engine::CodeStatistics code_statistics() const override { return {.bytes = 3, .capacity = 10, .flushes = 1}; }
  void invalidate_code(GuestPhysAddr, uint64_t) override {}

 private:
  std::vector<FakeCpu*>& cpus_;
  std::vector<std::unique_ptr<FakeCpu>> owned_;
};

// A SoftVm whose CPUs appear in `cpus` as they are made.
inline std::unique_ptr<SoftVm> make_fake_vm(std::vector<FakeCpu*>& cpus) {
  return std::make_unique<SoftVm>(
      SoftConfig{}, EnginePort{.create_machine = [&cpus](const engine::EngineConfig&, const GuestMemory&)
                                   -> Result<std::unique_ptr<engine::Machine>> { return std::make_unique<FakeMachine>(cpus); },
                               .reset =
                                   [](engine::arm64::CpuState& state, uint64_t affinity) {
                                     state = {};
                                     state.mpidr_el1 = 0x8000'0000 | affinity;
                                     state.el = 1;
                                     state.sp_sel = 1;
                                   },
                               .counter = fake_counter()});
}

}  // namespace adyton::hypervisor::soft::testing
