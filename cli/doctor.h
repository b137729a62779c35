// `adyton doctor`: what this machine offers and what is missing.
#pragma once
#include <string>
#include <vector>

#include "hypervisor/kvm_probe.h"
#include "cli/options.h"
#include "vmm/control/protocol.h"

namespace adyton::cli {

struct Finding {
  enum class State : uint8_t { kGood, kNote, kMissing } state = State::kGood;
  std::string subject;  // "KVM"
  std::string text;
};

// Looks; takes a few seconds at most and changes nothing.
std::vector<Finding> examine_machine();

// The whole report, as text or as JSON.
std::string format_report(const std::vector<Finding>& findings, const DoctorOptions& options);

std::string doctor(const DoctorOptions& options);

// How the report speaks of the sandbox that a VM's process is in.
Finding sandbox_finding(const std::vector<vmm::control::SandboxMeasure>& sandbox);

// How the report speaks of KVM.
Finding kvm_finding(const hypervisor::KvmReport& kvm);

}  // namespace adyton::cli
