#include "cli/run.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>

#include "cli/channel.h"
#include "cli/console_log.h"
#include "cli/crash_report.h"
#include "cli/debugger.h"
#include "cli/direct_recordable.h"
#include "cli/direct_vm.h"
#include "cli/lifecycle.h"
#include "cli/message.h"
#include "cli/prepare.h"
#include "cli/progress.h"
#include "cli/run_recordings.h"
#include "cli/service.h"
#include "cli/service_vm.h"
#include "cli/session.h"
#include "cli/user.h"
#include "cli/vm_process.h"
#include "observe/trace_source.h"

namespace adyton::cli {
namespace {

Outcome error(std::string message) { return {.exit_code = guest::kExitError, .message = std::move(message)}; }

void complain(const std::vector<std::string>& complaints) {
  for (const std::string& complaint : complaints) say(complaint);
}

// The user's side of a session: streams, signals, and the terminal if the guest gets it.
struct User {
  SessionConfig config;
  UniqueFd signals;
};
Result<User> make_user(const VirtualMachineConfig& config, UniqueFd signals) {
  User user;
  const bool tty = config.getTerminal().has_value();
  user.config.payload = !config.isCustom();
  user.config.payload_terminal = tty;
  if ((tty || config.isCustom()) && ::isatty(STDIN_FILENO) == 1) user.config.terminal = STDIN_FILENO;
  user.config.stdio = TRY(open_stdio());
  user.signals = std::move(signals);
  user.config.signals = user.signals.get();
  return user;
}

// In an adyton-vmm process of our own.
Result<Outcome> run_direct(const RunOptions& options, const VirtualMachineConfig& config, ConsoleLog& log, Progress& progress,
                           UniqueFd debugger, RunRecordings& recordings) {
  auto prepared = prepare_direct(config, progress);
  if (!prepared) return std::move(prepared).error();
  UniqueFd signals = TRY(take_signals());
  User user = TRY(make_user(config, std::move(signals)));
  user.config.timeout = options.timeout;
  user.config.console = std::move(prepared->console);
  user.config.wait_for_power_off = prepared->wait_for_power_off || options.gdb;  // which the debugger is told of
  prepared->vm.debugger = std::move(debugger);
  prepared->vm.wait_for_debugger = options.gdb_wait;
  const std::string program = TRY(find_vmm());
  const std::string name = fmt::format("pid-{}", ::getpid());  // in its log lines and crash reports
  prepared->vm.began = observe::TraceSource::now();
  prepared->vm.timeline = options.timeline;
  VmProcess process = TRY(VmProcess::spawn(program, name));
  if (options.vsock_uds) prepared->vm.vsock_uds = *options.vsock_uds;
  std::vector<std::string> reports;
  prepared->vm.report_crash = [&, begin = std::chrono::steady_clock::now()](observe::CrashKind kind, const std::string& backend,
                                                                            const std::string& cause, const std::string& guest) {
    const auto kept = keep_own_crash_report(
        {.kind = kind,
         .name = name,
         .isolation = std::string(to_string(config.getIsolation())),
         .backend = backend,
         .cause = cause,
         .time = std::chrono::system_clock::now(),
         .uptime = std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - begin),
         .guest = guest,
         .console = std::string(log.tail())});
    reports.push_back(kept ? fmt::format("a crash report is in {}", *kept)
                           : fmt::format("no crash report is kept: {}", kept.error().message));
  };
  std::optional<DirectVm> vm;
  if (recordings.wanted()) {
    prepared->vm.before_start = [&] {
      return recordings.begin(std::make_unique<DirectRecordable>(
          *vm, name, Recordable::Facts{.pid = process.pid(), .isolation = std::string(to_string(config.getIsolation()))}));
    };
  }
  vm.emplace(std::move(prepared->vm), process.control());
  log.on_hung_panic([&] { vm->look_for_panic("the guest's kernel panicked: " + log.panic().value_or("it does not say why")); });
  Outcome outcome = Session(std::move(user.config), *vm, log, progress).run();
  log.on_hung_panic({});
  vm->report_end(log.panic());
  const std::string how = process.finish();
  if (outcome.vm_lost) outcome.message += fmt::format(" ({})", how);
  complain(recordings.finish());
  if (!options.quiet) {
    for (const std::string& report : reports) say(report);
  }
  return outcome;
}

// The user's session with a VM of the service. `ran`: it came as far as its payload, or without one to its first instruction.
Result<Outcome> attend(const RunOptions& options, const VirtualMachineConfig& config, std::shared_ptr<VirtualMachine> vm,
                       User user, UniqueFd debugger, ConsoleLog& log, Progress& progress, bool& ran, RunRecordings& recordings) {
  const auto& disks = config.getDisks();
  user.config.timeout = options.timeout;
  user.config.wait_for_power_off =
      options.gdb || std::any_of(disks.begin(), disks.end(), [](const HostDisk& disk) { return !disk.read_only; });
  SerialConsole console = TRY(make_console(user.config.payload));
  user.config.console = std::move(console.ours);
  VirtualMachine::RunOptions run;
  run.progress = report_to(progress);
  run.vsock_socket = options.vsock_uds.value_or("");
  run.debugger = std::move(debugger);
  run.wait_for_debugger = options.gdb_wait;
  if (recordings.wanted()) {
    run.before_start = [&recordings](VirtualMachine& started) {
      return recordings.begin(std::make_unique<ServiceRecordable>(started.shared_from_this()));
    };
  }
  if (config.isCustom()) {
    run.console_input.reset(::fcntl(console.theirs.get(), F_DUPFD_CLOEXEC, 3));
    if (!run.console_input.valid()) return fail_errno("cannot use the serial console");
  }
  run.console_output = std::move(console.theirs);
  using Streams = ServiceVm::Streams;
  const Streams streams = config.isCustom() ? Streams::kNone : config.getTerminal() ? Streams::kTerminal : Streams::kPipes;
  const auto handle = TRY(ServiceVm::make(std::move(vm), streams, std::move(run), options.timeline));
  Outcome outcome = Session(std::move(user.config), *handle, log, progress).run();
  ran = handle->has_run();
  return outcome;
}

// As a VM of the service, where others see it.
Result<Outcome> run_in_service(const RunOptions& options, const VirtualMachineConfig& config, ConsoleLog& log, Progress& progress,
                               UniqueFd debugger, RunRecordings& recordings) {
  // What takes long is done while signals still end us as they end any program.
  if (!options.raw()) TRY(prepare_cache(options.kernel_suite, progress));
  UniqueFd signals = TRY(take_signals());  // before there are threads that a signal could go to
  User user = TRY(make_user(config, std::move(signals)));
  const auto manager = TRY(connect_to_service());
  const bool keep = options.name && !options.remove;
  auto vm = TRY(keep ? manager->create(*options.name, config) : manager->createTemporary(config, options.name.value_or("")));
  bool ran = false;
  auto outcome = attend(options, config, std::move(vm), std::move(user), std::move(debugger), log, progress, ran, recordings);
  complain(recordings.finish());
  if (keep && !ran) discard_unused(*manager, *options.name);
  return outcome;
}

Outcome run_vm(const RunOptions& options) {
  Progress progress(STDERR_FILENO, !options.quiet && !options.verbose && ::isatty(STDERR_FILENO) == 1);
  const bool tty = !options.raw() && wants_terminal(options.tty);

  ConsoleLog log;
  UniqueFd log_file;
  if (options.console_log) {
    log_file.reset(::open(options.console_log->c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOCTTY, 0666));
    if (!log_file.valid())
      return error(fail_errno(fmt::format("cannot open the console log '{}'", *options.console_log)).error().message);
    log.copy_to(log_file.get(), fmt::format("the console log '{}'", *options.console_log));
  }
  if (options.verbose && !options.raw()) log.copy_to(STDERR_FILENO, "standard error");

  const auto config = make_config(options, tty);
  if (!config) return error(config.error().message);
  std::optional<DebugListener> debugger;  // its path ends with us
  if (options.gdb) {
    auto listener = DebugListener::open(*options.gdb);
    if (!listener) return error(listener.error().message);
    debugger.emplace(std::move(*listener));
    if (!options.quiet) say("in gdb-multiarch: target remote " + debugger->target());
  }
  RunRecordings recordings;
  if (auto opened = recordings.open(options); !opened) return error(opened.error().message);
  UniqueFd listener = debugger ? debugger->take() : UniqueFd();
  auto outcome = options.no_service ? run_direct(options, *config, log, progress, std::move(listener), recordings)
                                    : run_in_service(options, *config, log, progress, std::move(listener), recordings);
  progress.clear();
  return outcome ? std::move(*outcome) : error(outcome.error().message);
}

Result<Outcome> attend_existing(const std::string& name, ConsoleLog& log, Progress& progress) {
  UniqueFd signals = TRY(take_signals());  // before there are threads that a signal could go to
  const auto manager = TRY(connect_to_service());
  auto vm = TRY(find_vm(*manager, name));
  if (TRY(vm->getStatus()) == VmStatus::kRunning) {
    return fail(
        ErrorCode::kUnavailable,
        fmt::format("'{}' runs already: 'adyton logs -f {}' and 'adyton console {}' show what it does", name, name, name));
  }
  const auto config = TRY(vm->getConfig());
  if (!config.isCustom()) {
    TRY(while_signals_end_us([&]() -> Result<void> {
      if (auto prepared = prepare_cache(config.getKernelSuite(), progress); !prepared) return std::unexpected(prepared.error());
      return {};
    }));
  }
  bool ran = false;
  RunRecordings none;
  User user = TRY(make_user(config, std::move(signals)));
  return attend(RunOptions(), config, std::move(vm), std::move(user), UniqueFd(), log, progress, ran, none);
}

int finish(const Outcome& outcome) {
  if (!outcome.message.empty()) say(outcome.message);
  return outcome.exit_code;
}

}  // namespace

int start_attached(const std::string& name) {
  ::signal(SIGPIPE, SIG_IGN);
  Progress progress(STDERR_FILENO, ::isatty(STDERR_FILENO) == 1);
  ConsoleLog log;
  auto outcome = attend_existing(name, log, progress);
  progress.clear();
  return finish(outcome ? *outcome : error(outcome.error().message));
}

int run(const RunOptions& options) {
  if (options.detach) return run_detached(options);
  // Whoever reads our output may go away at any time; the payload is told, we carry on.
  ::signal(SIGPIPE, SIG_IGN);
  return finish(run_vm(options));
}

}  // namespace adyton::cli
