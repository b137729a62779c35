#include "vmm/sandbox/filter.h"

#include <linux/seccomp.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cstddef>

namespace adyton::vmm::sandbox {
namespace {

struct Policy {
  std::string_view name;
  std::span<const sock_filter> program;
};

// kPolicies and kSystemCallNames, made by policy/compile.cc.
#include "vmm/sandbox/policies.inc"

}  // namespace

std::span<const sock_filter> find_policy(std::string_view thread_name) {
  while (!thread_name.empty() && thread_name.back() >= '0' && thread_name.back() <= '9') thread_name.remove_suffix(1);
  for (const Policy& policy : kPolicies) {
    if (policy.name == thread_name) return policy.program;
  }
  return {};
}

Result<void> install_filter(std::span<const sock_filter> program) {
  const sock_fprog code{.len = static_cast<unsigned short>(program.size()), .filter = const_cast<sock_filter*>(program.data())};
  // SPEC_ALLOW: Linux before 5.16 would otherwise slow every store of the process down (Speculative Store Bypass Disable), later
  // ones do not.
  if (::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_SPEC_ALLOW, &code) != 0) {
    return fail_errno("the host lets no process filter its system calls");
  }
  return {};
}

const char* system_call_name(long number) {
  return number >= 0 && static_cast<size_t>(number) < kSystemCallNames.size() ? kSystemCallNames[static_cast<size_t>(number)]
                                                                              : nullptr;
}

}  // namespace adyton::vmm::sandbox
