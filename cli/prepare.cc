#include "cli/prepare.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>

#include "cli/host.h"
#include "cli/size.h"
#include "guest/image/cache.h"
#include "guest/image/directory_image.h"
#include "guest/image/find_init.h"
#include "guest/image/initramfs.h"
#include "guest/image/kernel_package.h"
#include "guest/image/payload.h"

namespace adyton::cli {
namespace {

namespace fs = std::filesystem;

// Below this not even the kernel's own image and initramfs have room.
constexpr uint64_t kSmallestPayloadMemory = uint64_t{64} << 20;
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
Result<UniqueFd> open_disk(const DiskOption& disk) {
  UniqueFd fd = TRY(open_file(disk.path, "disk", disk.read_only ? O_RDONLY : O_RDWR));
  if (::flock(fd.get(), (disk.read_only ? LOCK_SH : LOCK_EX) | LOCK_NB) != 0) {
    return fail(ErrorCode::kUnavailable, fmt::format("disk '{}' is in use by another VM", disk.path));
  }
  return fd;
}

image::Progress report_to(Progress& progress) {
  return [&progress](std::string_view step) {
    std::string text(step);
    if (!text.empty() && text[0] >= 'a' && text[0] <= 'z') text[0] = static_cast<char>(text[0] - 'a' + 'A');
    progress.step(std::move(text));
  };
}

Result<image::Cache> open_cache() {
  auto directory = TRY(image::Cache::default_directory());
  return image::Cache::open(std::move(directory));
}

Result<image::KernelPackage::Images> guest_images(const image::Cache& cache, const image::Progress& report) {
  const std::string init = TRY(image::find_init());
  image::KernelOptions options;
  if (const char* suite = std::getenv("ADYTON_DEBIAN_SUITE"); suite != nullptr && *suite != '\0') options.suite = suite;
  const auto kernel = TRY(image::KernelPackage::locate(cache, options, report));
  return kernel.images(cache, init, report);
}

class Preparation {
 public:
  Preparation(const RunOptions& options, bool tty, Progress& progress) : options_(options), tty_(tty), progress_(progress) {}

  std::expected<SessionConfig, Outcome> run() {
    if (auto done = options_.raw() ? prepare_raw() : prepare_payload(); !done) {
      return std::unexpected(Outcome{.exit_code = exit_code_, .message = done.error().message});
    }
    return std::move(config_);
  }

 private:
  Result<void> prepare_common() {
    auto& vm = config_.vm;
    if (options_.cpus == 0) return bad("--smp 0: a VM needs at least one CPU");
    if (options_.cpus > vmm::control::kMaxCpus)
      return bad(fmt::format("--smp {}: a VM has at most {} CPUs", options_.cpus, vmm::control::kMaxCpus));
    vm.cpus = options_.cpus;
    const uint64_t host = host_memory();
    if (options_.memory == 0) return bad("--memory 0: a VM needs memory");
    if (options_.memory > host)
      return bad(fmt::format("--memory: {} is more than this machine has ({})", format_size(options_.memory), format_size(host)));
    if (options_.memory > vmm::control::kMaxMemory)
      return bad(fmt::format("--memory: a VM has at most {}", format_size(vmm::control::kMaxMemory)));
    vm.memory = options_.memory;
    for (const DiskOption& disk : options_.disks) {
      add_disk(TRY(open_disk(disk)), disk.read_only, fmt::format("disk{}", vm.disks.size()));
      if (!disk.read_only) config_.wait_for_power_off = true;
    }
    if (vm.disks.size() + options_.mounts.size() + 1 > vmm::control::kMaxDisks) {
      return bad(fmt::format("--disk and --mount: a VM has room for {} of them", vmm::control::kMaxDisks - 1));
    }
    config_.timeout = options_.timeout;
    return {};
  }

  Result<void> prepare_raw() {
    TRY(prepare_common());
    if (options_.kernel) config_.vm.kernel = add_fd(TRY(open_file(*options_.kernel, "kernel", O_RDONLY)));
    if (options_.firmware) config_.vm.firmware = add_fd(TRY(open_file(*options_.firmware, "firmware", O_RDONLY)));
    if (options_.initrd) config_.vm.initrd = add_fd(TRY(open_file(*options_.initrd, "initrd", O_RDONLY)));
    std::string& command_line = config_.vm.command_line;
    command_line = options_.append.value_or("");
    // A panic ends the VM, where the user has not said otherwise. In front: what follows a " -- " is init's.
    if (options_.kernel && command_line.find("panic=") == std::string::npos)
      command_line.insert(0, command_line.empty() ? "panic=-1" : "panic=-1 ");
    if (command_line.size() > vmm::control::kMaxCommandLine) {
      return bad(fmt::format("--append is longer than the {} bytes that a kernel takes", vmm::control::kMaxCommandLine));
    }
    int ends[2];
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) return fail_errno("cannot make a serial console");
    config_.console.reset(ends[0]);
    config_.vm.console_output = add_fd(UniqueFd(ends[1]));
    config_.vm.console_input = config_.vm.console_output;
    config_.vm.virtio_console = options_.virtio_console;
    return {};
  }

  Result<void> prepare_payload() {
    TRY(prepare_common());
    if (options_.memory < kSmallestPayloadMemory) {
      return bad(fmt::format("--memory: {} is too little for the guest's kernel, which needs {}", format_size(options_.memory),
                             format_size(kSmallestPayloadMemory)));
    }
    guest::ExecRequest& request = config_.request.emplace();
    request.terminal = tty_;
    request.env = options_.env;
    request.workdir = options_.workdir.value_or("/");
    if (tty_) add_terminal(request);

    image::PayloadArchive archive;
    const std::optional<std::string> root = TRY(choose_root());
    if (root) {
      TRY(choose_program(*root, request));
    } else {
      auto built = image::build_payload(options_.command.front());
      if (!built) return payload_error(built.error());
      archive = std::move(*built);
      request.program = archive.program;
      request.argv = options_.command;
    }
    for (const MountOption& mount : options_.mounts) TRY(check_directory(mount.source, "--mount"));

    const image::Progress report = report_to(progress_);
    const image::Cache cache = TRY(open_cache());
    auto images = TRY(guest_images(cache, report));
    config_.vm.kernel = add_fd(std::move(images.kernel.fd));
    config_.vm.initrd = add_fd(archive.cpio.empty() ? std::move(images.initramfs.fd)
                                                    : TRY(image::concatenate_archives(images.initramfs.fd.get(), archive.cpio)));
    config_.vm.command_line = image::kernel_command_line(options_.verbose || options_.console_log);
    // Our own user's trees belong to root inside; root's keep their owners.
    const image::DirectoryImageOptions ownership{.all_root = ::geteuid() != 0};
    if (root) {
      request.root = guest::RootMode::kDisk;
      request.root_serial = kRootSerial;
      add_disk(TRY(image::build_directory_image(cache, *root, ownership, report)).fd, /*read_only=*/true, kRootSerial);
    }
    for (const MountOption& mount : options_.mounts) {
      const std::string serial = fmt::format("mount{}", request.mounts.size());
      add_disk(TRY(image::build_directory_image(cache, mount.source, ownership, report)).fd, /*read_only=*/true, serial);
      request.mounts.push_back({.serial = serial, .target = mount.target, .read_only = mount.read_only});
    }

    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) return fail_errno("cannot make a serial console");
    config_.console.reset(ends[0]);
    config_.vm.console_output = add_fd(UniqueFd(ends[1]));
    config_.vm.listen_ports = {guest::kControlPort};
    if (tty_) {
      config_.vm.listen_ports.push_back(guest::kTerminalPort);
    } else {
      config_.vm.listen_ports.insert(config_.vm.listen_ports.end(), {guest::kStdinPort, guest::kStdoutPort, guest::kStderrPort});
    }
    return {};
  }

  // The directory that becomes the guest's root, if any.
  Result<std::optional<std::string>> choose_root() {
    if (options_.rootfs) {
      TRY(check_directory(*options_.rootfs, "--rootfs"));
      return options_.rootfs;
    }
    std::error_code ignored;
    if (fs::is_directory(options_.command.front(), ignored)) return options_.command.front();
    return std::nullopt;
  }

  Result<void> choose_program(const std::string& root, guest::ExecRequest& request) {
    request.argv = options_.command;
    if (!options_.rootfs) request.argv.erase(request.argv.begin());  // it named the root
    if (options_.rootfs && !request.argv.empty()) {
      request.program = request.argv.front();
      return {};
    }
    for (const char* init : {"/sbin/init", "/etc/init", "/bin/init", "/init"}) {
      // A link may lead anywhere inside the guest's root: init follows it there, not we here.
      std::error_code ignored;
      if (!fs::exists(fs::symlink_status(root + init, ignored))) continue;
      request.program = init;
      request.argv.insert(request.argv.begin(), init);
      return {};
    }
    exit_code_ = guest::kExitNotFound;
    return fail(
        ErrorCode::kNotFound,
        fmt::format(
            "'{}' has no init (/sbin/init, /etc/init, /bin/init or /init); name a program: adyton run --rootfs {} -- PROGRAM",
            root, root));
  }

  Result<void> check_directory(const std::string& path, const char* option) {
    std::error_code error;
    const auto status = fs::status(path, error);
    if (fs::is_directory(status)) return {};
    if (status.type() == fs::file_type::not_found)
      return fail(ErrorCode::kNotFound, fmt::format("{} '{}' does not exist", option, path));
    if (error) return fail(ErrorCode::kPermission, fmt::format("{} '{}': {}", option, path, error.message()));
    return bad(fmt::format("{} '{}' is not a directory", option, path));
  }

  void add_terminal(guest::ExecRequest& request) const {
    for (const int fd : {1, 0}) {
      if (auto size = terminal_size(fd)) {
        request.rows = size->rows;
        request.columns = size->columns;
        break;
      }
    }
    const bool given =
        std::any_of(request.env.begin(), request.env.end(), [](const std::string& entry) { return entry.starts_with("TERM="); });
    const char* term = std::getenv("TERM");
    if (!given && term != nullptr) request.env.push_back(fmt::format("TERM={}", term));
  }

  std::unexpected<Error> payload_error(const Error& error) {
    exit_code_ = image::payload_exit_code(error);
    return std::unexpected(error);
  }

  size_t add_fd(UniqueFd fd) {
    config_.vm_fds.push_back(std::move(fd));
    return config_.vm_fds.size() - 1;
  }
  void add_disk(UniqueFd fd, bool read_only, std::string serial) {
    config_.vm.disks.push_back({.fd = add_fd(std::move(fd)), .read_only = read_only, .serial = std::move(serial)});
  }

  const RunOptions& options_;
  const bool tty_;
  Progress& progress_;
  SessionConfig config_;
  int exit_code_ = guest::kExitError;
};

}  // namespace

std::expected<SessionConfig, Outcome> prepare(const RunOptions& options, bool tty, Progress& progress) {
  return Preparation(options, tty, progress).run();
}

Result<std::string> prepare_cache(Progress& progress) {
  const image::Cache cache = TRY(open_cache());
  TRY(guest_images(cache, report_to(progress)));
  return cache.directory();
}

}  // namespace adyton::cli
