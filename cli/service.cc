#include "cli/service.h"

#include <fmt/format.h>

namespace adyton::cli {

Result<std::shared_ptr<VirtualMachineManager>> connect_to_service() { return VirtualMachineManager::connect(); }

Result<std::shared_ptr<VirtualMachine>> find_vm(VirtualMachineManager& manager, const std::string& name) {
  auto vm = TRY(manager.get(name));
  if (!vm) return fail(ErrorCode::kNotFound, fmt::format("there is no virtual machine '{}' (see 'adyton list')", name));
  return vm;
}

Result<std::shared_ptr<VirtualMachine>> find_vm_or_end(VirtualMachineManager& manager, const std::string& name) {
  auto vm = TRY(manager.get(name));
  if (vm) return vm;
  return fail(ErrorCode::kNotFound,
              fmt::format("there is no virtual machine '{}' (see 'adyton list'); of one that was run without --name, or with --rm, "
                          "nothing is kept when it ends",
                          name));
}

Result<LastRun> last_run_of(VirtualMachine& vm) {
  auto last = TRY(vm.getLastRun());
  if (last) return std::move(*last);
  return fail(ErrorCode::kNotFound,
              fmt::format("'{}' does not run, and nothing is known of a last run: it has never run, or the service was killed "
                          "meanwhile",
                          vm.getName()));
}

void discard_unused(VirtualMachineManager& manager, const std::string& name) {
  const auto vm = manager.get(name);
  if (!vm || !*vm) return;
  const auto last = (*vm)->getLastRun();
  if (last && *last && (*last)->crash_report) return;
  (void)manager.deleteVm(name);
}

}  // namespace adyton::cli
