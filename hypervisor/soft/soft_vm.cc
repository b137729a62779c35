#include "hypervisor/soft/soft_vm.h"

#include <fmt/format.h>

#include "base/thread.h"

namespace adyton::hypervisor::soft {
namespace {
constexpr unsigned kMaxVcpus = 256;

}  // namespace

SoftVm::SoftVm(const SoftConfig& config, EnginePort engine) : config_(config), engine_(std::move(engine)) {
  capabilities_ = {.backend = "soft",
                   .isolation = IsolationLevel::kNone,
                   .max_vcpus = kMaxVcpus,
                   .max_intid = 1020,
                   .physical_address_bits = 48,
                   .guest_debug = true,
                   .hardware_breakpoints = engine::DebugControl::kBreakpoints,
                   .hardware_watchpoints = engine::DebugControl::kWatchpoints,
                   .el2 = false};
  shared_.counter = engine_.counter;
  shared_.reset = engine_.reset;
  shared_.power = std::make_unique<PowerController>([this](unsigned cpu) { vcpus_[cpu]->wake(); });
  shared_.wake_all = [this] {
    for (auto& vcpu : vcpus_) vcpu->wake();
  };
}

SoftVm::~SoftVm() {
  // Threads that call into the vCPUs end first.
  irqfds_.reset();
  shared_.timers.reset();
}

Result<void> SoftVm::set_memory(const GuestMemory& memory) {
  if (machine_) return fail(ErrorCode::kInvalidArgument, "the VM has its memory already");
  machine_ = TRY(engine_.create_machine(config_.engine, memory));
  return {};
}

Result<Vcpu*> SoftVm::create_vcpu(unsigned index) {
  if (!machine_) return fail(ErrorCode::kInvalidArgument, "a vCPU needs the VM's memory first");
  if (shared_.gic) return fail(ErrorCode::kInvalidArgument, "a vCPU cannot be added behind the interrupt controller's back");
  if (index != vcpus_.size())
    return fail(ErrorCode::kInvalidArgument, fmt::format("the next vCPU is {}, not {}", vcpus_.size(), index));
  if (index >= kMaxVcpus) return fail(ErrorCode::kInvalidArgument, fmt::format("at most {} vCPUs", kMaxVcpus));
  auto vcpu = std::make_unique<SoftVcpu>(index, shared_);
  vcpu->attach(*TRY(machine_->create_cpu({.index = index, .affinity = vcpu->affinity()}, *vcpu)));
  shared_.power->add_cpu(vcpu->affinity());
  vcpus_.push_back(std::move(vcpu));
  return vcpus_.back().get();
}

Result<void> SoftVm::create_irqchip(const IrqchipConfig& config) {
  if (shared_.gic) return fail(ErrorCode::kInvalidArgument, "the VM has its interrupt controller already");
  std::vector<Gic::CpuPort> ports;
  for (auto& vcpu : vcpus_) ports.push_back({vcpu->affinity(), vcpu.get()});
  auto gic = TRY(Gic::create(config, ports));
  irqfds_ = TRY(IrqfdPoller::create([this](uint32_t intid) {
    shared_.gic->set_spi(intid, true);
    shared_.gic->set_spi(intid, false);
  }));
  shared_.may_poll = vcpus_.size() <= available_processors();
  shared_.gic = std::move(gic);
  shared_.timers = std::make_unique<TimerQueue>(static_cast<unsigned>(vcpus_.size()), shared_.counter,
                                                [this](unsigned cpu) { vcpus_[cpu]->timer_expired(); });
  return shared_.timers->start();
}

void SoftVm::stop_counter() { counter_stopped_at_ = shared_.counter.now(); }

uint64_t SoftVm::counter() const {
  const uint64_t stopped_at = counter_stopped_at_;
  return (stopped_at != 0 ? stopped_at : shared_.counter.now()) - counter_held_back_;
}

void SoftVm::restart_counter() {
  const uint64_t counts = shared_.counter.now() - counter_stopped_at_;
  counter_held_back_ += counts;
  counter_stopped_at_ = 0;
  for (auto& vcpu : vcpus_) vcpu->hold_back_counter(counts);
}

Result<void> SoftVm::check_spi(uint32_t intid) const {
  if (!shared_.gic) return fail(ErrorCode::kInvalidArgument, "the VM has no interrupt controller yet");
  if (!shared_.gic->is_spi(intid)) return fail(ErrorCode::kInvalidArgument, fmt::format("{} is not an SPI of this VM", intid));
  return {};
}

std::vector<Statistic> SoftVm::statistics() const {
  if (!machine_) return {};
  const engine::CodeStatistics code = machine_->code_statistics();
  return {{"code_bytes", code.bytes}, {"code_capacity_bytes", code.capacity}, {"code_flushes", code.flushes}};
}

void SoftVm::memory_written(GuestPhysAddr address, uint64_t size) {
  if (machine_) machine_->invalidate_code(address, size);
}

Result<void> SoftVm::set_irq_line(uint32_t intid, bool level) {
  TRY(check_spi(intid));
  shared_.gic->set_spi(intid, level);
  return {};
}

Result<void> SoftVm::add_irqfd(int eventfd, uint32_t intid) {
  TRY(check_spi(intid));
  return irqfds_->add(eventfd, intid);
}

Result<void> SoftVm::remove_irqfd(int eventfd, uint32_t intid) {
  TRY(check_spi(intid));
  return irqfds_->remove(eventfd, intid);
}

}  // namespace adyton::hypervisor::soft
