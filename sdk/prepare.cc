#include "sdk/prepare.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sched.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>

#include "guest/image/cache.h"
#include "guest/image/directory_image.h"
#include "guest/image/find_init.h"
#include "guest/image/initramfs.h"
#include "guest/image/kernel_package.h"
#include "guest/image/payload.h"
#include "guest/init/launcher.h"
#include "sdk/config_data.h"
#include "sdk/host.h"
#include "sdk/installation.h"
#include "sdk/size.h"

namespace adyton::sdk {
namespace {

namespace fs = std::filesystem;

constexpr const char* kRootSerial = "root";

std::unexpected<Error> bad(std::string message) { return fail(ErrorCode::kInvalidArgument, std::move(message)); }

Result<UniqueFd> open_file(const std::string& path, const char* what, int flags) {
  UniqueFd fd(::open(path.c_str(), flags | O_CLOEXEC | O_NOCTTY));
  if (!fd.valid()) return fail_errno(fmt::format("cannot open {} '{}'", what, path));
  struct stat status{};
  if (::fstat(fd.get(), &status) != 0) return fail_errno(fmt::format("cannot open {} '{}'", what, path));
  if (!S_ISREG(status.st_mode) && !S_ISBLK(status.st_mode)) return bad(fmt::format("{} '{}' is not a file", what, path));
  if (S_ISREG(status.st_mode) && status.st_size == 0) return bad(fmt::format("{} '{}' is empty", what, path));
  return fd;
}

// Two VMs that write one disk destroy it; the lock belongs to the open file and goes with the last process that has it.
Result<UniqueFd> open_disk(const HostDisk& disk) {
  UniqueFd fd = TRY(open_file(disk.path, "disk", disk.read_only ? O_RDONLY : O_RDWR));
  if (::flock(fd.get(), (disk.read_only ? LOCK_SH : LOCK_EX) | LOCK_NB) != 0) {
    return fail(ErrorCode::kUnavailable, fmt::format("disk '{}' is in use by another VM", disk.path));
  }
  return fd;
}

Result<void> check_directory(const std::string& path, const char* what) {
  std::error_code error;
  const auto status = fs::status(path, error);
  if (fs::is_directory(status)) return {};
  if (status.type() == fs::file_type::not_found)
    return fail(ErrorCode::kNotFound, fmt::format("{} '{}' does not exist", what, path));
  if (error) return fail(ErrorCode::kPermission, fmt::format("{} '{}': {}", what, path, error.message()));
  return bad(fmt::format("{} '{}' is not a directory", what, path));
}

// How many CPUs we may run on.
uint32_t usable_cpus() {
  cpu_set_t set;
  const int count = ::sched_getaffinity(0, sizeof(set), &set) == 0 ? CPU_COUNT(&set) : 1;
  return std::clamp<uint32_t>(static_cast<uint32_t>(count), 1, VirtualMachineConfig::kMaxCpus);
}

Result<image::Cache> open_cache() {
  auto directory = TRY(image::Cache::default_directory());
  return image::Cache::open(std::move(directory));
}

// Beside the running program, as in a build tree and for `adyton` itself, or where the library is installed.
Result<std::string> find_init() {
  auto found = image::find_init();
  return found ? *found : TRY(find_shared_file("init"));
}

// What else belongs to the guest stands in init's folder.
std::optional<std::string> find_companion(const std::string& name) {
  const auto init = find_init();
  if (!init) return std::nullopt;
  const fs::path path = fs::path(*init).parent_path() / name;
  std::error_code ignored;
  return fs::exists(path, ignored) ? std::optional(path.string()) : std::nullopt;
}

// `suite` is empty where nobody chose one.
Result<image::KernelPackage::Images> guest_images(const image::Cache& cache, const std::string& suite,
                                                  const image::Progress& progress) {
  const std::string init = TRY(find_init());
  image::KernelOptions options;
  const char* const usual = std::getenv("ADYTON_DEBIAN_SUITE");
  if (!suite.empty()) {
    options.suite = suite;
  } else if (usual != nullptr && *usual != '\0') {
    options.suite = usual;
  }
  const auto kernel = TRY(image::KernelPackage::locate(cache, options, progress));
  return kernel.images(cache, init, progress);
}

// Our own libraries for payloads come last.
image::PayloadOptions payload_options() {
  image::PayloadOptions options{.library_directories = image::default_library_directories(), .launcher = {}};
  if (auto launcher = find_companion("launcher")) options.launcher = std::move(*launcher);
  if (auto library = find_companion("guest/lib/libadyton_payload.so"))
    options.library_directories.push_back(fs::path(*library).parent_path());
  return options;
}

class Preparation {
 public:
  Preparation(const VirtualMachineConfig::Data& config, const image::Progress& progress) : config_(config), progress_(progress) {}

  std::expected<PreparedVm, PreparationError> run() {
    auto done = prepare_machine();
    if (done) done = config_.custom() ? prepare_custom() : prepare_payload();
    if (!done) return std::unexpected(PreparationError{.error = std::move(done).error(), .exit_code = exit_code_});
    return std::move(vm_);
  }

 private:
  Result<void> prepare_machine() {
    vm_.cpu_count = config_.match_host ? usable_cpus() : config_.cpu_count;
    vm_.memory_bytes = config_.memory_bytes;
    vm_.isolation = *config_.isolation;
    vm_.virtio_console = config_.virtio_console;
    vm_.watchdog_seconds = config_.watchdog_seconds;
    if (const uint64_t host = host_memory(); vm_.memory_bytes > host) {
      return bad(
          fmt::format("{} of memory is more than this machine has ({})", format_size(vm_.memory_bytes), format_size(host)));
    }
    for (const HostDisk& disk : config_.disks) {
      add_disk(TRY(open_disk(disk)), !disk.read_only, fmt::format("disk{}", vm_.disks.size()));
    }
    return {};
  }

  Result<void> prepare_custom() {
    if (config_.kernel) vm_.kernel = TRY(open_file(*config_.kernel, "kernel", O_RDONLY));
    if (config_.firmware) vm_.firmware = TRY(open_file(*config_.firmware, "firmware", O_RDONLY));
    if (config_.initrd) vm_.initrd = TRY(open_file(*config_.initrd, "initrd", O_RDONLY));
    std::string& command_line = vm_.command_line;
    command_line = config_.kernel_parameters;
    // A panic ends the VM, where the user has not said otherwise. In front: what follows a " -- " is init's.
    if (config_.kernel && command_line.find("panic=") == std::string::npos)
      command_line.insert(0, command_line.empty() ? "panic=-1" : "panic=-1 ");
    return {};
  }

  Result<void> prepare_payload() {
    guest::ExecRequest& request = vm_.request.emplace();
    request.env = config_.environment;
    request.workdir = config_.working_directory;
    if (config_.terminal) {
      request.terminal = true;
      request.rows = config_.terminal->rows;
      request.columns = config_.terminal->columns;
    }

    image::PayloadArchive archive;
    const std::optional<std::string> root = TRY(choose_root());
    if (root) {
      TRY(choose_program(*root, request));
    } else {
      auto built = image::build_payload(*config_.payload, payload_options());
      if (!built) {
        exit_code_ = image::payload_exit_code(built.error());
        return std::unexpected(std::move(built).error());
      }
      archive = std::move(*built);
      request.program = archive.program;
      request.argv = {config_.argv0};
      if (archive.is_library) {
        request.program = guest::kLauncherPath;
        request.argv.push_back(archive.program);
      }
    }
    request.argv.insert(request.argv.end(), config_.arguments.begin(), config_.arguments.end());
    for (const HostMount& mount : config_.mounts) TRY(check_directory(mount.source, "the mount's source"));

    const image::Cache cache = TRY(open_cache());
    auto images = TRY(guest_images(cache, config_.kernel_suite, progress_));
    vm_.kernel = std::move(images.kernel.fd);
    vm_.initrd = archive.cpio.empty() ? std::move(images.initramfs.fd)
                                      : TRY(image::concatenate_archives(images.initramfs.fd.get(), archive.cpio));
    vm_.command_line = image::kernel_command_line(config_.verbose_boot);
    // Our own user's trees belong to root inside; root's keep their owners.
    const image::DirectoryImageOptions ownership{.all_root = ::geteuid() != 0};
    if (root) {
      request.root = guest::RootMode::kDisk;
      request.root_serial = kRootSerial;
      add_disk(TRY(image::build_directory_image(cache, *root, ownership, progress_)).fd, /*writable=*/false, kRootSerial);
    }
    for (const HostMount& mount : config_.mounts) {
      const std::string serial = fmt::format("mount{}", request.mounts.size());
      add_disk(TRY(image::build_directory_image(cache, mount.source, ownership, progress_)).fd, /*writable=*/false, serial);
      request.mounts.push_back({.serial = serial, .target = mount.target, .read_only = mount.read_only});
    }
    return {};
  }

  // The directory that becomes the guest's root, if any.
  Result<std::optional<std::string>> choose_root() {
    if (config_.root_directory) {
      TRY(check_directory(*config_.root_directory, "the root directory"));
      return config_.root_directory;
    }
    std::error_code ignored;
    if (fs::is_directory(*config_.payload, ignored)) return config_.payload;
    return std::nullopt;
  }

  Result<void> choose_program(const std::string& root, guest::ExecRequest& request) {
    if (config_.program) {
      request.program = *config_.program;
      request.argv = {config_.argv0};
      return {};
    }
    for (const char* init : {"/sbin/init", "/etc/init", "/bin/init", "/init"}) {
      // A link may lead anywhere inside the guest's root: init follows it there, not we here.
      std::error_code ignored;
      if (!fs::exists(fs::symlink_status(root + init, ignored))) continue;
      request.program = init;
      request.argv = {init};
      return {};
    }
    exit_code_ = guest::kExitNotFound;
    return fail(
        ErrorCode::kNotFound,
        fmt::format(
            "'{}' has no init (/sbin/init, /etc/init, /bin/init or /init); name a program: adyton run --rootfs {} -- PROGRAM",
            root, root));
  }

  void add_disk(UniqueFd fd, bool writable, std::string serial) {
    vm_.disks.push_back({.image = std::move(fd), .writable = writable, .serial = std::move(serial)});
  }

  const VirtualMachineConfig::Data& config_;
  const image::Progress& progress_;
  PreparedVm vm_;
  int exit_code_ = guest::kExitError;
};

}  // namespace

bool PreparedVm::has_writable_disk() const {
  return std::any_of(disks.begin(), disks.end(), [](const PreparedDisk& disk) { return disk.writable; });
}

std::expected<PreparedVm, PreparationError> prepare(const VirtualMachineConfig& config, const image::Progress& progress) {
  return Preparation(config.data(), progress).run();
}

Result<std::string> prepare_cache(const std::string& kernel_suite, const image::Progress& progress) {
  const image::Cache cache = TRY(open_cache());
  TRY(guest_images(cache, kernel_suite, progress));
  return cache.directory();
}

Result<std::vector<image::Cache::Entry>> cached_files() { return TRY(open_cache()).entries(); }

Result<void> remove_cached_files(std::vector<image::Cache::Entry>& files) {
  const image::Cache cache = TRY(open_cache());
  for (image::Cache::Entry& file : files) file.in_use = !TRY(cache.discard(file.name));
  return {};
}

}  // namespace adyton::sdk
