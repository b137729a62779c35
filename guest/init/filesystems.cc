#include "guest/init/filesystems.h"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <memory>

#include "base/unique_fd.h"

namespace adyton::guest {
namespace {

// Where disks and overlay layers are mounted before they move to their place; outside every payload's way.
const std::string kStaging = "/.adyton";

Result<void> mount_at(const char* source, const std::string& target, const char* type, unsigned long flags, const std::string& options = "") {
  if (::mount(source, target.c_str(), type, flags, options.c_str()) != 0) {
    return fail_errno("mounting " + std::string(type) + " at " + target);
  }
  return {};
}

std::string read_line(const std::string& path) {
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  char text[128];
  const ssize_t size = fd.valid() ? ::read(fd.get(), text, sizeof text) : -1;
  if (size <= 0) return {};
  std::string line(text, static_cast<size_t>(size));
  return line.substr(0, line.find('\n'));
}

// Mounts the disk read-only at `lower`; with `writable`, a tmpfs over it at `target` takes the writes, else `target` is the disk.
Result<void> mount_disk(const std::string& serial, const std::string& target, bool writable, const std::string& scratch) {
  const std::string device = TRY(find_disk(serial));
  if (!writable) return mount_at(device.c_str(), target, "erofs", MS_RDONLY);
  const std::string lower = scratch + "/lower";
  const std::string layers = scratch + "/layers";
  TRY(make_directories(lower));
  TRY(make_directories(layers));
  TRY(mount_at(device.c_str(), lower, "erofs", MS_RDONLY));
  TRY(mount_at("tmpfs", layers, "tmpfs", 0, "mode=0755"));
  TRY(make_directories(layers + "/upper"));
  TRY(make_directories(layers + "/work"));
  // The merged directory's own owner and mode are the upper's: make them the image's.
  struct stat info {};
  if (::stat(lower.c_str(), &info) == 0) {
    if (::chown((layers + "/upper").c_str(), info.st_uid, info.st_gid) != 0 || ::chmod((layers + "/upper").c_str(), info.st_mode & 07777) != 0) {
      return fail_errno("preparing the writable layer of " + target);
    }
  }
  return mount_at("overlay", target, "overlay", 0, "lowerdir=" + lower + ",upperdir=" + layers + "/upper,workdir=" + layers + "/work");
}

// `path` may go through symbolic links of the image; the kernel resolves them inside the new root only after chroot, so mounts
// are made from inside it.
Result<void> enter_root(const std::string& root) {
  for (const char* name : {"/proc", "/sys", "/dev"}) {
    TRY(make_directories(root + name));
    if (::mount(name, (root + name).c_str(), nullptr, MS_MOVE, nullptr) != 0) return fail_errno("moving " + std::string(name) + " to the new root");
  }
  // switch_root(8): the rootfs cannot be pivoted away, it is mounted over.
  if (::chdir(root.c_str()) != 0 || ::mount(".", "/", nullptr, MS_MOVE, nullptr) != 0 || ::chroot(".") != 0 || ::chdir("/") != 0) {
    return fail_errno("entering the root file system");
  }
  return {};
}

}  // namespace

Result<void> make_directories(const std::string& path) {
  for (size_t slash = path.find('/', 1);; slash = path.find('/', slash + 1)) {
    const std::string part = path.substr(0, slash);
    if (!part.empty() && ::mkdir(part.c_str(), 0755) != 0 && errno != EEXIST) return fail_errno("making directory " + part);
    if (slash == std::string::npos) break;
  }
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0) return fail_errno(path);
  if (!S_ISDIR(info.st_mode)) return fail_errno(path, ENOTDIR);
  return {};
}

Result<void> mount_kernel_filesystems() {
  constexpr unsigned long kSafe = MS_NOSUID | MS_NODEV | MS_NOEXEC;
  for (const char* name : {"/proc", "/sys", "/dev"}) TRY(make_directories(name));
  TRY(mount_at("proc", "/proc", "proc", kSafe));
  // A program that a fault kills leaves its registers in the kernel's log. Not every kernel can, and none has to.
  if (const UniqueFd trace(::open("/proc/sys/debug/exception-trace", O_WRONLY | O_CLOEXEC)); trace.valid()) (void)!::write(trace.get(), "1", 1);
  TRY(mount_at("sysfs", "/sys", "sysfs", kSafe));
  TRY(mount_at("devtmpfs", "/dev", "devtmpfs", MS_NOSUID, "mode=0755"));
  TRY(make_directories("/dev/pts"));
  TRY(make_directories("/dev/shm"));
  TRY(mount_at("devpts", "/dev/pts", "devpts", MS_NOSUID | MS_NOEXEC, "gid=5,mode=0620,ptmxmode=0666"));
  TRY(mount_at("tmpfs", "/dev/shm", "tmpfs", MS_NOSUID | MS_NODEV, "mode=1777"));
  // POSIX says nothing of these, programs expect them.
  const std::pair<const char*, const char*> links[] = {
      {"/proc/self/fd", "/dev/fd"}, {"/proc/self/fd/0", "/dev/stdin"}, {"/proc/self/fd/1", "/dev/stdout"}, {"/proc/self/fd/2", "/dev/stderr"}};
  for (const auto& [target, link] : links) {
    if (::symlink(target, link) != 0 && errno != EEXIST) return fail_errno(std::string("linking ") + link);
  }
  return {};
}

Result<void> mount_volatile_filesystems(const std::string& root) {
  TRY(make_directories(root + "/tmp"));
  TRY(make_directories(root + "/run"));
  TRY(mount_at("tmpfs", root + "/tmp", "tmpfs", MS_NOSUID | MS_NODEV, "mode=1777"));
  TRY(mount_at("tmpfs", root + "/run", "tmpfs", MS_NOSUID | MS_NODEV, "mode=0755"));
  [[maybe_unused]] const auto optional = mount_at("cgroup2", "/sys/fs/cgroup", "cgroup2", MS_NOSUID | MS_NODEV | MS_NOEXEC);
  return {};
}

Result<std::string> find_disk(const std::string& serial) {
  // The driver has probed its devices by the time its module is loaded; only a disk that the host adds later could be missed.
  const std::unique_ptr<DIR, int (*)(DIR*)> directory(::opendir("/sys/block"), ::closedir);
  if (!directory) return fail_errno("reading /sys/block");
  while (const dirent* entry = ::readdir(directory.get())) {
    const std::string name = entry->d_name;
    if (name.starts_with("vd") && read_line("/sys/block/" + name + "/serial") == serial) return "/dev/" + name;
  }
  return fail(ErrorCode::kNotFound, "the virtual machine has no disk with serial '" + serial + "'");
}

Result<void> prepare_root(const ExecRequest& request) {
  // The staging directory is hidden from the payload once the root has moved over it; without a root disk it stays, harmless.
  const bool disks = request.root == RootMode::kDisk || !request.mounts.empty();
  if (disks) TRY(make_directories(kStaging));
  if (request.root == RootMode::kDisk) {
    TRY(make_directories(kStaging + "/root"));
    TRY(mount_disk(request.root_serial, kStaging + "/root", true, kStaging + "/root-layers"));
    TRY(enter_root(kStaging + "/root"));
  }
  TRY(mount_volatile_filesystems(""));
  for (size_t i = 0; i < request.mounts.size(); ++i) {
    const Mount& mount = request.mounts[i];
    TRY(make_directories(mount.target));
    TRY(mount_disk(mount.serial, mount.target, !mount.read_only, "/run/adyton/mount" + std::to_string(i)));
  }
  return {};
}

}  // namespace adyton::guest
