#include "vmm/sandbox/namespaces.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sched.h>
#include <unistd.h>

#include <string_view>

#include "base/result.h"
#include "base/unique_fd.h"

namespace adyton::vmm::sandbox {
namespace {

Result<void> write_file(const char* path, std::string_view text) {
  const UniqueFd fd(::open(path, O_WRONLY | O_CLOEXEC));
  if (!fd.valid()) return fail_errno(path);
  if (::write(fd.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size())) return fail_errno(path);
  return {};
}

// One id inside is the one outside (user_namespaces(7)): enough to own what we mount, and a process without privilege may do it.
Result<void> map_ids(uid_t user, gid_t group) {
  TRY(write_file("/proc/self/setgroups", "deny"));
  TRY(write_file("/proc/self/uid_map", fmt::format("{0} {0} 1", user)));
  return write_file("/proc/self/gid_map", fmt::format("{0} {0} 1", group));
}

Measure enter_user_namespace() {
  const uid_t user = ::geteuid();
  const gid_t group = ::getegid();
  Measure measure{.name = "user namespace"};
  if (::unshare(CLONE_NEWUSER) != 0) {
    measure.detail = fail_errno("the host refuses it").error().message;
    return measure;
  }
  measure.in_force = true;
  if (auto mapped = map_ids(user, group); !mapped) measure.detail = "without ids: " + mapped.error().message;
  return measure;
}

}  // namespace

void enter_namespaces(Report& report) {
  // First: its owner may enter the others.
  report.push_back(enter_user_namespace());
  constexpr struct {
    int flag;
    const char* name;
  } kOthers[] = {{CLONE_NEWNS, kMountNamespace},
                 {CLONE_NEWNET, "network namespace"},
                 {CLONE_NEWIPC, "ipc namespace"},
                 {CLONE_NEWUTS, "uts namespace"}};
  // One by one, as the host may forbid one and permit another.
  for (const auto& [flag, name] : kOthers) {
    const bool done = ::unshare(flag) == 0;
    report.push_back({name, done, done ? "" : fail_errno("the host refuses it").error().message});
  }
}

}  // namespace adyton::vmm::sandbox
