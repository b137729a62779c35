// A VM that tests play: registers and memory without a CPU, and stops that the test says.
#pragma once
#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "vmm/gdb/target.h"

namespace adyton::vmm::gdb::testing {

class PlayedVcpu final : public hypervisor::Vcpu {
 public:
  explicit PlayedVcpu(unsigned index) : index_(index) {
    for (unsigned n = 0; n <= 30; ++n) registers_[hypervisor::reg_x(n)] = {};
    for (unsigned n = 0; n <= 31; ++n) registers_[hypervisor::reg_v(n)] = {};
    for (const uint64_t id :
         {hypervisor::kRegSp, hypervisor::kRegPc, hypervisor::kRegPstate, hypervisor::kRegSpEl1, hypervisor::kRegElrEl1,
          hypervisor::kRegSpsrEl1, hypervisor::kRegFpsr, hypervisor::kRegFpcr, kVbarEl1, kSctlrEl1, kEsrEl1}) {
      registers_[id] = {};
    }
  }
  static constexpr uint64_t kVbarEl1 = hypervisor::reg_sysreg(3, 0, 12, 0, 0), kSctlrEl1 = hypervisor::reg_sysreg(3, 0, 1, 0, 0),
                            kEsrEl1 = hypervisor::reg_sysreg(3, 0, 5, 2, 0);
  // What is mapped: [kVirtual, kVirtual + kMapped) to kPhysical. The page behind it is not.
  static constexpr uint64_t kVirtual = 0xffff'8000'0000'0000, kPhysical = 0x4000'0000, kMapped = 0x8000;

  [[nodiscard]] unsigned index() const override { return index_; }
  [[nodiscard]] uint64_t affinity() const override { return index_; }
  Result<void> init(const hypervisor::VcpuInit&) override { return {}; }
  Result<hypervisor::Exit> run() override { return hypervisor::InterruptedExit{}; }
  void kick() override {}
  Result<void> get_one_reg(uint64_t id, std::span<uint8_t> value) override {
    const auto found = registers_.find(id);
    if (found == registers_.end() || value.size() != hypervisor::register_size(id))
      return fail(ErrorCode::kNotFound, "no such register");
    std::ranges::copy(std::span(found->second).first(value.size()), value.begin());
    return {};
  }
  Result<void> set_one_reg(uint64_t id, std::span<const uint8_t> value) override {
    const auto found = registers_.find(id);
    if (found == registers_.end() || value.size() != hypervisor::register_size(id))
      return fail(ErrorCode::kNotFound, "no such register");
    std::ranges::copy(value, found->second.begin());
    return {};
  }
  [[nodiscard]] std::vector<hypervisor::Statistic> statistics() const override { return {}; }
  Result<void> set_guest_debug(const hypervisor::GuestDebug& control) override {
    debug = control;
    return {};
  }
  Result<GuestPhysAddr> translate(uint64_t va) override {
    if (va < kVirtual || va - kVirtual >= kMapped) return fail(ErrorCode::kNotFound, "it is not mapped");
    return va - kVirtual + kPhysical;
  }
  [[nodiscard]] bool powered_on() const override { return index_ != 3; }

  hypervisor::GuestDebug debug;

 private:
  const unsigned index_;
  std::map<uint64_t, std::array<uint8_t, 16>> registers_;
};

class PlayedTarget final : public Target {
 public:
  explicit PlayedTarget(unsigned count = 2) {
    for (unsigned i = 0; i < count; ++i) {
      own_.push_back(std::make_unique<PlayedVcpu>(i));
      vcpus_.push_back(own_.back().get());
    }
    running.assign(count, true);
    capabilities_.guest_debug = true;
    capabilities_.hardware_breakpoints = capabilities_.hardware_watchpoints = 4;
    (void)memory_.add_ram(PlayedVcpu::kPhysical, 0x10000);
  }

  const std::vector<hypervisor::Vcpu*>& vcpus() override { return vcpus_; }
  const hypervisor::Capabilities& capabilities() override { return capabilities_; }
  const GuestMemory& memory() override { return memory_; }
  void memory_written(GuestPhysAddr address, uint64_t size) override {
    if (written.size() < 1000) written.emplace_back(address, size);
  }
  void hold() override { running.assign(running.size(), false); }
  void release(const std::vector<bool>& which) override {
    stopped.reset();
    for (size_t i = 0; i < which.size(); ++i) running[i] = running[i] || which[i];
  }
  void kill() override { killed = true; }
  std::optional<Stop> stop() override { return stopped; }
  std::optional<End> end() override { return ended; }

  PlayedVcpu& vcpu(unsigned n) { return *own_[n]; }
  // vCPU n comes to a stop.
  void stops(unsigned n, uint32_t exception_class, uint32_t iss = 0, uint64_t far = 0) {
    hold();
    stopped = Stop{n, {.hsr = exception_class << 26 | iss, .far = far}};
  }

  std::vector<bool> running;
  std::vector<std::pair<GuestPhysAddr, uint64_t>> written;
  std::optional<Stop> stopped;
  std::optional<End> ended;
  bool killed = false;

 private:
  std::vector<std::unique_ptr<PlayedVcpu>> own_;
  std::vector<hypervisor::Vcpu*> vcpus_;
  hypervisor::Capabilities capabilities_;
  GuestMemory memory_;
};

}  // namespace adyton::vmm::gdb::testing
