// gdb's `monitor` commands: text in, text out. The names are those that users of QEMU's monitor know.
#pragma once
#include <string>
#include <string_view>

#include "vmm/gdb/registers.h"
#include "vmm/gdb/target.h"

namespace adyton::vmm::gdb {

// Everything stands still. `current` is the vCPU of the thread that the debugger looks at. Lines end with a newline.
std::string monitor_command(Target& target, const Registers& registers, unsigned current, std::string_view line);

}  // namespace adyton::vmm::gdb
