#include "cli/prepare.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstdlib>

#include "cli/terminal.h"
#include "sdk/host.h"
#include "sdk/prepare.h"
#include "sdk/size.h"

namespace adyton::cli {
namespace {

std::unexpected<Error> bad(std::string message) { return fail(ErrorCode::kInvalidArgument, std::move(message)); }

// What the library would say as well, in the words of the command line.
Result<void> check_machine(const RunOptions& options) {
  if (options.cpus == 0) return bad("--smp 0: a VM needs at least one CPU");
  if (options.cpus > VirtualMachineConfig::kMaxCpus)
    return bad(fmt::format("--smp {}: a VM has at most {} CPUs", options.cpus, VirtualMachineConfig::kMaxCpus));
  if (options.memory == 0) return bad("--memory 0: a VM needs memory");
  if (const uint64_t host = sdk::host_memory(); options.memory > host) {
    return bad(
        fmt::format("--memory: {} is more than this machine has ({})", sdk::format_size(options.memory), sdk::format_size(host)));
  }
  return {};
}

void give_terminal(VirtualMachineConfig::Builder& builder, const RunOptions& options) {
  adyton::TerminalSize size;
  for (const int fd : {1, 0}) {
    if (const auto ours = terminal_size(fd)) {
      size = {.rows = ours->rows, .columns = ours->columns};
      break;
    }
  }
  builder.setTerminal(size);
  const bool given =
      std::any_of(options.env.begin(), options.env.end(), [](const std::string& entry) { return entry.starts_with("TERM="); });
  const char* term = std::getenv("TERM");
  if (!given && term != nullptr) builder.addEnvironment("TERM", term);
}

// The VM's process takes what it is told over its control socket.
Result<DirectRun> to_direct(sdk::PreparedVm vm) {
  DirectRun run;
  vmm::control::Configure& configure = run.vm.vm;
  const auto add_fd = [&](UniqueFd fd) {
    run.vm.fds.push_back(std::move(fd));
    return run.vm.fds.size() - 1;
  };
  configure.cpus = vm.cpu_count;
  configure.memory = vm.memory_bytes;
  configure.command_line = std::move(vm.command_line);
  run.wait_for_power_off = vm.has_writable_disk();
  if (vm.kernel.valid()) configure.kernel = add_fd(std::move(vm.kernel));
  if (vm.firmware.valid()) configure.firmware = add_fd(std::move(vm.firmware));
  if (vm.initrd.valid()) configure.initrd = add_fd(std::move(vm.initrd));
  for (sdk::PreparedDisk& disk : vm.disks) {
    configure.disks.push_back(
        {.fd = add_fd(std::move(disk.image)), .read_only = !disk.writable, .serial = std::move(disk.serial)});
  }
  configure.virtio_console = vm.virtio_console;
  configure.watchdog_seconds = vm.watchdog_seconds;
  run.vm.request = std::move(vm.request);

  SerialConsole console = TRY(make_console(run.vm.request.has_value()));
  run.console = std::move(console.ours);
  configure.console_output = add_fd(std::move(console.theirs));
  if (!run.vm.request) {
    configure.console_input = configure.console_output;
  } else if (run.vm.request->terminal) {
    configure.listen_ports = {guest::kControlPort, guest::kTerminalPort};
  } else {
    configure.listen_ports = {guest::kControlPort, guest::kStdinPort, guest::kStdoutPort, guest::kStderrPort};
  }
  return run;
}

}  // namespace

image::Progress report_to(Progress& progress) {
  return [&progress](std::string_view step) {
    std::string text(step);
    if (!text.empty() && text[0] >= 'a' && text[0] <= 'z') text[0] = static_cast<char>(text[0] - 'a' + 'A');
    progress.step(std::move(text));
  };
}

Result<VirtualMachineConfig> make_config(const RunOptions& options, bool tty) {
  TRY(check_machine(options));
  VirtualMachineConfig::Builder builder;
  // The level is none: there is nothing to hide from who may read the memory.
  builder.setIsolation(IsolationLevel::kNone)
      .setDebugLevel(DebugLevel::kFull)
      .setVmOutputCaptured(true)
      .setVmConsoleInputSupported(true)
      .setCpuCount(options.cpus)
      .setMemoryBytes(options.memory)
      .setEnvironment(options.env)
      .setVirtioConsole(options.virtio_console)
      .setKernelSuite(options.kernel_suite)
      .setWatchdogTimeout(options.watchdog)
      .setVerboseBoot(options.verbose || options.console_log);
  for (const DiskOption& disk : options.disks) builder.addDisk({.path = disk.path, .read_only = disk.read_only});
  for (const MountOption& mount : options.mounts) {
    builder.addMount({.source = mount.source, .target = mount.target, .read_only = mount.read_only});
  }
  if (options.boot_timeout) builder.setBootTimeoutMillis(*options.boot_timeout);
  if (options.workdir) builder.setWorkingDirectory(*options.workdir);
  if (tty) give_terminal(builder, options);
  if (options.kernel) builder.setKernel(*options.kernel);
  if (options.initrd) builder.setInitrd(*options.initrd);
  if (options.append) builder.setKernelParameters(*options.append);
  if (options.firmware) builder.setFirmware(*options.firmware);
  if (options.rootfs) builder.setRootDirectory(*options.rootfs);
  if (!options.command.empty()) {
    if (options.rootfs) {
      builder.setProgram(options.command.front());
    } else {
      builder.setPayload(options.command.front());
    }
    builder.setArguments({options.command.begin() + 1, options.command.end()});
  }
  return builder.build();
}

Result<void> check_files(const RunOptions& options) {
  std::vector<std::string> paths;
  for (const auto& path : {options.kernel, options.initrd, options.firmware, options.rootfs}) {
    if (path) paths.push_back(*path);
  }
  for (const DiskOption& disk : options.disks) paths.push_back(disk.path);
  for (const MountOption& mount : options.mounts) paths.push_back(mount.source);
  // With a root file system the program is looked for in there.
  if (!options.command.empty() && !options.rootfs) paths.push_back(options.command.front());
  for (const std::string& path : paths) {
    if (::access(path.c_str(), F_OK) == 0) continue;
    const int error = errno;
    if (error == ENOENT || error == ENOTDIR) return fail(ErrorCode::kNotFound, path + ": no such file");
    return fail_errno("cannot use " + path, error);
  }
  return {};
}

std::expected<DirectRun, Outcome> prepare_direct(const VirtualMachineConfig& config, Progress& progress) {
  const auto error = [](Error what, int exit_code = guest::kExitError) {
    return std::unexpected(Outcome{.exit_code = exit_code, .message = std::move(what.message)});
  };
  auto vm = sdk::prepare(config, report_to(progress));
  if (!vm) return error(std::move(vm.error().error), vm.error().exit_code);
  auto run = to_direct(std::move(*vm));
  if (!run) return error(run.error());
  return std::move(*run);
}

Result<SerialConsole> make_console(bool payload) {
  int ends[2];
  const int made = payload ? ::pipe2(ends, O_CLOEXEC) : ::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends);
  if (made != 0) return fail_errno("cannot make a serial console");
  return SerialConsole{.ours = UniqueFd(ends[0]), .theirs = UniqueFd(ends[1])};
}

Result<std::string> prepare_cache(const std::string& kernel_suite, Progress& progress) {
  return sdk::prepare_cache(kernel_suite, report_to(progress));
}

}  // namespace adyton::cli
