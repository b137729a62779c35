#include "service/host.h"

#include <fmt/format.h>
#include <unistd.h>

#include "service/vmm_probe.h"
#include "vmm/control/protocol.h"

namespace adyton::service {
namespace {

namespace aidl = virtualizationservice;
using vmm::control::Description;

// The device is no proof of a KVM that is worth using: `adyton doctor` measures that.
aidl::BackendCapability kvm_backend(const Description& description) {
  aidl::BackendCapability kvm;
  kvm.name = "kvm";
  if (description.backend == "kvm") {
    kvm.available = description.problem.empty();
    kvm.reason = description.problem;
    kvm.hostFeatures = description.host_features;
  } else if (::access("/dev/kvm", F_OK) != 0) {
    kvm.reason = "this machine has no /dev/kvm";
  } else if (::access("/dev/kvm", R_OK | W_OK) != 0) {
    kvm.reason = "you may not use /dev/kvm";
  } else {
    kvm.reason = "this adyton-vmm does not run arm64 guests by this machine's KVM";
  }
  return kvm;
}

aidl::Capabilities capabilities_of(const Description& description, const std::string& version) {
  aidl::Capabilities out;
  out.version = version;
  const bool works = description.problem.empty();
  const IsolationLevel given = isolation_from(description.isolation).value_or(IsolationLevel::kNone);
  for (const auto level : {IsolationLevel::kNone, IsolationLevel::kProcess, IsolationLevel::kHypervisor}) {
    aidl::IsolationCapability capability;
    capability.level = static_cast<aidl::IsolationLevel>(level);
    capability.available = works && level == given;
    if (capability.available) {
      out.capabilities |= level == IsolationLevel::kNone ? aidl::Capabilities::CAPABILITY_NON_PROTECTED_VM
                                                         : aidl::Capabilities::CAPABILITY_PROTECTED_VM;
    } else if (!works) {
      capability.reason = description.problem;
    } else if (level == IsolationLevel::kHypervisor) {
      capability.reason = "it needs an arm64 host whose kernel runs pKVM";
    } else {
      capability.reason = fmt::format("this adyton-vmm gives the level '{}' only", description.isolation);
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
  out.backends.push_back(kvm_backend(description));
  return out;
}

}  // namespace

Result<aidl::Capabilities> Host::capabilities() {
  std::lock_guard lock(mutex_);
  if (known_) return *known_;
  const auto description = TRY(loop_.await<Result<Description>>([&](auto done) { probe_vmm(loop_, vmm_program_, done); }));
  auto capabilities = capabilities_of(description, version_);
  // What was missing may come: only a good answer is remembered.
  if (description.problem.empty()) known_ = capabilities;
  return capabilities;
}

Outcome<> Host::check(IsolationLevel level) {
  if (level == IsolationLevel::kNone) return {};  // the VMM says by itself if it cannot run anything
  const auto known = TRY(capabilities());
  for (const auto& capability : known.isolation) {
    if (static_cast<IsolationLevel>(capability.level) != level) continue;
    if (capability.available) return {};
    return fail(ErrorCode::kUnsupported,
                fmt::format("this machine cannot give the isolation level '{}': {}", to_string(level), capability.reason));
  }
  return fail(ErrorCode::kUnsupported, "there is no such isolation level");
}

}  // namespace adyton::service
