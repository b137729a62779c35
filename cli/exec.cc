#include "cli/exec.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <filesystem>

#include "cli/exec_session.h"
#include "cli/message.h"
#include "cli/service.h"
#include "cli/user.h"

namespace adyton::cli {
namespace {

namespace fs = std::filesystem;

Outcome error(const Error& what) { return {.exit_code = guest::kExitError, .message = what.message}; }

// Fills in how the guest is reached.
Result<void> reach(ExecSessionConfig& config, const std::string& name) {
  const auto manager = TRY(connect_to_service());
  const auto vm = TRY(find_vm(*manager, name));
  config.control = TRY(vm->connectVsock(guest::kExecPort));
  config.connect = [vm](uint32_t port) { return vm->connectVsock(port); };
  return {};
}

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
  TRY(reach(config, options.name));
  config.stdio = TRY(open_stdio());
  return ExecSession(std::move(config)).run();
}

// What cat and sh do there; a path never becomes part of a script.
guest::ExecRequest request_of(std::vector<std::string> argv) {
  guest::ExecRequest request;
  request.program = argv.front();
  request.argv = std::move(argv);
  return request;
}

Result<UniqueFd> open_null() {
  UniqueFd null(::open("/dev/null", O_RDWR | O_CLOEXEC));
  if (!null.valid()) return fail_errno("cannot open /dev/null");
  return null;
}

Result<Outcome> run_copy(const CopyOptions& options) {
  ExecSessionConfig config;
  config.stdio[2] = TRY(open_endpoint(STDERR_FILENO, /*for_reading=*/false));
  if (options.from.vm) {
    std::string path = options.to.path;
    std::error_code ignored;
    if (fs::is_directory(path, ignored)) path = fs::path(path) / fs::path(options.from.path).filename();
    config.request = request_of({"cat", "--", options.from.path});
    config.stdio[0] = TRY(open_null());
    if (path == "-") {
      config.stdio[1] = TRY(open_endpoint(STDOUT_FILENO, /*for_reading=*/false));
    } else {
      config.stdio[1].reset(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOCTTY, 0666));
      if (!config.stdio[1].valid()) return fail_errno(fmt::format("cannot write '{}'", path));
    }
  } else {
    const std::string& path = options.from.path;
    std::string mode = "0644";
    if (path == "-") {
      config.stdio[0] = TRY(open_endpoint(STDIN_FILENO, /*for_reading=*/true));
    } else {
      config.stdio[0].reset(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY));
      struct stat status{};
      if (!config.stdio[0].valid() || ::fstat(config.stdio[0].get(), &status) != 0)
        return fail_errno(fmt::format("cannot read '{}'", path));
      if (S_ISDIR(status.st_mode)) return fail(ErrorCode::kInvalidArgument, fmt::format("'{}' is a folder", path));
      mode = fmt::format("{:04o}", status.st_mode & 0777);
    }
    config.request = request_of({"sh", "-c", R"(p=$1; [ -d "$p" ] && p=$p/$2; cat > "$p" && chmod "$3" "$p")", "sh",
                                 options.to.path, fs::path(path).filename().string(), mode});
    config.stdio[1] = TRY(open_null());
  }
  TRY(reach(config, options.from.vm ? *options.from.vm : *options.to.vm));
  return ExecSession(std::move(config)).run();
}

int finish(const Result<Outcome>& result) {
  const Outcome outcome = result ? *result : error(result.error());
  if (!outcome.message.empty()) say(outcome.message);
  return outcome.exit_code;
}

}  // namespace

int exec(const ExecOptions& options) {
  ::signal(SIGPIPE, SIG_IGN);
  return finish(run_exec(options));
}

int copy(const CopyOptions& options) {
  ::signal(SIGPIPE, SIG_IGN);
  return finish(run_copy(options));
}

}  // namespace adyton::cli
