#include "vmm/sandbox/limits.h"

#include <sys/resource.h>

#include <algorithm>
#include <csignal>

namespace adyton::vmm::sandbox {
namespace {

constexpr rlim_t kDescriptors = 8192;  // 4096 streams, disks, and what the devices use themselves

// Both limits, so that it cannot be raised again. Lowering is always permitted.
Result<void> limit(__rlimit_resource resource, rlim_t value) {
  rlimit now{};
  if (::getrlimit(resource, &now) != 0) return fail_errno("cannot read a resource limit");
  value = std::min(value, now.rlim_max);
  const rlimit wanted{.rlim_cur = value, .rlim_max = value};
  if (::setrlimit(resource, &wanted) != 0) return fail_errno("cannot set a resource limit");
  return {};
}

}  // namespace

Result<void> limit_resources() {
  TRY(limit(RLIMIT_NOFILE, kDescriptors));
  TRY(limit(RLIMIT_CORE, 0));
  TRY(limit(RLIMIT_MEMLOCK, 0));
  TRY(limit(RLIMIT_MSGQUEUE, 0));
  return limit(RLIMIT_RTPRIO, 0);
}

Result<void> limit_file_size(uint64_t bytes) {
  ::signal(SIGXFSZ, SIG_IGN);  // a write that goes too far fails with EFBIG
  return limit(RLIMIT_FSIZE, bytes);
}

}  // namespace adyton::vmm::sandbox
