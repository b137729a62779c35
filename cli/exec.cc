#include "cli/exec.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>

#include "cli/exec_session.h"
#include "cli/message.h"
#include "cli/service.h"
#include "cli/user.h"

namespace adyton::cli {
namespace {

Outcome error(const Error& what) { return {.exit_code = guest::kExitError, .message = what.message}; }

Result<Outcome> run_exec(const ExecOptions& options) {
  ExecSessionConfig config;
  guest::ExecRequest& request = config.request;
  request.program = options.command.front();
  request.argv = options.command;
  request.env = options.env;
  request.workdir = options.workdir.value_or("/");
  request.terminal = wants_terminal(options.tty);
  if (request.terminal) {
    for (const int fd : {STDOUT_FILENO, STDIN_FILENO}) {
      if (const auto size = terminal_size(fd)) {
        request.rows = size->rows;
        request.columns = size->columns;
        break;
      }
    }
    const bool given =
        std::any_of(request.env.begin(), request.env.end(), [](const std::string& entry) { return entry.starts_with("TERM="); });
    const char* term = std::getenv("TERM");
    if (!given && term != nullptr) request.env.push_back(fmt::format("TERM={}", term));
    if (::isatty(STDIN_FILENO) == 1) config.terminal = STDIN_FILENO;
  }
  const UniqueFd signals = TRY(take_signals());  // before there are threads that a signal could go to
  config.signals = signals.get();
  TRY(reach_exec_server(config, options.name));
  config.stdio = TRY(open_stdio());
  return ExecSession(std::move(config)).run();
}

int finish(const Result<Outcome>& result) {
  const Outcome outcome = result ? *result : error(result.error());
  if (!outcome.message.empty()) say(outcome.message);
  return outcome.exit_code;
}

}  // namespace

Result<void> reach_exec_server(ExecSessionConfig& config, const std::string& name) {
  const auto manager = TRY(connect_to_service());
  const auto vm = TRY(find_vm(*manager, name));
  if (const auto info = vm->getInfo(); info && info->suspended)
    return fail(ErrorCode::kUnavailable, fmt::format("'{}' is suspended: let it run on with 'adyton resume {}'", name, name));
  config.control = TRY(vm->connectVsock(guest::kExecPort));
  config.connect = [vm](uint32_t port) { return vm->connectVsock(port); };
  return {};
}

int exec(const ExecOptions& options) {
  ::signal(SIGPIPE, SIG_IGN);
  return finish(run_exec(options));
}

}  // namespace adyton::cli
