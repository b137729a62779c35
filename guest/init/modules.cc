#include "guest/init/modules.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <memory>
#include <string_view>

#include "base/unique_fd.h"

namespace adyton::guest {
namespace {

Result<std::string> read_file(const std::string& path) {
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd.valid()) return fail_errno(path);
  std::string text;
  char chunk[4096];
  for (;;) {
    const ssize_t size = ::read(fd.get(), chunk, sizeof chunk);
    if (size < 0) return fail_errno(path);
    if (size == 0) return text;
    text.append(chunk, static_cast<size_t>(size));
  }
}

}  // namespace

std::vector<ModuleEntry> parse_module_list(const std::string& text) {
  std::vector<ModuleEntry> entries;
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    const std::string line = text.substr(begin, end - begin);
    begin = end + 1;
    if (const size_t space = line.find(' '); space != std::string::npos) entries.push_back({line.substr(0, space), line.substr(space + 1)});
  }
  return entries;
}

Result<ModuleLoader> ModuleLoader::open(const char* list) {
  ModuleLoader loader;
  loader.entries_ = parse_module_list(TRY(read_file(list)));
  return loader;
}

Result<void> ModuleLoader::load(const std::string& group) {
  for (const ModuleEntry& entry : entries_) {
    if (entry.group != group || loaded_.contains(entry.path)) continue;
    const UniqueFd fd(::open(entry.path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!fd.valid()) return fail_errno("opening " + entry.path);
    if (::syscall(SYS_finit_module, fd.get(), "", 0) != 0 && errno != EEXIST) return fail_errno("loading " + entry.path);
    loaded_.insert(entry.path);
  }
  return {};
}

Result<void> ModuleLoader::load_for_present_devices() {
  const std::unique_ptr<DIR, int (*)(DIR*)> directory(::opendir("/sys/bus/virtio/devices"), ::closedir);
  if (!directory) return fail_errno("reading the virtio bus");
  while (const dirent* entry = ::readdir(directory.get())) {
    if (entry->d_name[0] == '.') continue;
    // "0x0013": virtio device type 19.
    const auto type = read_file(std::string("/sys/bus/virtio/devices/") + entry->d_name + "/device");
    if (!type) continue;
    TRY(load("virtio" + std::to_string(std::strtoul(type->c_str(), nullptr, 16))));
  }
  // The device tree's node has made it. From its driver on the kernel itself refreshes a watchdog that firmware left running, as long as
  // nobody has opened it (CONFIG_WATCHDOG_HANDLE_BOOT_ENABLED).
  const std::unique_ptr<DIR, int (*)(DIR*)> platform(::opendir("/sys/bus/platform/devices"), ::closedir);
  while (const dirent* entry = platform ? ::readdir(platform.get()) : nullptr) {
    if (std::string_view(entry->d_name).ends_with(".watchdog")) TRY(load("watchdog"));
  }
  return {};
}

}  // namespace adyton::guest
