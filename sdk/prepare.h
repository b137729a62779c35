// From a configuration to a VM that can be started: checks, images, open files. Whoever starts VMs, the service's client or the
// CLI, starts from this.
#pragma once
#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <vector>

#include "adyton/virtual_machine_config.h"
#include "base/result.h"
#include "base/unique_fd.h"
#include "guest/exec_protocol.h"
#include "guest/image/cache.h"
#include "guest/image/progress.h"

namespace adyton::sdk {

struct PreparedDisk {
  UniqueFd image;
  bool writable = false;
  std::string serial;
};

struct PreparedVm {
  UniqueFd kernel;  // or firmware
  UniqueFd firmware;
  UniqueFd initrd;  // may be invalid: there is none
  std::string command_line;
  std::vector<PreparedDisk> disks;
  uint64_t memory_bytes = 0;
  uint32_t cpu_count = 1;
  IsolationLevel isolation = IsolationLevel::kNone;
  bool virtio_console = false;
  uint32_t watchdog_seconds = 0;
  std::optional<guest::ExecRequest> request;  // none: a custom VM

  [[nodiscard]] bool has_writable_disk() const;
};

struct PreparationError {
  Error error;
  int exit_code = guest::kExitError;  // 126 and 127 if it is the payload's fault
};

// Cheap checks come first: a mistake is reported before anything is fetched or built. Blocks, for minutes if the guest's kernel
// has to be fetched; any thread.
std::expected<PreparedVm, PreparationError> prepare(const VirtualMachineConfig& config, const image::Progress& progress = {});

// Puts the guest's kernel and initramfs into the cache; of Debian's suite `kernel_suite`, empty as in
// VirtualMachineConfig::Builder::setKernelSuite(). Returns where the cache is.
Result<std::string> prepare_cache(const std::string& kernel_suite, const image::Progress& progress = {});

// What is in the cache, oldest use first.
Result<std::vector<image::Cache::Entry>> cached_files();
// Removes those that no VM has open, and marks the others as in use.
Result<void> remove_cached_files(std::vector<image::Cache::Entry>& files);

}  // namespace adyton::sdk
