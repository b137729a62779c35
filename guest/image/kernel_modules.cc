#include "guest/image/kernel_modules.h"

#include <fmt/format.h>

#include <algorithm>

#include "guest/image/deb_package.h"
#include "guest/image/elf_file.h"

namespace adyton::image {

std::string module_name(const std::string& path) {
  std::string name = path.substr(path.rfind('/') + 1);
  if (const size_t suffix = name.find(".ko"); suffix != std::string::npos) name.resize(suffix);
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
}

std::vector<std::string> module_dependencies(std::span<const uint8_t> file) {
  // "name=value" strings, each ended by a NUL.
  const std::span<const uint8_t> info = elf_section(file, ".modinfo");
  const std::string text(info.begin(), info.end());
  std::vector<std::string> result;
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find('\0', begin), text.size());
    std::string field = text.substr(begin, end - begin);
    begin = end + 1;
    if (!field.starts_with("depends=")) continue;
    field.erase(0, field.find('=') + 1);
    for (size_t start = 0; start < field.size();) {
      const size_t comma = std::min(field.find(',', start), field.size());
      if (comma > start) result.push_back(module_name(field.substr(start, comma - start)));
      start = comma + 1;
    }
  }
  return result;
}

std::vector<ModuleGroup> guest_module_groups() {
  return {
      {"base", {"virtio_mmio", "vmw_vsock_virtio_transport"}},
      {"virtio2", {"virtio_blk"}},
      {"virtio3", {"virtio_console"}, false},
      {"virtio4", {"virtio_rng"}, false},
      {"virtio5", {"virtio_balloon"}, false},
      {"watchdog", {"sbsa_gwdt"}, false},
      {"disk", {"virtio_blk", "erofs", "overlay"}},
  };
}

ModuleSet::ModuleSet(std::map<std::string, Bytes> files, const std::string& builtin) {
  for (auto& [path, file] : files) files_[module_name(path)] = std::move(file);
  for (size_t begin = 0; begin < builtin.size();) {
    const size_t end = std::min(builtin.find('\n', begin), builtin.size());
    if (end > begin) builtin_[module_name(builtin.substr(begin, end - begin))] = true;
    begin = end + 1;
  }
}

Result<std::vector<OrderedModule>> ModuleSet::resolve(const std::vector<ModuleGroup>& groups) const {
  std::vector<OrderedModule> order;
  for (const ModuleGroup& group : groups) {
    for (const std::string& name : group.modules) {
      if (!group.required && !builtin_.contains(name) && !files_.contains(name)) continue;
      std::vector<std::string> path;
      TRY(add(group.name, name, path, order));
    }
  }
  return order;
}

Result<void> ModuleSet::add(const std::string& group, const std::string& name, std::vector<std::string>& path, std::vector<OrderedModule>& order) const {
  if (builtin_.contains(name)) return {};
  if (std::any_of(order.begin(), order.end(), [&](const OrderedModule& module) { return module.group == group && module.name == name; })) return {};
  if (std::find(path.begin(), path.end(), name) != path.end()) return fail(ErrorCode::kCorrupt, fmt::format("the kernel's module {} needs itself", name));
  const auto found = files_.find(name);
  if (found == files_.end()) return fail(ErrorCode::kNotFound, fmt::format("the kernel's package has no module {}", name));
  Bytes file = TRY(decompress(found->second));
  path.push_back(name);
  for (const std::string& needed : module_dependencies(file)) TRY(add(group, needed, path, order));
  path.pop_back();
  order.push_back({group, name, std::move(file)});
  return {};
}

}  // namespace adyton::image
