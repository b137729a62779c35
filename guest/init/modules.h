// Loads the kernel modules that the image builder put into the initramfs.
//
// The list (kModuleList) has one line per module, "GROUP PATH", in an order in which every module comes after those it needs. A
// group is loaded only where it is of use, because each module costs boot time: "base" always; "virtioN" when the
// bus has a virtio device of type N (virtio 1.2, section 5); "watchdog" when the board has one; "disk" when the request names a
// disk.
#pragma once
#include <set>
#include <string>
#include <vector>

#include "base/result.h"

namespace adyton::guest {

inline constexpr char kModuleList[] = "/lib/modules/adyton.order";

struct ModuleEntry {
  std::string group;
  std::string path;
};

// Takes the text of the list.
std::vector<ModuleEntry> parse_module_list(const std::string& text);

class ModuleLoader {
 public:
  // Reads the list; a kernel with everything built in has an empty one.
  static Result<ModuleLoader> open(const char* list = kModuleList);

  // Loads what `group` names and is not loaded yet.
  Result<void> load(const std::string& group);
  // Loads "virtioN" for each device on the virtio bus, and "watchdog" for the board's.
  Result<void> load_for_present_devices();

 private:
  std::vector<ModuleEntry> entries_;
  std::set<std::string> loaded_;
};

}  // namespace adyton::guest
