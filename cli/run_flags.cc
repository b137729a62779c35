#include "cli/run_flags.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdlib>
#include <filesystem>

#include "sdk/size.h"

namespace adyton::cli {
namespace {

std::unexpected<Error> bad(std::string message) { return fail(ErrorCode::kInvalidArgument, std::move(message)); }

}  // namespace

Result<std::vector<std::string>> expand_env(const std::vector<std::string>& given) {
  std::vector<std::string> env;
  for (const std::string& entry : given) {
    const size_t equals = entry.find('=');
    if (entry.empty() || equals == 0) return bad(fmt::format("--env '{}' has no name", entry));
    if (equals != std::string::npos) {
      env.push_back(entry);
    } else if (const char* value = std::getenv(entry.c_str())) {
      env.push_back(entry + "=" + value);
    }
  }
  return env;
}

void add_kernel_suite(CLI::App& app, std::string& suite) {
  app.add_option("--kernel-suite", suite,
                 "Debian's suite for our kernel: bookworm, bookworm-backports, trixie, trixie-backports, sid; else "
                 "ADYTON_DEBIAN_SUITE, else bookworm")
      ->type_name("SUITE");
}

void RunFlags::add_to(CLI::App& app) {
  app.add_option("--smp", run.cpus, "Virtual CPUs")->type_name("N")->capture_default_str();
  app.add_option("--memory,-m", memory, "Memory of the guest, as in 512M or 2G")->type_name("SIZE")->capture_default_str();
  app.add_option("--env,-e", env, "Set NAME in the payload's environment; NAME alone passes your own value on")
      ->type_name("NAME[=VALUE]")
      ->allow_extra_args(false);
  app.add_option("--workdir,-w", run.workdir, "The payload's working directory")->type_name("DIR");
  app.add_option("--mount,-v", mounts, "Show a host directory to the payload; what it writes there ends with the VM")
      ->type_name("SRC:DST[:ro]")
      ->allow_extra_args(false);
  app.add_option("--rootfs", run.rootfs, "A directory tree as the guest's root; without a program its init runs")
      ->type_name("DIR");
  app.add_option("--kernel", run.kernel, "Boot this arm64 Image instead of ours")->type_name("FILE");
  app.add_option("--initrd", run.initrd, "Initial RAM disk for --kernel")->type_name("FILE");
  app.add_option("--append", run.append, "Command line for --kernel")->type_name("TEXT");
  add_kernel_suite(app, run.kernel_suite);
  app.add_option("--firmware", run.firmware, "Boot this firmware (say u-boot) from flash instead of a kernel")->type_name("FILE");
  app.add_option("--disk", disks, "A raw disk image as a virtio disk")->type_name("FILE[,ro]")->allow_extra_args(false);
  app.add_option("--console", console, "With --kernel or --firmware: the console device that is yours, serial (PL011) or virtio")
      ->type_name("DEVICE")
      ->check(CLI::IsMember({"serial", "virtio"}))
      ->capture_default_str();
  app.add_option("--watchdog", watchdog,
                 "End the VM when its kernel, or who else serves its watchdog, has not refreshed it for so long")
      ->type_name("SECONDS")
      ->check(CLI::Range(1, 24 * 3600));
  app.add_option("--boot-timeout", boot_timeout, "End the VM if its payload has not started by then; 0: never (otherwise: 60)")
      ->type_name("SECONDS");
  app.add_flag("--quiet,-q", run.quiet, "Show no progress");
  app.add_flag("--verbose", run.verbose,
               "Show the guest's serial console on stderr; in the background: have the kernel write to it");
}

void RunFlags::add_attached_to(CLI::App& app) {
  app.add_option("--name", name, "The VM's name; with it the VM stays when it has ended, for 'adyton start'")->type_name("NAME");
  app.add_flag("--detach,-d", run.detach, "Run in the background: print the name and return when the VM has started");
  app.add_flag("--rm", run.remove, "Keep nothing of a VM with a name when it ends");
  app.add_flag("--timeline", run.timeline, "Say on standard error how long each part of the start took");
  app.add_option("--capture", run.capture,
                 "Write the VM's vsock packets to this file from the first one on: pcapng, or as its name ends")
      ->type_name("FILE");
  app.add_option("--trace", run.trace,
                 "Record what the VM does in this file from its first instruction on, as 'adyton trace' does")
      ->type_name("FILE");
  app.add_option("--trace-categories", run.trace_categories, "What to record, as with 'adyton trace -c'")
      ->type_name("LIST")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->check(CLI::IsMember(std::vector<std::string>(kTraceCategories.begin(), kTraceCategories.end())));
  app.add_flag("--no-service", run.no_service, "Without the virtualization service: nobody else sees the VM");
  app.add_option(
         "--vsock-uds", run.vsock_uds,
         "Make a Unix socket for the VM's vsock ports here: 'CONNECT PORT' reaches the guest, and PATH_PORT is reached by it")
      ->type_name("PATH");
  app.add_option("--gdb", run.gdb, "Let gdb debug the guest: 'target remote' there, at any time; on this machine only")
      ->type_name("unix:PATH|[HOST]:PORT");
  app.add_flag("--gdb-wait", run.gdb_wait, "With --gdb: the guest starts when gdb lets it");
  app.add_option("--console-log", run.console_log, "Write the guest's serial console to this file")->type_name("FILE");
  app.add_option("--timeout", timeout, "End the VM after this time, with exit code 125")->type_name("SECONDS");
  app.add_flag("--interactive,-i")->description("For the habit: your standard input is the payload's in any case");
  app.add_flag("--tty,-t", tty, "Give the payload a terminal (automatic when stdin and stdout are terminals)");
  app.add_flag("--no-tty,-T", no_tty, "Give the payload plain streams, whatever ours are");
}

Result<RunOptions> RunFlags::finish() {
  run.virtio_console = console == "virtio";
  run.memory = TRY(sdk::parse_size(memory));
  run.env = TRY(expand_env(env));
  if (!name.empty()) run.name = name;
  for (const std::string& text : mounts) run.mounts.push_back(TRY(parse_mount(text)));
  for (const std::string& text : disks) run.disks.push_back(TRY(parse_disk(text)));
  if (run.vsock_uds) {
    if (run.vsock_uds->empty()) return bad("--vsock-uds needs a path");
    run.vsock_uds = std::filesystem::absolute(*run.vsock_uds).string();
  }
  run.watchdog = std::chrono::seconds(watchdog);
  if (timeout && !(*timeout > 0)) return bad("--timeout must be more than 0 seconds");
  if (timeout) run.timeout = std::chrono::milliseconds(static_cast<int64_t>(std::min(*timeout, 1e9) * 1000));
  if (boot_timeout && !(*boot_timeout >= 0 && *boot_timeout <= 1e6))
    return bad("--boot-timeout is not from 0 to 1000000 seconds");
  if (boot_timeout) run.boot_timeout = static_cast<uint32_t>(*boot_timeout * 1000);
  if (tty && no_tty) return bad("--tty and --no-tty exclude each other");
  if (tty || no_tty) run.tty = tty;
  TRY(check());
  return run;
}

Result<void> RunFlags::check() const {
  if (run.kernel && run.firmware) return bad("--kernel and --firmware exclude each other");
  if (!run.kernel && (run.initrd || run.append)) return bad("--initrd and --append need --kernel");
  if (run.raw()) {
    if (run.boot_timeout) return bad("--boot-timeout waits for a payload: it does nothing for --kernel or --firmware");
    if (!run.kernel_suite.empty()) return bad("--kernel-suite chooses our kernel: it does nothing for --kernel or --firmware");
    if (!run.command.empty())
      return bad(fmt::format("a VM from --kernel or --firmware takes no payload ('{}')", run.command.front()));
    if (run.rootfs || !run.mounts.empty() || !run.env.empty() || run.workdir) {
      return bad("--rootfs, --mount, --env and --workdir are for payloads: they do nothing for --kernel or --firmware");
    }
  } else if (run.virtio_console) {
    return bad("--console is for --kernel and --firmware: a payload's streams travel over vsock");
  } else if (run.command.empty() && !run.rootfs) {
    return bad("nothing to run: name a payload (see 'adyton run --help')");
  }
  if (run.workdir && !run.workdir->starts_with('/'))
    return bad(fmt::format("--workdir '{}' is not an absolute path", *run.workdir));
  if (run.quiet && run.verbose) return bad("--quiet and --verbose exclude each other");
  if (run.gdb_wait && !run.gdb) return bad("--gdb-wait needs --gdb");
  if (run.timeline && (run.raw() || run.detach))
    return bad("--timeline ends where a payload begins: it is not for --kernel, --firmware and --detach");
  if (run.no_service && (run.detach || run.name))
    return bad("--detach and --name are the service's: they do nothing with --no-service");
  if (run.capture == "-" || run.trace == "-") return bad("--capture and --trace need a file: standard output is the payload's");
  if (run.capture && run.capture == run.trace) return bad("--capture and --trace cannot write to the same file");
  if (!run.trace_categories.empty() && !run.trace) return bad("--trace-categories needs --trace");
  if (run.detach && (run.capture || run.trace)) {
    return bad(
        "--capture and --trace are for VMs that you stay with: for one in the background there are 'adyton capture' and "
        "'adyton trace'");
  }
  if (run.detach && (run.tty.value_or(false) || run.timeout || run.console_log))
    return bad("--tty, --timeout and --console-log are for VMs that you stay with: they do nothing with --detach");
  return {};
}

}  // namespace adyton::cli
