#include "vmm/sandbox/root.h"

#include <sys/mount.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

namespace adyton::vmm::sandbox {
namespace {

constexpr unsigned long kFlags = MS_NOSUID | MS_NODEV | MS_NOEXEC;

// Any directory will do to mount it on: what it hides goes away with the old root.
Result<void> mount_somewhere() {
  for (const char* directory : {"/proc", "/tmp", "/usr"}) {
    if (::mount("none", directory, "tmpfs", kFlags, "size=4k,nr_inodes=1,mode=0555") != 0) continue;
    if (::chdir(directory) != 0) return fail_errno("cannot enter the empty root");
    return {};
  }
  return fail_errno("cannot mount an empty root");
}

}  // namespace

Result<void> enter_empty_root() {
  // What happens here must not show in the host's mounts.
  if (::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) {
    if (errno == EINVAL) return fail(ErrorCode::kUnsupported, "the root is no mount point, as in a chroot");
    return fail_errno("cannot part from the host's mounts");
  }
  TRY(mount_somewhere());
  // The same directory twice: the old root is stacked on top of the new one, where it can be taken off (pivot_root(2), NOTES).
  if (::syscall(SYS_pivot_root, ".", ".") != 0) return fail_errno("cannot change the root");
  if (::umount2(".", MNT_DETACH) != 0) return fail_errno("cannot let go of the old root");
  if (::chdir("/") != 0) return fail_errno("cannot enter the empty root");
  if (::mount(nullptr, "/", nullptr, kFlags | MS_REMOUNT | MS_RDONLY, nullptr) != 0) {
    return fail_errno("cannot make the empty root read-only");
  }
  return {};
}

}  // namespace adyton::vmm::sandbox
