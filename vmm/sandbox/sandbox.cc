#include "vmm/sandbox/sandbox.h"

#include <malloc.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <algorithm>
#include <climits>
#include <csignal>
#include <cstdlib>

#include "base/log/logger.h"
#include "base/thread.h"
#include "vmm/sandbox/capabilities.h"
#include "vmm/sandbox/filter.h"
#include "vmm/sandbox/limits.h"
#include "vmm/sandbox/namespaces.h"
#include "vmm/sandbox/root.h"
#include "vmm/sandbox/violation.h"

namespace adyton::vmm::sandbox {
namespace {

const log::Logger kLog("sandbox");

// Sanitizers open /proc, start threads of their own and map memory as they like.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kSanitizer = true;
#else
constexpr bool kSanitizer = false;
#endif
constexpr const char* kSanitizerDetail = "this program was built with a sanitizer";

// More than there are threads, which are 123 vCPUs, 16 disks and a dozen others at most: each has an arena of its own, and only
// the main thread has the one that grows by brk().
constexpr int kMostArenas = 256;

// Keeps glibc's malloc() from looking at /proc and at the processors when it grows or shrinks later: it asks for
// overcommit_memory before it gives part of an arena back, and counts processors before it makes the ninth arena.
void settle_malloc() {
  ::mallopt(M_TRIM_THRESHOLD, INT_MAX);
  ::mallopt(M_MMAP_THRESHOLD, 1 << 20);
  ::mallopt(M_ARENA_MAX, kMostArenas);
}

// malloc() makes a thread's arena when it first needs it, which for one that only frees what it was started with is at its very
// end. Here the thread does not have its own policy yet, which so needs to know of growing memory alone.
void make_arena() {
  void* volatile block = std::malloc(1);
  std::free(block);
}

void enter_root(Report& report) {
  Measure measure{.name = "empty root"};
  const bool own_mounts = std::ranges::any_of(report, [](const Measure& m) { return m.name == kMountNamespace && m.in_force; });
  if (!own_mounts) {
    measure.detail = "it needs a mount namespace";
  } else if (auto done = enter_empty_root(); done) {
    measure.in_force = true;
  } else {
    measure.detail = done.error().message;
  }
  report.push_back(std::move(measure));
}

}  // namespace

Result<Report> enter_process(int control) {
  Report report;
  settle_malloc();
  if constexpr (kSanitizer) {
    for (const char* name :
         {"user namespace", "mount namespace", "network namespace", "ipc namespace", "uts namespace", "empty root"})
      report.push_back({name, false, kSanitizerDetail});
  } else {
    enter_namespaces(report);
    enter_root(report);
  }
  TRY(limit_resources());
  report.push_back({"resource limits", true, ""});
  drop_privileges(report);
  if (!report.back().in_force) return fail(ErrorCode::kUnsupported, "no new privileges: " + report.back().detail);
  // Nobody of the same user may look in or trace. Not earlier: the id maps above belong to those who are dumpable.
  ::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
  // The socket's end says the same, but only to a thread that reads it. Not earlier: a change of credentials clears it.
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  TRY(report_forbidden_calls(control));
  remember_thread_name("main");
  if constexpr (kSanitizer) {
    report.push_back({"system call filters", false, kSanitizerDetail});
  } else {
    TRY(install_filter(find_policy(kSetupPolicy)));
    report.push_back({"system call filters", true, ""});
    set_thread_start_hook(enter_thread);
  }
  return report;
}

void enter_thread(const char* name) {
  remember_thread_name(name);
  if constexpr (kSanitizer) return;
  make_arena();
  const auto policy = find_policy(name);
  if (policy.empty()) {
    kLog.error({{"thread", name}}, "there is no sandbox policy for the thread");
    ::_exit(EXIT_FAILURE);
  }
  if (auto done = install_filter(policy); !done) {
    kLog.error({{"thread", name}}, "{}", done.error().message);
    ::_exit(EXIT_FAILURE);
  }
}

}  // namespace adyton::vmm::sandbox
