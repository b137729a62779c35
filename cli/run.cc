#include "cli/run.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/signalfd.h>

#include <csignal>

#include "cli/channel.h"
#include "cli/console_log.h"
#include "cli/message.h"
#include "cli/prepare.h"
#include "cli/progress.h"
#include "cli/session.h"
#include "cli/vm_process.h"

namespace adyton::cli {
namespace {

Outcome error(std::string message) { return {.exit_code = guest::kExitError, .message = std::move(message)}; }

// Whoever started us may want a signal to be ignored (nohup, a shell's background job).
bool ignored(int signal) {
  struct sigaction action{};
  return ::sigaction(signal, nullptr, &action) == 0 && action.sa_handler == SIG_IGN;
}

// From here on these signals are the session's to read. Before, they end us as they end any program.
Result<UniqueFd> take_signals() {
  sigset_t set;
  sigemptyset(&set);
  for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGWINCH, SIGCONT}) {
    if (!ignored(signal)) sigaddset(&set, signal);
  }
  if (::pthread_sigmask(SIG_BLOCK, &set, nullptr) != 0) return fail(ErrorCode::kInternal, "cannot block signals");
  UniqueFd fd(::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!fd.valid()) return fail_errno("cannot receive signals");
  return fd;
}

Result<std::array<UniqueFd, 3>> open_stdio() {
  std::array<UniqueFd, 3> stdio;
  for (int fd = 0; fd < 3; ++fd) stdio[static_cast<size_t>(fd)] = TRY(open_endpoint(fd, fd == 0));
  return stdio;
}

Result<Outcome> start_session(SessionConfig config, ConsoleLog& log, Progress& progress) {
  config.stdio = TRY(open_stdio());
  const UniqueFd signals = TRY(take_signals());
  config.signals = signals.get();
  const std::string program = TRY(find_vmm());
  VmProcess vm = TRY(VmProcess::spawn(program));
  Outcome outcome = Session(std::move(config), vm.control(), log, progress).run();
  if (outcome.vm_lost) outcome.message += fmt::format(" ({})", vm.finish());
  return outcome;
}

Outcome run_vm(const RunOptions& options) {
  Progress progress(STDERR_FILENO, !options.quiet && !options.verbose && ::isatty(STDERR_FILENO) == 1);
  const bool tty = !options.raw() && options.tty.value_or(::isatty(STDIN_FILENO) == 1 && ::isatty(STDOUT_FILENO) == 1);

  ConsoleLog log;
  UniqueFd log_file;
  if (options.console_log) {
    log_file.reset(::open(options.console_log->c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOCTTY, 0666));
    if (!log_file.valid())
      return error(fail_errno(fmt::format("cannot open the console log '{}'", *options.console_log)).error().message);
    log.copy_to(log_file.get(), fmt::format("the console log '{}'", *options.console_log));
  }
  if (options.verbose && !options.raw()) log.copy_to(STDERR_FILENO, "standard error");

  auto config = prepare(options, tty, progress);
  if (!config) return std::move(config).error();
  if ((tty || options.raw()) && ::isatty(STDIN_FILENO) == 1) config->terminal = STDIN_FILENO;
  auto outcome = start_session(std::move(*config), log, progress);
  return outcome ? std::move(*outcome) : error(outcome.error().message);
}

}  // namespace

int run(const RunOptions& options) {
  // Whoever reads our output may go away at any time; the payload is told, we carry on.
  ::signal(SIGPIPE, SIG_IGN);
  const Outcome outcome = run_vm(options);
  if (!outcome.message.empty()) say(outcome.message);
  return outcome.exit_code;
}

}  // namespace adyton::cli
