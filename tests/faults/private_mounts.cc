#include "tests/faults/private_mounts.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <vector>

namespace adyton::faults {
namespace {

constexpr int kFailed = 1;
constexpr int kNotAllowed = 77;

bool make_namespaces() {
  const uid_t uid = ::getuid();
  const gid_t gid = ::getgid();
  if (::unshare(CLONE_NEWNS | (uid == 0 ? 0 : CLONE_NEWUSER)) != 0) return false;
  if (uid != 0) {
    std::ofstream("/proc/self/setgroups") << "deny";
    std::ofstream("/proc/self/uid_map") << fmt::format("{} {} 1", uid, uid);
    std::ofstream("/proc/self/gid_map") << fmt::format("{} {} 1", gid, gid);
  }
  return ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0;
}

}  // namespace

void in_private_mounts(const std::function<void()>& body) {
  std::fflush(nullptr);
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    if (!make_namespaces()) ::_exit(kNotAllowed);
    body();
    std::fflush(nullptr);
    ::_exit(::testing::Test::HasFailure() ? kFailed : 0);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  if (WIFEXITED(status) && WEXITSTATUS(status) == kNotAllowed) GTEST_SKIP() << "this machine allows no mount namespaces";
  EXPECT_EQ(status, 0) << "see the failures above";
}

void limit_folder(const std::string& folder, size_t kibibytes) {
  std::filesystem::create_directories(folder);
  const std::string options = fmt::format("size={}k,mode=0700", kibibytes);
  struct stat here {};
  struct stat above {};
  const bool mounted =
      ::stat(folder.c_str(), &here) == 0 && ::stat((folder + "/..").c_str(), &above) == 0 && here.st_dev != above.st_dev;
  ASSERT_EQ(::mount("tmpfs", folder.c_str(), "tmpfs", mounted ? MS_REMOUNT : 0, options.c_str()), 0) << std::strerror(errno);
}

Filler::Filler(const std::string& folder, size_t kibibytes_left) : path_(folder + "/filler") {
  struct statvfs room {};
  ::statvfs(folder.c_str(), &room);
  const size_t all = room.f_bavail * room.f_bsize;
  const size_t wanted = all - std::min(all, kibibytes_left * 1024);
  std::ofstream(path_, std::ios::binary) << std::string(wanted, 'f');
}

Filler::~Filler() { std::remove(path_.c_str()); }

}  // namespace adyton::faults
