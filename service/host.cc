#include "service/host.h"

#include <fmt/format.h>

#include "service/vmm_probe.h"
#include "vmm/control/protocol.h"

namespace adyton::service {
namespace {

namespace aidl = virtualizationservice;
using vmm::control::Description;

using Kvm = hypervisor::KvmReport;

// The device is no proof of a KVM that is worth using.
aidl::BackendCapability kvm_backend(const Description& description, const Kvm& report) {
  aidl::BackendCapability kvm;
  kvm.name = "kvm";
  if (description.backend == "kvm") {
    kvm.available = description.problem.empty();
    kvm.reason = description.problem;
    kvm.hostFeatures = description.host_features;
  } else if (report.state == Kvm::State::kUsable) {
    kvm.reason = "this machine's KVM is fast (" + report.reason + "), but this adyton-vmm does not run guests by it";
  } else if (report.state == Kvm::State::kSlow) {
    kvm.reason = "this machine's KVM is far too slow to use: " + report.reason;
  } else if (report.state == Kvm::State::kBroken) {
    kvm.reason = "this machine's KVM does not work: " + report.reason;
  } else {
    kvm.reason = report.reason;
  }
  return kvm;
}

std::string why_not(IsolationLevel level, const Description& description) {
  if (!description.problem.empty()) return description.problem;
  if (level == IsolationLevel::kHypervisor) return "it needs an arm64 host whose kernel runs pKVM";
  return fmt::format("this adyton-vmm gives the level '{}' only", description.isolation);
}

bool gives(const Description& description, IsolationLevel level) {
  return description.problem.empty() && level == isolation_from(description.isolation).value_or(IsolationLevel::kNone);
}

aidl::Capabilities capabilities_of(const Description& description, const Kvm& kvm, const std::string& version) {
  aidl::Capabilities out;
  out.version = version;
  const bool works = description.problem.empty();
  for (const auto level : {IsolationLevel::kNone, IsolationLevel::kProcess, IsolationLevel::kHypervisor}) {
    aidl::IsolationCapability capability;
    capability.level = static_cast<aidl::IsolationLevel>(level);
    capability.available = gives(description, level);
    if (capability.available) {
      out.capabilities |= level == IsolationLevel::kNone ? aidl::Capabilities::CAPABILITY_NON_PROTECTED_VM
                                                         : aidl::Capabilities::CAPABILITY_PROTECTED_VM;
    } else {
      capability.reason = why_not(level, description);
    }
    out.isolation.push_back(std::move(capability));
  }
  if (description.backend != "kvm") {
    aidl::BackendCapability backend;
    backend.name = description.backend;
    backend.available = works;
    backend.reason = description.problem;
    backend.hostFeatures = description.host_features;
    out.backends.push_back(std::move(backend));
  }
  out.backends.push_back(kvm_backend(description, kvm));
  out.measured = kvm.state == Kvm::State::kUsable || kvm.state == Kvm::State::kSlow;
  return out;
}

}  // namespace

Result<Description> Host::description() {
  std::lock_guard lock(mutex_);
  if (known_) return *known_;
  auto description = TRY(loop_.await<Result<Description>>([&](auto done) { probe_vmm(loop_, vmm_program_, done); }));
  // What was missing may come: only a good answer is remembered.
  if (description.problem.empty()) known_ = description;
  return description;
}

Result<aidl::Capabilities> Host::capabilities() {
  const Description description = TRY(this->description());
  std::lock_guard lock(kvm_mutex_);
  // A permission may be given later, and is looked for quickly.
  if (!kvm_ || kvm_->state == Kvm::State::kAbsent || kvm_->state == Kvm::State::kNoPermission) kvm_ = hypervisor::probe_kvm();
  return capabilities_of(description, *kvm_, version_);
}

Outcome<> Host::check(IsolationLevel level) {
  if (level == IsolationLevel::kNone) return {};  // the VMM says by itself if it cannot run anything
  const Description description = TRY(this->description());
  if (gives(description, level)) return {};
  return fail(ErrorCode::kUnsupported, fmt::format("this machine cannot give the isolation level '{}': {}", to_string(level),
                                                   why_not(level, description)));
}

}  // namespace adyton::service
