#include "vmm/sandbox/capabilities.h"

#include <linux/capability.h>
#include <linux/securebits.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/result.h"

namespace adyton::vmm::sandbox {
namespace {

constexpr unsigned long kSecureBits = SECBIT_NOROOT | SECBIT_NOROOT_LOCKED | SECBIT_NO_SETUID_FIXUP |
                                      SECBIT_NO_SETUID_FIXUP_LOCKED | SECBIT_KEEP_CAPS_LOCKED | SECBIT_NO_CAP_AMBIENT_RAISE |
                                      SECBIT_NO_CAP_AMBIENT_RAISE_LOCKED;

// True when nothing is left in it. Without CAP_SETPCAP it stays as it is.
bool empty_bounding_set() {
  bool empty = true;
  for (unsigned long capability = 0;; ++capability) {
    const int present = ::prctl(PR_CAPBSET_READ, capability, 0, 0, 0);
    if (present < 0) return empty;  // the kernel's last one was the one before
    if (present == 1 && ::prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) != 0) empty = false;
  }
}

}  // namespace

void drop_privileges(Report& report) {
  Measure none{.name = "no capabilities"};
  // Both need CAP_SETPCAP, which goes last.
  const bool locked = ::prctl(PR_SET_SECUREBITS, kSecureBits, 0, 0, 0) == 0;
  const bool unbounded = !empty_bounding_set();
  ::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
  __user_cap_header_struct header{.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
  const __user_cap_data_struct nothing[2] = {};
  if (::syscall(SYS_capset, &header, nothing) == 0) {
    none.in_force = true;
    if (unbounded || !locked) none.detail = "the bounding set stays, idle under no_new_privs: emptying it takes a capability";
  } else {
    none.detail = fail_errno("cannot drop them").error().message;
  }
  report.push_back(std::move(none));

  const bool done = ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0;
  report.push_back({"no new privileges", done, done ? "" : fail_errno("the host refuses it").error().message});
}

}  // namespace adyton::vmm::sandbox
