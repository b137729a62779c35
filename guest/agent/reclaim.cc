#include "guest/agent/reclaim.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cctype>
#include <cinttypes>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

namespace adyton::guest {
namespace {

constexpr size_t kMaxRanges = 64;  // in one call

void tell(const UniqueFd& file, const char* what) {
  if (file.valid()) (void)!::pwrite(file.get(), what, 1, 0);
}

// Mappings of files, of which the kernel has the contents elsewhere. proc(5): "start-end perms offset device inode path".
std::vector<iovec> file_mappings(FILE* maps) {
  std::vector<iovec> ranges;
  char* line = nullptr;
  size_t room = 0;
  while (::getline(&line, &room, maps) > 0) {
    uint64_t start = 0, end = 0, inode = 0;
    if (std::sscanf(line, "%" SCNx64 "-%" SCNx64 " %*s %*s %*s %" SCNu64, &start, &end, &inode) != 3) continue;
    if (inode != 0 && end > start) ranges.push_back({reinterpret_cast<void*>(start), end - start});
  }
  std::free(line);
  return ranges;
}

void page_out(int processes, pid_t pid) {
  const UniqueFd process(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
  const int maps = ::openat(processes, (std::to_string(pid) + "/maps").c_str(), O_RDONLY | O_CLOEXEC);
  if (maps < 0) return;
  const std::unique_ptr<FILE, int (*)(FILE*)> file(::fdopen(maps, "r"), ::fclose);
  if (!process.valid() || !file) return;
  const auto ranges = file_mappings(file.get());
  for (size_t at = 0; at < ranges.size(); at += kMaxRanges) {
    const size_t count = std::min(kMaxRanges, ranges.size() - at);
    ::syscall(SYS_process_madvise, process.get(), ranges.data() + at, count, MADV_PAGEOUT, 0);
  }
}

}  // namespace

Reclaim::Reclaim()
    : processes_(::open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC)),
      drop_caches_(::open("/proc/sys/vm/drop_caches", O_WRONLY | O_CLOEXEC)),
      compact_memory_(::open("/proc/sys/vm/compact_memory", O_WRONLY | O_CLOEXEC)) {}

void Reclaim::run() const {
  page_out_everyone();
  tell(drop_caches_, "3");
  tell(compact_memory_, "1");
}

void Reclaim::page_out_everyone() const {
  const int copy = ::openat(processes_.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (copy < 0) return;
  const std::unique_ptr<DIR, int (*)(DIR*)> folder(::fdopendir(copy), ::closedir);
  if (!folder) return;
  while (const dirent* entry = ::readdir(folder.get())) {
    if (std::isdigit(static_cast<unsigned char>(entry->d_name[0])) == 0) continue;
    const int pid = std::atoi(entry->d_name);
    if (pid != ::getpid()) page_out(copy, pid);
  }
}

}  // namespace adyton::guest
