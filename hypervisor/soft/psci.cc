#include "hypervisor/soft/psci.h"

namespace adyton::hypervisor::soft {
namespace {

constexpr int64_t kSuccess = 0, kNotSupported = -1, kInvalidParameters = -2, kAlreadyOn = -4, kOnPending = -5;
constexpr int64_t kPsciVersion = 0x1'0001, kSmcccVersion = 0x1'0001;
constexpr int64_t kNoTrustedOs = 2;  // MIGRATE_INFO_TYPE

constexpr uint32_t kFunction64 = 1u << 30;
enum Function : uint32_t {
  kPsciVersionFn = 0x8400'0000,
  kCpuSuspend = 0x8400'0001,
  kCpuOff = 0x8400'0002,
  kCpuOn = 0x8400'0003,
  kAffinityInfo = 0x8400'0004,
  kMigrateInfoType = 0x8400'0006,
  kSystemOff = 0x8400'0008,
  kSystemReset = 0x8400'0009,
  kPsciFeatures = 0x8400'000a,
  kSystemReset2 = 0x8400'0012,
  kSmcccVersionFn = 0x8000'0000,
  kArchFeatures = 0x8000'0001,
  kWorkaround1 = 0x8000'8000,
  kWorkaround2 = 0x8000'7fff,
  kWorkaround3 = 0x8000'3fff,
};

// The 64-bit conventions exist where an address or an affinity is passed.
bool has_64_bit_form(uint32_t function) {
  return function == kCpuSuspend || function == kCpuOn || function == kAffinityInfo || function == kSystemReset2;
}

int64_t psci_features(uint32_t function) {
  if ((function & kFunction64) && !has_64_bit_form(function & ~kFunction64)) return kNotSupported;
  switch (function & ~kFunction64) {
    case kPsciVersionFn:
    case kCpuSuspend:
    case kCpuOff:
    case kCpuOn:
    case kAffinityInfo:
    case kMigrateInfoType:
    case kSystemOff:
    case kSystemReset:
    case kPsciFeatures:
    case kSystemReset2:
    case kSmcccVersionFn: return kSuccess;  // CPU_SUSPEND: original power state format, platform coordinated
    default: return kNotSupported;
  }
}

int64_t arch_features(uint32_t function) {
  switch (function) {
    case kSmcccVersionFn:
    case kArchFeatures: return kSuccess;
    // "May be called, but this PE does not need it" (SMCCC 1.1, 7.4 and the workaround sections).
    case kWorkaround1:
    case kWorkaround3: return 1;
    case kWorkaround2: return -2;  // not required
    default: return kNotSupported;
  }
}

constexpr uint64_t kAffinityMask = 0xff'00ff'ffff;

}  // namespace

void PowerController::add_cpu(uint64_t affinity) {
  std::lock_guard lock(mutex_);
  cpus_.push_back({affinity, State::kOff, {}});
}

void PowerController::set_powered(unsigned cpu, bool on) {
  std::lock_guard lock(mutex_);
  cpus_[cpu].state = on ? State::kOn : State::kOff;
}

int64_t PowerController::cpu_on(uint64_t affinity, const Start& start) {
  unsigned target = 0;
  {
    std::lock_guard lock(mutex_);
    while (target < cpus_.size() && cpus_[target].affinity != affinity) ++target;
    if (target == cpus_.size()) return kInvalidParameters;
    Cpu& cpu = cpus_[target];
    if (cpu.state == State::kOn) return kAlreadyOn;
    if (cpu.state == State::kOnPending) return kOnPending;
    cpu.state = State::kOnPending;
    cpu.start = start;
  }
  wake_(target);
  return kSuccess;
}

int64_t PowerController::affinity_info(uint64_t affinity, uint64_t lowest_level) {
  if (lowest_level > 3) return kInvalidParameters;
  // Levels below the one asked for do not count; level 3's field is apart from the others.
  static constexpr uint64_t kLevelMask[4] = {kAffinityMask, 0xff'00ff'ff00, 0xff'00ff'0000, 0xff'0000'0000};
  std::lock_guard lock(mutex_);
  bool found = false, pending = false;
  for (const Cpu& cpu : cpus_) {
    if ((cpu.affinity ^ affinity) & kLevelMask[lowest_level]) continue;
    if (cpu.state == State::kOn) return 0;
    found = true;
    pending |= cpu.state == State::kOnPending;
  }
  return !found ? kInvalidParameters : pending ? 2 : 1;
}

std::optional<PowerController::Start> PowerController::take_start(unsigned cpu) {
  std::lock_guard lock(mutex_);
  if (cpus_[cpu].state != State::kOnPending) return std::nullopt;
  cpus_[cpu].state = State::kOn;
  return cpus_[cpu].start;
}

FirmwareOutcome firmware_call(const uint64_t (&x)[4], PowerController& power) {
  using Action = FirmwareOutcome::Action;
  const uint32_t id = static_cast<uint32_t>(x[0]);
  const uint64_t mask = id & kFunction64 ? ~0ull : 0xffff'ffff;
  const uint64_t a1 = x[1] & mask, a2 = x[2] & mask, a3 = x[3] & mask;
  auto answer = [](int64_t value) { return FirmwareOutcome{Action::kReturn, value}; };

  const uint32_t function = id & ~kFunction64;
  if ((id & kFunction64) && !has_64_bit_form(function)) return answer(kNotSupported);
  switch (function) {
    case kSmcccVersionFn: return answer(kSmcccVersion);
    case kArchFeatures: return answer(arch_features(static_cast<uint32_t>(a1)));
    case kWorkaround1:
    case kWorkaround2:
    case kWorkaround3: return answer(kSuccess);
    case kPsciVersionFn: return answer(kPsciVersion);
    case kPsciFeatures: return answer(psci_features(static_cast<uint32_t>(a1)));
    case kMigrateInfoType: return answer(kNoTrustedOs);
    case kCpuSuspend: return {Action::kStandby, kSuccess};
    case kCpuOff: return {Action::kCpuOff};
    case kCpuOn: return answer(power.cpu_on(a1 & kAffinityMask, {a2, a3}));
    case kAffinityInfo: return answer(power.affinity_info(a1 & kAffinityMask, a2));
    case kSystemOff: return {Action::kSystemOff};
    case kSystemReset: return {Action::kSystemReset};
    case kSystemReset2:
      // Architectural warm reset is type 0; vendor types have bit 31.
      if (static_cast<uint32_t>(a1) != 0) return answer(kInvalidParameters);
      return {Action::kSystemReset, 0, a1};
    default: return answer(kNotSupported);
  }
}

}  // namespace adyton::hypervisor::soft
