#include <algorithm>
#include <chrono>
#include <filesystem>

#include "adyton/virtual_machine_config.h"
#include "sdk/config_data.h"

namespace adyton {
namespace {

// An empty path stays empty: build() says so.
std::string absolute(const std::string& path) {
  std::error_code error;
  auto full = std::filesystem::absolute(path.starts_with("./") ? path.substr(2) : path, error);
  return path.empty() || error ? path : full.string();
}

}  // namespace

using Builder = VirtualMachineConfig::Builder;

Builder::Builder() : data_(std::make_unique<Data>()) {}
Builder::~Builder() = default;
Builder::Builder(const Builder& other) : data_(std::make_unique<Data>(*other.data_)) {}
Builder& Builder::operator=(const Builder& other) {
  *data_ = *other.data_;
  return *this;
}

Builder& Builder::setPayload(std::string path) {
  data_->payload = absolute(path);
  data_->argv0 = std::move(path);
  return *this;
}
Builder& Builder::setRootDirectory(std::string path) {
  data_->root_directory = absolute(path);
  return *this;
}
Builder& Builder::setProgram(std::string path) {
  data_->argv0 = path;
  data_->program = std::move(path);
  return *this;
}
Builder& Builder::setArguments(std::vector<std::string> arguments) {
  data_->arguments = std::move(arguments);
  return *this;
}
Builder& Builder::setEnvironment(std::vector<std::string> entries) {
  data_->environment = std::move(entries);
  return *this;
}
Builder& Builder::addEnvironment(std::string_view name, std::string_view value) {
  data_->environment.push_back(std::string(name) + "=" + std::string(value));
  return *this;
}
Builder& Builder::setWorkingDirectory(std::string path) {
  data_->working_directory = std::move(path);
  return *this;
}
Builder& Builder::addMount(HostMount mount) {
  mount.source = absolute(mount.source);
  data_->mounts.push_back(std::move(mount));
  return *this;
}
Builder& Builder::setTerminal(TerminalSize size) {
  data_->terminal = size;
  return *this;
}
Builder& Builder::setKernel(std::string path) {
  data_->kernel = absolute(path);
  return *this;
}
Builder& Builder::setInitrd(std::string path) {
  data_->initrd = absolute(path);
  return *this;
}
Builder& Builder::setKernelParameters(std::string parameters) {
  data_->kernel_parameters = std::move(parameters);
  return *this;
}
Builder& Builder::setFirmware(std::string path) {
  data_->firmware = absolute(path);
  return *this;
}
Builder& Builder::setKernelSuite(std::string suite) {
  data_->kernel_suite = std::move(suite);
  return *this;
}
Builder& Builder::setVirtioConsole(bool virtio) {
  data_->virtio_console = virtio;
  return *this;
}
Builder& Builder::setWatchdogTimeout(std::chrono::seconds timeout) {
  data_->watchdog_seconds = static_cast<uint32_t>(std::clamp<int64_t>(timeout.count(), -1, UINT32_MAX - 1));
  return *this;
}
Builder& Builder::addDisk(HostDisk disk) {
  disk.path = absolute(disk.path);
  data_->disks.push_back(std::move(disk));
  return *this;
}
Builder& Builder::setMemoryBytes(uint64_t bytes) {
  data_->memory_bytes = bytes;
  return *this;
}
Builder& Builder::setCpuCount(uint32_t count) {
  data_->cpu_count = count;
  data_->match_host = false;
  return *this;
}
Builder& Builder::setCpuTopology(CpuTopology topology) {
  data_->cpu_count = 1;
  data_->match_host = topology == CpuTopology::kMatchHost;
  return *this;
}
Builder& Builder::setIsolation(IsolationLevel level) {
  data_->isolation = level;
  return *this;
}
Builder& Builder::setProtectedVm(bool is_protected) {
  data_->isolation = is_protected ? IsolationLevel::kHypervisor : IsolationLevel::kNone;
  return *this;
}
Builder& Builder::setDebugLevel(DebugLevel level) {
  data_->debug_level = level;
  return *this;
}
Builder& Builder::setVmOutputCaptured(bool captured) {
  data_->output_captured = captured;
  return *this;
}
Builder& Builder::setVmConsoleInputSupported(bool supported) {
  data_->console_input_supported = supported;
  return *this;
}
Builder& Builder::setVerboseBoot(bool verbose) {
  data_->verbose_boot = verbose;
  return *this;
}
Builder& Builder::setBootTimeoutMillis(uint32_t milliseconds) {
  data_->boot_timeout_millis = milliseconds;
  return *this;
}

Result<VirtualMachineConfig> Builder::build() const {
  TRY(data_->check());
  return VirtualMachineConfig(std::make_shared<const Data>(*data_));
}

}  // namespace adyton
