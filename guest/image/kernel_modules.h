// Which kernel modules the guest needs, and in which order.
#pragma once
#include <functional>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "guest/image/files.h"

namespace adyton::image {

// A module as kmod names it: the file name without ".ko" and its compression, '-' turned into '_'.
std::string module_name(const std::string& path);

// The modules that `file` (a .ko) names in its .modinfo section as needed before it. depmod derives modules.dep from the same
// fields and is not needed for that reason; packages do not carry modules.dep.
std::vector<std::string> module_dependencies(std::span<const uint8_t> file);

// A set of modules that init loads together; see guest/init/modules.h for the groups' names.
struct ModuleGroup {
  std::string name;
  std::vector<std::string> modules;
  bool required = true;  // false: a kernel that lacks the modules will do
};

// What the guest needs.
std::vector<ModuleGroup> guest_module_groups();

struct OrderedModule {
  std::string group;
  std::string name;
  Bytes file;  // decompressed
};

// The modules of a kernel package.
class ModuleSet {
 public:
  // `files`: path -> .ko, .ko.xz, .ko.zst or .ko.gz. `builtin`: the text of modules.builtin.
  ModuleSet(std::map<std::string, Bytes> files, const std::string& builtin);

  // The groups' modules that are not built in, each after those it needs. A module that two groups need appears in both (the
  // second load is a no-op for init).
  Result<std::vector<OrderedModule>> resolve(const std::vector<ModuleGroup>& groups) const;

 private:
  Result<void> add(const std::string& group, const std::string& name, std::vector<std::string>& path, std::vector<OrderedModule>& order) const;

  std::map<std::string, Bytes> files_;  // by module name
  std::map<std::string, bool> builtin_;
};

}  // namespace adyton::image
