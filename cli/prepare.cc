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

image::Progress report_to(Progress& progress) {
  return [&progress](std::string_view step) {
    std::string text(step);
    if (!text.empty() && text[0] >= 'a' && text[0] <= 'z') text[0] = static_cast<char>(text[0] - 'a' + 'A');
    progress.step(std::move(text));
  };
}

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
Result<SessionConfig> to_session(sdk::PreparedVm vm) {
  SessionConfig config;
  const auto add_fd = [&](UniqueFd fd) {
    config.vm_fds.push_back(std::move(fd));
    return config.vm_fds.size() - 1;
  };
  config.vm.cpus = vm.cpu_count;
  config.vm.memory = vm.memory_bytes;
  config.vm.command_line = std::move(vm.command_line);
  config.wait_for_power_off = vm.has_writable_disk();
  if (vm.kernel.valid()) config.vm.kernel = add_fd(std::move(vm.kernel));
  if (vm.firmware.valid()) config.vm.firmware = add_fd(std::move(vm.firmware));
  if (vm.initrd.valid()) config.vm.initrd = add_fd(std::move(vm.initrd));
  for (sdk::PreparedDisk& disk : vm.disks) {
    config.vm.disks.push_back(
        {.fd = add_fd(std::move(disk.image)), .read_only = !disk.writable, .serial = std::move(disk.serial)});
  }
  config.vm.virtio_console = vm.virtio_console;
  config.request = std::move(vm.request);

  int ends[2];
  // A VM of the user's own is typed to.
  const int made = config.request ? ::pipe2(ends, O_CLOEXEC) : ::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends);
  if (made != 0) return fail_errno("cannot make a serial console");
  config.console.reset(ends[0]);
  config.vm.console_output = add_fd(UniqueFd(ends[1]));
  if (!config.request) {
    config.vm.console_input = config.vm.console_output;
  } else if (config.request->terminal) {
    config.vm.listen_ports = {guest::kControlPort, guest::kTerminalPort};
  } else {
    config.vm.listen_ports = {guest::kControlPort, guest::kStdinPort, guest::kStdoutPort, guest::kStderrPort};
  }
  return config;
}

}  // namespace

Result<VirtualMachineConfig> make_config(const RunOptions& options, bool tty) {
  TRY(check_machine(options));
  VirtualMachineConfig::Builder builder;
  builder.setIsolation(IsolationLevel::kNone)
      .setCpuCount(options.cpus)
      .setMemoryBytes(options.memory)
      .setEnvironment(options.env)
      .setVirtioConsole(options.virtio_console)
      .setVerboseBoot(options.verbose || options.console_log);
  for (const DiskOption& disk : options.disks) builder.addDisk({.path = disk.path, .read_only = disk.read_only});
  for (const MountOption& mount : options.mounts) {
    builder.addMount({.source = mount.source, .target = mount.target, .read_only = mount.read_only});
  }
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

std::expected<SessionConfig, Outcome> prepare(const RunOptions& options, bool tty, Progress& progress) {
  const auto error = [](Error what, int exit_code = guest::kExitError) {
    return std::unexpected(Outcome{.exit_code = exit_code, .message = std::move(what.message)});
  };
  const auto config = make_config(options, tty);
  if (!config) return error(config.error());
  auto vm = sdk::prepare(*config, report_to(progress));
  if (!vm) return error(std::move(vm.error().error), vm.error().exit_code);
  auto session = to_session(std::move(*vm));
  if (!session) return error(session.error());
  session->timeout = options.timeout;
  return std::move(*session);
}

Result<std::string> prepare_cache(Progress& progress) { return sdk::prepare_cache(report_to(progress)); }

}  // namespace adyton::cli
