#include "cli/options.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdlib>

#include "sdk/size.h"
#include "cli/version.h"

namespace adyton::cli {
namespace {

std::unexpected<Error> bad(std::string message) { return fail(ErrorCode::kInvalidArgument, std::move(message)); }

const std::string kRunUsage =
    "adyton run [OPTIONS] PAYLOAD [ARGS...]\n"
    "adyton run [OPTIONS] --rootfs DIR [--] [PROGRAM [ARGS...]]\n"
    "adyton run [OPTIONS] --kernel IMAGE [--initrd FILE] [--append TEXT] [--disk FILE]...\n"
    "adyton run [OPTIONS] --firmware FILE [--disk FILE]...\n"
    "\n"
    "PAYLOAD is an AArch64 ELF program, static or dynamic, or a directory with a root file system. Its standard\n"
    "streams, signals and exit code are yours.\n\n";

// "NAME=value" stays; "NAME" takes our own value, and is left out where we have none.
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

// How many arguments the option `argument` takes up, its value included; 0: it is no option of `app`.
size_t option_length(const CLI::App& app, const std::string& argument) {
  const auto takes_value = [](const CLI::Option* option) { return option->get_items_expected_max() > 0; };
  if (argument.starts_with("--")) {
    const size_t equals = argument.find('=');
    const CLI::Option* option = app.get_option_no_throw(argument.substr(0, equals));
    if (option == nullptr) return 0;
    return takes_value(option) && equals == std::string::npos ? 2 : 1;
  }
  for (size_t i = 1; i < argument.size(); ++i) {
    const CLI::Option* option = app.get_option_no_throw(std::string("-") + argument[i]);
    if (option == nullptr) return 0;
    if (takes_value(option)) return i + 1 == argument.size() ? 2 : 1;  // the rest of a cluster is the value
  }
  return 1;
}

// Cuts the payload and its arguments off `arguments`: they are never ours, whatever they look like.
std::vector<std::string> split_command(const CLI::App& app, std::vector<std::string>& arguments) {
  size_t at = 1;  // behind "run"
  size_t skip = 0;
  while (at < arguments.size()) {
    const std::string& argument = arguments[at];
    if (argument == "--") {
      skip = 1;
      break;
    }
    if (argument.size() < 2 || argument[0] != '-') break;
    const size_t length = option_length(app, argument);
    if (length == 0) return {};  // CLI11 has the words for it
    at += length;
  }
  if (at >= arguments.size()) return {};
  std::vector<std::string> command(arguments.begin() + static_cast<ptrdiff_t>(at + skip), arguments.end());
  arguments.resize(at);
  return command;
}

Result<void> check_run(const RunOptions& run) {
  if (run.kernel && run.firmware) return bad("--kernel and --firmware exclude each other");
  if (!run.kernel && (run.initrd || run.append)) return bad("--initrd and --append need --kernel");
  if (run.raw()) {
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
  return {};
}

}  // namespace

Result<MountOption> parse_mount(const std::string& text) {
  MountOption mount;
  std::string rest = text;
  if (rest.ends_with(":ro")) {
    mount.read_only = true;
    rest.resize(rest.size() - 3);
  } else if (rest.ends_with(":rw")) {
    rest.resize(rest.size() - 3);
  }
  // The guest's path has no colon, the host's may.
  const size_t colon = rest.rfind(':');
  if (colon == std::string::npos || colon == 0 || colon + 1 == rest.size())
    return bad(fmt::format("--mount '{}' is not SOURCE:TARGET[:ro]", text));
  mount.source = rest.substr(0, colon);
  mount.target = rest.substr(colon + 1);
  if (!mount.target.starts_with('/')) return bad(fmt::format("--mount target '{}' is not an absolute path", mount.target));
  return mount;
}

Result<DiskOption> parse_disk(const std::string& text) {
  DiskOption disk{.path = text, .read_only = false};
  if (disk.path.ends_with(",ro")) {
    disk.read_only = true;
    disk.path.resize(disk.path.size() - 3);
  }
  if (disk.path.empty()) return bad(fmt::format("--disk '{}' names no file", text));
  return disk;
}

Result<Command> parse_command_line(const std::vector<std::string>& arguments) {
  CLI::App app("Runs programs and systems in virtual machines, also without KVM.", "adyton");
  app.require_subcommand(1);
  app.set_version_flag("--version", version_text());
  app.footer("Isolation: every VM of this version runs at level 'none' (the host may look in); 'adyton doctor' says more.");

  RunOptions run;
  std::string memory = "512M";
  std::string console = "serial";
  std::vector<std::string> env;
  std::vector<std::string> mounts;
  std::vector<std::string> disks;
  std::optional<double> timeout;
  bool tty = false;
  bool no_tty = false;
  CLI::App* run_command = app.add_subcommand("run", "Run a payload, or a kernel, in a virtual machine of its own");
  run_command->footer(
      "Exit code: the payload's own; 125 Adyton failed, 126 the payload is not executable, 127 it was not found,\n"
      "128+N a signal ended it. Ctrl-C goes to the payload, a second one ends the VM. With --kernel the serial console\n"
      "is yours; Ctrl-A X ends the VM.\n"
      "Isolation level: none (the host may look in).");
  run_command->add_option("--smp", run.cpus, "Virtual CPUs")->type_name("N")->capture_default_str();
  run_command->add_option("--memory,-m", memory, "Memory of the guest, as in 512M or 2G")
      ->type_name("SIZE")
      ->capture_default_str();
  run_command->add_option("--env,-e", env, "Set NAME in the payload's environment; NAME alone passes your own value on")
      ->type_name("NAME[=VALUE]")
      ->allow_extra_args(false);
  run_command->add_option("--workdir,-w", run.workdir, "The payload's working directory")->type_name("DIR");
  run_command->add_option("--mount,-v", mounts, "Show a host directory to the payload; what it writes there ends with the VM")
      ->type_name("SRC:DST[:ro]")
      ->allow_extra_args(false);
  run_command->add_option("--rootfs", run.rootfs, "A directory tree as the guest's root; without a program its init runs")
      ->type_name("DIR");
  run_command->add_option("--kernel", run.kernel, "Boot this arm64 Image instead of ours")->type_name("FILE");
  run_command->add_option("--initrd", run.initrd, "Initial RAM disk for --kernel")->type_name("FILE");
  run_command->add_option("--append", run.append, "Command line for --kernel")->type_name("TEXT");
  run_command->add_option("--firmware", run.firmware, "Boot this firmware (say u-boot) from flash instead of a kernel")
      ->type_name("FILE");
  run_command->add_option("--disk", disks, "A raw disk image as a virtio disk")->type_name("FILE[,ro]")->allow_extra_args(false);
  run_command
      ->add_option("--console", console,
                   "With --kernel or --firmware: the console device that is yours, serial (PL011) or virtio")
      ->type_name("DEVICE")
      ->check(CLI::IsMember({"serial", "virtio"}))
      ->capture_default_str();
  run_command->add_option("--console-log", run.console_log, "Write the guest's serial console to this file")->type_name("FILE");
  run_command->add_option("--timeout", timeout, "End the VM after this time, with exit code 125")->type_name("SECONDS");
  run_command->add_flag("--tty,-t", tty, "Give the payload a terminal (automatic when stdin and stdout are terminals)");
  run_command->add_flag("--no-tty,-T", no_tty, "Give the payload plain streams, whatever ours are");
  run_command->add_flag("--quiet,-q", run.quiet, "Show no progress");
  run_command->add_flag("--verbose", run.verbose, "Show the guest's serial console on stderr");

  PrepareOptions prepare;
  CLI::App* prepare_command = app.add_subcommand(
      "prepare", "Fetch and build what the first run needs (the guest's kernel), so that runs need no network");
  prepare_command->add_flag("--quiet,-q", prepare.quiet, "Show no progress");

  DoctorOptions doctor;
  CLI::App* doctor_command = app.add_subcommand("doctor", "Say what this machine offers and what is missing");
  doctor_command->add_flag("--json", doctor.json, "As JSON");

  std::vector<std::string> ours(arguments.begin() + (arguments.empty() ? 0 : 1), arguments.end());
  if (!ours.empty() && ours.front() == "run") run.command = split_command(*run_command, ours);
  std::reverse(ours.begin(), ours.end());  // as CLI::App::parse takes them
  try {
    app.parse(ours);
  } catch (const CLI::CallForHelp&) {
    if (!run_command->parsed()) return PrintText{app.help()};
    const std::string help = run_command->help();  // with a usage line that kRunUsage says better
    return PrintText{kRunUsage + help.substr(std::min(help.find("Options:"), help.size()))};
  } catch (const CLI::CallForVersion& version) {
    return PrintText{std::string(version.what()) + "\n"};
  } catch (const CLI::ParseError& error) {
    std::string message = error.what();
    message.resize(std::min(message.find('\n'), message.size()));
    return bad(message + (run_command->parsed() ? " (see 'adyton run --help')" : " (see 'adyton --help')"));
  }
  if (doctor_command->parsed()) return doctor;
  if (prepare_command->parsed()) return prepare;

  run.virtio_console = console == "virtio";
  run.memory = TRY(sdk::parse_size(memory));
  run.env = TRY(expand_env(env));
  for (const std::string& text : mounts) run.mounts.push_back(TRY(parse_mount(text)));
  for (const std::string& text : disks) run.disks.push_back(TRY(parse_disk(text)));
  if (timeout && !(*timeout > 0)) return bad("--timeout must be more than 0 seconds");
  if (timeout) run.timeout = std::chrono::milliseconds(static_cast<int64_t>(std::min(*timeout, 1e9) * 1000));
  if (tty && no_tty) return bad("--tty and --no-tty exclude each other");
  if (tty || no_tty) run.tty = tty;
  TRY(check_run(run));
  return run;
}

}  // namespace adyton::cli
