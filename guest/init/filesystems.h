// The file systems of the guest: the kernel's own, the root and the mounts that the host asked for.
#pragma once
#include <string>

#include "base/result.h"
#include "guest/exec_protocol.h"

namespace adyton::guest {

// /proc, /sys, /dev with pts and shm. Everything later needs them.
Result<void> mount_kernel_filesystems();

// /tmp, /run and the cgroup2 hierarchy below `root` ("" or a path without a trailing slash). A missing cgroup2 is no error.
Result<void> mount_volatile_filesystems(const std::string& root);

// The block device (/dev/vdX) whose virtio-blk serial is `serial`.
Result<std::string> find_disk(const std::string& serial);

// Makes the root that `request` asks for the root of this process, and adds its mounts.
Result<void> prepare_root(const ExecRequest& request);

// mkdir -p.
Result<void> make_directories(const std::string& path);

}  // namespace adyton::guest
