// Where a program's virtual machines come from: its connection to the user's virtualization service (adytond), which is started
// if it does not run.
//
//   auto manager = VirtualMachineManager::connect();
//   auto vm = (*manager)->create("worker", config);
//   (*vm)->setCallback(...);
//   (*vm)->run();
#pragma once
#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "adyton/capabilities.h"
#include "adyton/service_statistics.h"
#include "adyton/virtual_machine.h"
#include "adyton/virtual_machine_config.h"
#include "base/result.h"

namespace adyton {

struct ManagerOptions {
  // The folder of the service's socket. Empty: $ADYTON_RUNTIME_DIR, $XDG_RUNTIME_DIR/adyton, or /tmp/adyton-UID.
  std::string runtime_directory;
  // Start the service if it does not run. The program: $ADYTON_ADYTOND, beside this program, in libexec/adyton of its prefix, or
  // in PATH.
  bool start_service = true;
  std::chrono::milliseconds start_timeout{10'000};
};

// Threading: any thread. The VMs may outlive it.
class VirtualMachineManager {
 public:
  // kUnavailable, with what was tried, if there is no service and none could be started.
  static Result<std::shared_ptr<VirtualMachineManager>> connect(const ManagerOptions& options = {});
  ~VirtualMachineManager();
  VirtualMachineManager(const VirtualMachineManager&) = delete;
  VirtualMachineManager& operator=(const VirtualMachineManager&) = delete;

  // A VM that stays: its record (configuration, identity) is kept until deleteVm(). kInvalidArgument if there is one of that
  // name, or the name is not 1 to 255 bytes of UTF-8 without '/', ':' and control characters, or is "." or "..".
  Result<std::shared_ptr<VirtualMachine>> create(const std::string& name, const VirtualMachineConfig& config);
  // The VM of that name: one with a record, or a running one without. Null if there is none. As long as somebody holds it, it is
  // the same object.
  Result<std::shared_ptr<VirtualMachine>> get(const std::string& name);
  // The one that exists, as it is, or a new one.
  Result<std::shared_ptr<VirtualMachine>> getOrCreate(const std::string& name, const VirtualMachineConfig& config);
  // A VM without record: what there is of it ends with its run. `name` may be empty: the service gives one then.
  Result<std::shared_ptr<VirtualMachine>> createTemporary(const VirtualMachineConfig& config, const std::string& name = {});
  // A VM with copies of the descriptor's files, and so with the same identity. The descriptor is used up.
  Result<std::shared_ptr<VirtualMachine>> importFromDescriptor(const std::string& name, VirtualMachine::Descriptor descriptor);
  // Deletes the record and all that belongs to it, for good. kUnavailable while the VM runs, kNotFound without it.
  Result<void> deleteVm(const std::string& name);

  Result<Capabilities> capabilities();
  Result<ResourceUsage> resourceUsage();
  // All running VMs of this user, of all programs, by cid.
  Result<std::vector<VirtualMachineInfo>> listRunning();
  // The same, with what they have done.
  struct Activity {
    VirtualMachineInfo info;
    std::optional<VirtualMachineStatistics> statistics;  // none: it does not run yet, or its process does not answer
  };
  Result<std::vector<Activity>> listActivity();
  // Calls to the service, its host's pressure and its own use.
  Result<ServiceStatistics> serviceStatistics();
  // All that have a record, by name.
  Result<std::vector<std::string>> listRecords();

  // What was kept of the VMs of that name, or if it is empty of all, that crashed; the newest first.
  Result<std::vector<CrashReport>> listCrashReports(const std::string& name = {});
  // A file, for reading. kNotFound: it has had to make room for newer ones, or its VM was deleted.
  Result<UniqueFd> openCrashReport(const CrashReport& report);

  class Impl;  // private to the library
  [[nodiscard]] Impl& impl() const { return *impl_; }

 private:
  explicit VirtualMachineManager(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}
  std::shared_ptr<Impl> impl_;
};

}  // namespace adyton
