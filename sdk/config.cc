#include <fmt/format.h>

#include "adyton/virtual_machine_config.h"
#include "guest/image/kernel_package.h"
#include "sdk/config_data.h"
#include "sdk/size.h"

namespace adyton {
namespace {

std::unexpected<Error> bad(std::string message) { return fail(ErrorCode::kInvalidArgument, std::move(message)); }

std::string file_name(const std::string& path) {
  const size_t end = path.find_last_not_of('/');
  if (end == std::string::npos) return "/";
  const size_t slash = path.rfind('/', end);
  return path.substr(slash + 1, end - slash);
}

bool has_zero(const std::string& text) { return text.find('\0') != std::string::npos; }

}  // namespace

std::string_view to_string(IsolationLevel level) {
  switch (level) {
    case IsolationLevel::kNone: return "none";
    case IsolationLevel::kProcess: return "process";
    case IsolationLevel::kHypervisor: return "hypervisor";
  }
  return "unknown";
}

// ---- the data ------------------------------------------------------------------------------------------------------------

std::string VirtualMachineConfig::Data::payload_name() const {
  for (const auto* path : {&program, &payload, &root_directory, &kernel, &firmware}) {
    if (*path) return file_name(**path);
  }
  return {};
}

Result<void> VirtualMachineConfig::Data::check() const {
  const int kinds = int{payload.has_value()} + int{root_directory.has_value()} + int{custom()};
  if (kinds == 0) return bad("nothing to run: the configuration has no payload, root directory, kernel or firmware");
  if (kinds > 1) return bad("a payload, a root directory, and a kernel or firmware exclude each other");
  if (kernel && firmware) return bad("a kernel and firmware exclude each other");
  if (!kernel && (initrd || !kernel_parameters.empty())) return bad("an initrd and kernel parameters need a kernel");
  if (program && !root_directory) return bad("a program's name needs a root directory that it is in");
  for (const auto* path : {&payload, &root_directory, &program, &kernel, &initrd, &firmware}) {
    if (*path && ((*path)->empty() || has_zero(**path))) return bad("a path is empty or has a zero byte in it");
  }
  if (!kernel_suite.empty()) {
    TRY(image::check_suite(kernel_suite));
    if (custom()) return bad("a suite for the guest's kernel is for payloads: a custom VM brings its own kernel");
  }
  if (custom()) {
    if (!arguments.empty() || !environment.empty() || !mounts.empty() || terminal || working_directory != "/") {
      return bad("arguments, environment, working directory, mounts and terminal are for payloads: a custom VM has none");
    }
  } else if (virtio_console) {
    return bad("a virtio console is for custom VMs: a payload's streams travel over vsock");
  } else if (memory_bytes < kMinPayloadMemoryBytes && memory_bytes != 0) {
    return bad(fmt::format("{} of memory is too little for the guest's kernel, which needs {}", sdk::format_size(memory_bytes),
                           sdk::format_size(kMinPayloadMemoryBytes)));
  }
  if (watchdog_seconds > kMaxWatchdogSeconds) return bad("a watchdog waits for 1 second to a day");
  if (!working_directory.starts_with('/'))
    return bad(fmt::format("the working directory '{}' is not an absolute path", working_directory));
  for (const std::string& entry : environment) {
    const size_t equals = entry.find('=');
    if (equals == std::string::npos || equals == 0) return bad(fmt::format("the environment's '{}' is not NAME=value", entry));
    if (has_zero(entry)) return bad("the environment has a zero byte in it");
  }
  for (const std::string& argument : arguments) {
    if (has_zero(argument)) return bad("an argument has a zero byte in it");
  }
  for (const HostMount& mount : mounts) {
    if (mount.source.empty()) return bad("a mount has no source");
    if (!mount.target.starts_with('/')) return bad(fmt::format("the mount target '{}' is not an absolute path", mount.target));
  }
  for (const HostDisk& disk : disks) {
    if (disk.path.empty()) return bad("a disk has no path");
  }
  if (disks.size() + mounts.size() + 1 > kMaxDisks)
    return bad(fmt::format("a VM has room for {} disks and mounts together", kMaxDisks - 1));
  // In front of them "panic=-1 " may come.
  if (kernel_parameters.size() > kMaxKernelParameters - 9)
    return bad(fmt::format("the kernel's parameters are longer than {} bytes", kMaxKernelParameters - 9));
  if (memory_bytes == 0) return bad("a VM needs memory");
  if (memory_bytes > kMaxMemoryBytes) return bad("a VM has at most 1 TiB of memory");
  if (cpu_count == 0) return bad("a VM needs at least one CPU");
  if (cpu_count > kMaxCpus) return bad(fmt::format("{} CPUs: a VM has at most {}", cpu_count, kMaxCpus));
  if (!isolation) return bad("setIsolation() or setProtectedVm() has not been called: there is no default");
  if (output_captured && debug_level != DebugLevel::kFull) return bad("captured output needs debug level full");
  if (console_input_supported && !output_captured) return bad("console input needs captured output");
  return {};
}

// ---- the configuration ---------------------------------------------------------------------------------------------------

bool VirtualMachineConfig::isCompatibleWith(const VirtualMachineConfig& other) const {
  const Data& a = *data_;
  const Data& b = *other.data_;
  return a.isolation == b.isolation && a.debug_level == b.debug_level && a.output_captured == b.output_captured &&
         a.console_input_supported == b.console_input_supported && a.custom() == b.custom() &&
         a.payload.has_value() == b.payload.has_value() && a.payload_name() == b.payload_name();
}

bool VirtualMachineConfig::isCustom() const { return data_->custom(); }
const std::optional<std::string>& VirtualMachineConfig::getPayload() const { return data_->payload; }
const std::optional<std::string>& VirtualMachineConfig::getRootDirectory() const { return data_->root_directory; }
const std::optional<std::string>& VirtualMachineConfig::getProgram() const { return data_->program; }
const std::vector<std::string>& VirtualMachineConfig::getArguments() const { return data_->arguments; }
const std::vector<std::string>& VirtualMachineConfig::getEnvironment() const { return data_->environment; }
const std::string& VirtualMachineConfig::getWorkingDirectory() const { return data_->working_directory; }
const std::vector<HostMount>& VirtualMachineConfig::getMounts() const { return data_->mounts; }
const std::vector<HostDisk>& VirtualMachineConfig::getDisks() const { return data_->disks; }
const std::optional<TerminalSize>& VirtualMachineConfig::getTerminal() const { return data_->terminal; }
const std::optional<std::string>& VirtualMachineConfig::getKernel() const { return data_->kernel; }
const std::optional<std::string>& VirtualMachineConfig::getInitrd() const { return data_->initrd; }
const std::optional<std::string>& VirtualMachineConfig::getFirmware() const { return data_->firmware; }
const std::string& VirtualMachineConfig::getKernelParameters() const { return data_->kernel_parameters; }
const std::string& VirtualMachineConfig::getKernelSuite() const { return data_->kernel_suite; }
std::chrono::seconds VirtualMachineConfig::getWatchdogTimeout() const { return std::chrono::seconds(data_->watchdog_seconds); }
bool VirtualMachineConfig::isVirtioConsole() const { return data_->virtio_console; }
uint64_t VirtualMachineConfig::getMemoryBytes() const { return data_->memory_bytes; }
uint32_t VirtualMachineConfig::getCpuCount() const { return data_->match_host ? 0 : data_->cpu_count; }
IsolationLevel VirtualMachineConfig::getIsolation() const { return *data_->isolation; }
DebugLevel VirtualMachineConfig::getDebugLevel() const { return data_->debug_level; }
bool VirtualMachineConfig::isVmOutputCaptured() const { return data_->output_captured; }
bool VirtualMachineConfig::isVmConsoleInputSupported() const { return data_->console_input_supported; }
bool VirtualMachineConfig::isVerboseBoot() const { return data_->verbose_boot; }
uint32_t VirtualMachineConfig::getBootTimeoutMillis() const { return data_->boot_timeout_millis; }

}  // namespace adyton
