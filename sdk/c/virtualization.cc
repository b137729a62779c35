// The C interface, on the C++ one.
#include "adyton/virtualization.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <memory>
#include <string>

#include "adyton/adyton.h"
#include "rpc/utf.h"
#include "sdk/manager_impl.h"
#include "sdk/virtual_machine_impl.h"

using adyton::Error;
using adyton::ErrorCode;
using adyton::Result;
using adyton::UniqueFd;

struct AVirtualMachineRawConfig {
  struct Disk {
    UniqueFd fd;
    bool writable = false;
  };
  std::string name;
  std::array<uint8_t, 64> instance_id{};
  UniqueFd kernel;
  UniqueFd initrd;
  std::vector<Disk> disks;
  uint64_t memory_mib = 256;
  uint64_t swiotlb_mib = 0;
  uint32_t cpu_count = 1;
  bool is_protected = false;
};

struct AVirtualizationService {
  std::shared_ptr<adyton::VirtualMachineManager> manager;
};

struct AVirtualMachine {
  std::shared_ptr<adyton::VirtualMachine> vm;
  UniqueFd console_out;
  UniqueFd console_in;
  UniqueFd log;
  std::mutex mutex;
  std::string error;  // guarded by mutex
};

struct AdytonAppConfig {
  std::string name;
  adyton::VirtualMachineConfig::Builder builder;
  std::vector<std::string> arguments;
};

struct AdytonVirtualMachineDescriptor {
  adyton::VirtualMachine::Descriptor files;
};

namespace {

constexpr size_t kMaxName = 255;

Result<UniqueFd> duplicate(const UniqueFd& fd) {
  if (!fd.valid()) return UniqueFd();
  UniqueFd copy(::fcntl(fd.get(), F_DUPFD_CLOEXEC, 3));
  if (!copy.valid()) return adyton::fail_errno("cannot use a file of the virtual machine");
  return copy;
}

// The VM's files, once for each start.
Result<adyton::sdk::PreparedVm> files_of(const AVirtualMachineRawConfig& config) {
  adyton::sdk::PreparedVm vm;
  vm.kernel = TRY(duplicate(config.kernel));
  vm.initrd = TRY(duplicate(config.initrd));
  for (size_t i = 0; i < config.disks.size(); ++i) {
    vm.disks.push_back({.image = TRY(duplicate(config.disks[i].fd)),
                        .writable = config.disks[i].writable,
                        .serial = "disk" + std::to_string(i)});
  }
  vm.memory_bytes = (config.memory_mib + (config.is_protected ? config.swiotlb_mib : 0)) << 20;
  vm.cpu_count = config.cpu_count;
  vm.isolation = config.is_protected ? adyton::IsolationLevel::kHypervisor : adyton::IsolationLevel::kNone;
  return vm;
}

bool is_name(const char* name) {
  if (name == nullptr || *name == '\0' || std::strlen(name) > kMaxName) return false;
  if (std::strcmp(name, ".") == 0 || std::strcmp(name, "..") == 0) return false;
  for (const char* c = name; *c != '\0'; ++c) {
    if (*c == '/' || static_cast<unsigned char>(*c) < 0x20 || *c == 0x7f) return false;
  }
  return adyton::rpc::utf16_from_utf8(name).has_value();
}

AVirtualMachineStopReason to_c(adyton::StopReason reason) {
  switch (reason) {
    case adyton::StopReason::kVirtualizationServiceDied: return AVIRTUAL_MACHINE_VIRTUALIZATION_SERVICE_DIED;
    case adyton::StopReason::kInfrastructureError: return AVIRTUAL_MACHINE_INFRASTRUCTURE_ERROR;
    case adyton::StopReason::kKilled: return AVIRTUAL_MACHINE_KILLED;
    case adyton::StopReason::kUnknown: return AVIRTUAL_MACHINE_UNKNOWN;
    case adyton::StopReason::kShutdown: return AVIRTUAL_MACHINE_SHUTDOWN;
    case adyton::StopReason::kStartFailed: return AVIRTUAL_MACHINE_START_FAILED;
    case adyton::StopReason::kReboot: return AVIRTUAL_MACHINE_REBOOT;
    case adyton::StopReason::kCrash: return AVIRTUAL_MACHINE_CRASH;
    case adyton::StopReason::kPvmFirmwarePublicKeyMismatch: return AVIRTUAL_MACHINE_PVM_FIRMWARE_PUBLIC_KEY_MISMATCH;
    case adyton::StopReason::kPvmFirmwareInstanceImageChanged: return AVIRTUAL_MACHINE_PVM_FIRMWARE_INSTANCE_IMAGE_CHANGED;
    case adyton::StopReason::kHangup: return AVIRTUAL_MACHINE_HANGUP;
    default: return AVIRTUAL_MACHINE_UNRECOGNISED;
  }
}

void put_text(const std::string& text, char* to, size_t size) {
  if (to == nullptr || size == 0) return;
  const size_t length = std::min(text.size(), size - 1);
  std::memcpy(to, text.data(), length);
  to[length] = '\0';
}

int failed(AVirtualMachine& vm, const Error& error) {
  const std::lock_guard lock(vm.mutex);
  vm.error = error.message;
  return -EIO;
}

int done(AVirtualMachine& vm, const Result<void>& result) {
  if (!result) return failed(vm, result.error());
  const std::lock_guard lock(vm.mutex);
  vm.error.clear();
  return 0;
}

AVirtualMachine* make_vm(std::shared_ptr<adyton::VirtualMachine> vm, UniqueFd console_out, UniqueFd console_in, UniqueFd log) {
  auto made = std::make_unique<AVirtualMachine>();
  made->vm = std::move(vm);
  made->console_out = std::move(console_out);
  made->console_in = std::move(console_in);
  made->log = std::move(log);
  return made.release();
}

}  // namespace

extern "C" {

// ---- libavf --------------------------------------------------------------------------------------------------------------

AVirtualMachineRawConfig* AVirtualMachineRawConfig_create(void) { return new AVirtualMachineRawConfig(); }
void AVirtualMachineRawConfig_destroy(AVirtualMachineRawConfig* config) { delete config; }

int AVirtualMachineRawConfig_setName(AVirtualMachineRawConfig* config, const char* name) {
  if (!is_name(name)) return -EINVAL;
  config->name = name;
  return 0;
}

int AVirtualMachineRawConfig_setInstanceId(AVirtualMachineRawConfig* config, const uint8_t* instanceId, size_t instanceIdSize) {
  if (instanceIdSize != config->instance_id.size()) return -EINVAL;
  std::copy_n(instanceId, instanceIdSize, config->instance_id.begin());
  return 0;
}

void AVirtualMachineRawConfig_setKernel(AVirtualMachineRawConfig* config, int fd) { config->kernel.reset(fd); }
void AVirtualMachineRawConfig_setInitRd(AVirtualMachineRawConfig* config, int fd) { config->initrd.reset(fd); }
void AVirtualMachineRawConfig_addDisk(AVirtualMachineRawConfig* config, int fd, bool writable) {
  config->disks.push_back({.fd = UniqueFd(fd), .writable = writable});
}
void AVirtualMachineRawConfig_setMemoryMiB(AVirtualMachineRawConfig* config, int32_t memoryMiB) {
  config->memory_mib = memoryMiB > 0 ? static_cast<uint64_t>(memoryMiB) : 256;
}
void AVirtualMachineRawConfig_setSwiotlbMiB(AVirtualMachineRawConfig* config, int32_t swiotlbMiB) {
  config->swiotlb_mib = swiotlbMiB > 0 ? static_cast<uint64_t>(swiotlbMiB) : 0;
}
void AVirtualMachineRawConfig_setVCpuCount(AVirtualMachineRawConfig* config, int32_t n) {
  config->cpu_count = n > 0 ? static_cast<uint32_t>(n) : 1;
}
void AVirtualMachineRawConfig_setProtectedVm(AVirtualMachineRawConfig* config, bool protectedVm) {
  config->is_protected = protectedVm;
}
int AVirtualMachineRawConfig_setHypervisorSpecificAuthMethod(AVirtualMachineRawConfig*, bool enable) {
  return enable ? -ENOTSUP : 0;
}
int AVirtualMachineRawConfig_addCustomMemoryBackingFile(AVirtualMachineRawConfig*, int fd, uint64_t, uint64_t) {
  const UniqueFd ours(fd);
  return -ENOTSUP;
}

int AVirtualizationService_create(AVirtualizationService** service, bool) {
  auto manager = adyton::VirtualMachineManager::connect();
  if (!manager) return manager.error().code == ErrorCode::kNotFound ? -ENOENT : -ECONNREFUSED;
  *service = new AVirtualizationService{std::move(*manager)};
  return 0;
}
void AVirtualizationService_destroy(AVirtualizationService* service) { delete service; }

int AVirtualMachine_createRaw(const AVirtualizationService* service, AVirtualMachineRawConfig* config, int consoleOutFd,
                              int consoleInFd, int logFd, AVirtualMachine** vm) {
  std::shared_ptr<const AVirtualMachineRawConfig> ours(config);
  UniqueFd console_out(consoleOutFd);
  UniqueFd console_in(consoleInFd);
  UniqueFd log(logFd);
  if (!ours->kernel.valid()) return -EIO;
  auto impl = std::make_unique<adyton::VirtualMachine::Impl>(service->manager->impl().connection, ours->name,
                                                             /*persistent=*/false, std::nullopt);
  impl->set_instance_id(ours->instance_id);
  impl->set_source([ours] { return files_of(*ours); });
  *vm = make_vm(std::make_shared<adyton::VirtualMachine>(std::move(impl)), std::move(console_out), std::move(console_in),
                std::move(log));
  return 0;
}

int AVirtualMachine_start(AVirtualMachine* vm) {
  adyton::VirtualMachine::RunOptions options;
  for (const auto& [from, to] : {std::pair(&vm->console_out, &options.console_output),
                                 {&vm->console_in, &options.console_input},
                                 {&vm->log, &options.log}}) {
    auto copy = duplicate(*from);
    if (!copy) return failed(*vm, copy.error());
    *to = std::move(*copy);
  }
  return done(*vm, vm->vm->run(std::move(options)));
}

int AVirtualMachine_stop(AVirtualMachine* vm) { return done(*vm, vm->vm->stop()); }

int AVirtualMachine_connectVsock(AVirtualMachine* vm, uint32_t port) {
  auto stream = vm->vm->connectVsock(port);
  return stream ? stream->release() : failed(*vm, stream.error());
}

bool AVirtualMachine_waitForStop(AVirtualMachine* vm, const struct timespec* timeout, AVirtualMachineStopReason* reason) {
  std::optional<std::chrono::milliseconds> patience;
  if (timeout != nullptr) {
    // Longer than a century is for ever, and more than the clock takes.
    constexpr int64_t kMaxSeconds = int64_t{3'000'000'000};
    const auto seconds = std::chrono::seconds(std::clamp<int64_t>(timeout->tv_sec, 0, kMaxSeconds));
    patience = std::chrono::ceil<std::chrono::milliseconds>(seconds + std::chrono::nanoseconds(timeout->tv_nsec));
  }
  const auto stopped = vm->vm->waitForStop(patience);
  if (stopped && reason != nullptr) *reason = to_c(stopped->reason);
  return stopped.has_value();
}

void AVirtualMachine_destroy(AVirtualMachine* vm) { delete vm; }

// ---- Adyton --------------------------------------------------------------------------------------------------------------

bool AdytonVirtualizationService_isIsolationAvailable(const AVirtualizationService* service, AdytonIsolation level, char* reason,
                                                      size_t reasonSize) {
  const auto capabilities = service->manager->capabilities();
  const std::string why_not =
      capabilities ? capabilities->whyNot(static_cast<adyton::IsolationLevel>(level)) : capabilities.error().message;
  put_text(why_not, reason, reasonSize);
  return why_not.empty();
}

AdytonAppConfig* AdytonAppConfig_create(void) { return new AdytonAppConfig(); }
void AdytonAppConfig_destroy(AdytonAppConfig* config) { delete config; }
void AdytonAppConfig_setName(AdytonAppConfig* config, const char* name) { config->name = name; }
void AdytonAppConfig_setPayload(AdytonAppConfig* config, const char* path) { config->builder.setPayload(path); }
void AdytonAppConfig_addArgument(AdytonAppConfig* config, const char* argument) { config->arguments.emplace_back(argument); }
void AdytonAppConfig_addEnvironment(AdytonAppConfig* config, const char* name, const char* value) {
  config->builder.addEnvironment(name, value);
}
void AdytonAppConfig_addMount(AdytonAppConfig* config, const char* source, const char* target, bool readOnly) {
  config->builder.addMount({.source = source, .target = target, .read_only = readOnly});
}
void AdytonAppConfig_setMemoryBytes(AdytonAppConfig* config, uint64_t bytes) { config->builder.setMemoryBytes(bytes); }
void AdytonAppConfig_setVCpuCount(AdytonAppConfig* config, uint32_t n) { config->builder.setCpuCount(n); }
void AdytonAppConfig_setKernelSuite(AdytonAppConfig* config, const char* suite) { config->builder.setKernelSuite(suite); }
void AdytonAppConfig_setIsolation(AdytonAppConfig* config, AdytonIsolation level) {
  config->builder.setIsolation(static_cast<adyton::IsolationLevel>(level));
}

int AdytonVirtualMachine_createApp(const AVirtualizationService* service, AdytonAppConfig* config, int consoleOutFd,
                                   int consoleInFd, int logFd, AVirtualMachine** vm, char* error, size_t errorSize) {
  const std::unique_ptr<AdytonAppConfig> ours(config);
  UniqueFd console_out(consoleOutFd);
  UniqueFd console_in(consoleInFd);
  UniqueFd log(logFd);
  put_text("", error, errorSize);
  const auto built = ours->builder.setArguments(ours->arguments).build();
  if (!built) {
    put_text(built.error().message, error, errorSize);
    return -EINVAL;
  }
  auto made = service->manager->createTemporary(*built, ours->name);
  if (!made) {
    put_text(made.error().message, error, errorSize);
    return -EIO;
  }
  *vm = make_vm(std::move(*made), std::move(console_out), std::move(console_in), std::move(log));
  return 0;
}

int AdytonVirtualMachine_getPayloadExitCode(AVirtualMachine* vm) { return vm->vm->getPayloadExitCode().value_or(-1); }

int AdytonVirtualizationService_exportVm(const AVirtualizationService* service, const char* name,
                                         AdytonVirtualMachineDescriptor** descriptor, char* error, size_t errorSize) {
  put_text("", error, errorSize);
  auto vm = service->manager->get(name);
  if (vm && !*vm) {
    put_text(std::string("there is no virtual machine '") + name + "'", error, errorSize);
    return -ENOENT;
  }
  auto files = vm ? (*vm)->toDescriptor() : std::unexpected(vm.error());
  if (!files) {
    put_text(files.error().message, error, errorSize);
    return -EIO;
  }
  *descriptor = new AdytonVirtualMachineDescriptor{std::move(*files)};
  return 0;
}

int AdytonVirtualizationService_importVm(const AVirtualizationService* service, const char* name,
                                         AdytonVirtualMachineDescriptor* descriptor, AVirtualMachine** vm, char* error,
                                         size_t errorSize) {
  const std::unique_ptr<AdytonVirtualMachineDescriptor> ours(descriptor);
  put_text("", error, errorSize);
  auto made = service->manager->importFromDescriptor(name, std::move(ours->files));
  if (!made) {
    put_text(made.error().message, error, errorSize);
    return -EIO;
  }
  *vm = make_vm(std::move(*made), UniqueFd(), UniqueFd(), UniqueFd());
  return 0;
}

int AdytonVirtualMachineDescriptor_sendTo(const AdytonVirtualMachineDescriptor* descriptor, int socket) {
  const auto sent = descriptor->files.sendTo(socket);
  if (sent) return 0;
  return sent.error().code == ErrorCode::kInvalidArgument ? -EINVAL : -EIO;
}

int AdytonVirtualMachineDescriptor_receiveFrom(int socket, AdytonVirtualMachineDescriptor** descriptor) {
  auto files = adyton::VirtualMachine::Descriptor::receiveFrom(socket);
  if (files) {
    *descriptor = new AdytonVirtualMachineDescriptor{std::move(*files)};
    return 0;
  }
  switch (files.error().code) {
    case ErrorCode::kUnavailable: return -EPIPE;
    case ErrorCode::kCorrupt: return -EBADMSG;
    case ErrorCode::kExhausted: return -EMFILE;
    default: return -EIO;
  }
}

void AdytonVirtualMachineDescriptor_destroy(AdytonVirtualMachineDescriptor* descriptor) { delete descriptor; }

const char* AdytonVirtualMachine_getError(AVirtualMachine* vm) {
  const std::lock_guard lock(vm->mutex);
  return vm->error.c_str();
}

}  // extern "C"
