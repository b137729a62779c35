#include "cli/attach.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>

#include "cli/channel.h"
#include "cli/escape_filter.h"
#include "cli/message.h"
#include "cli/service.h"
#include "cli/terminal.h"
#include "cli/user.h"
#include "guest/exec_protocol.h"

namespace adyton::cli {
namespace {

// What has been written before comes at once; this is how long nothing may come for it to be over.
constexpr int kQuietMilliseconds = 200;

Result<int> run_console(const ConsoleOptions& options) {
  const UniqueFd signals = TRY(take_signals());  // before there are threads that a signal could go to
  const auto manager = TRY(connect_to_service());
  const auto vm = TRY(find_vm(*manager, options.name));
  UniqueFd stream = TRY(vm->getConsoleOutput());
  UniqueFd keys(::fcntl(stream.get(), F_DUPFD_CLOEXEC, 3));
  if (!keys.valid()) return fail_errno("cannot use the console");
  auto stdio = TRY(open_stdio());
  Channel output("standard output", std::move(stream), std::move(stdio[1]));
  Channel input("standard input", std::move(stdio[0]), std::move(keys));
  EscapeFilter escape;
  RawTerminal terminal(STDIN_FILENO);
  if (::isatty(STDIN_FILENO) == 1) {
    say("this is the console of '" + options.name + "'; ~. at the beginning of a line leaves it");
    TRY(terminal.raw());
    input.set_filter([&](std::span<uint8_t> typed) { return escape(typed); });
  }
  std::vector<pollfd> polls;
  while (!output.finished() && !escape.left()) {
    polls.assign({{.fd = signals.get(), .events = POLLIN, .revents = 0}});
    output.watch(polls);
    input.watch(polls);
    if (::poll(polls.data(), polls.size(), -1) < 0 && errno != EINTR) return fail_errno("cannot wait for the console");
    output.step(polls);
    input.step(polls);
    for (const auto* channel : {&output, &input}) {
      if (channel->error()) return std::unexpected(*channel->error());
    }
    signalfd_siginfo signal{};
    if (polls[0].revents == 0 || ::read(signals.get(), &signal, sizeof(signal)) != sizeof(signal)) continue;
    const auto number = static_cast<int>(signal.ssi_signo);
    if (number == SIGCONT && terminal.is_raw()) (void)terminal.raw();
    if (number == SIGINT || number == SIGTERM || number == SIGHUP || number == SIGQUIT) return 128 + number;
  }
  terminal.restore();
  if (!escape.left()) say("the virtual machine '" + options.name + "' has ended");
  return 0;
}

// What a stream has to say now, up to kMostKept bytes: one that never falls silent has to end somewhere.
Result<std::string> read_what_there_is(int stream) {
  constexpr size_t kMostKept = size_t{4} << 20;
  std::string text;
  char buffer[65536];
  while (text.size() < kMostKept) {
    pollfd watched{.fd = stream, .events = POLLIN, .revents = 0};
    const int ready = ::poll(&watched, 1, kQuietMilliseconds);
    if (ready == 0) break;
    const ssize_t got = ready < 0 ? ready : ::read(stream, buffer, sizeof(buffer));
    if (got == 0) break;
    if (got > 0) text.append(buffer, static_cast<size_t>(got));
    if (got < 0 && errno != EINTR && errno != EAGAIN) return fail_errno("cannot read the log");
  }
  return text;
}

Result<int> run_logs(const LogsOptions& options) {
  const auto manager = TRY(connect_to_service());
  const auto vm = TRY(find_vm_or_end(*manager, options.name));
  // The file of a VM that has ended is read as the stream of one that runs is.
  UniqueFd stream = TRY(vm->getStatus()) == VmStatus::kRunning ? TRY(vm->getLogOutput()) : TRY(last_run_of(*vm)).log;
  if (options.tail) {
    const std::string text = TRY(read_what_there_is(stream.get()));
    if (const int code = print(std::string(last_lines(text, *options.tail))); code != 0 || !options.follow) return code;
  }
  Channel output("standard output", std::move(stream), TRY(open_endpoint(STDOUT_FILENO, /*for_reading=*/false)));
  std::vector<pollfd> polls;
  while (!output.finished()) {
    polls.clear();
    output.watch(polls);
    const int ready = ::poll(polls.data(), polls.size(), options.follow ? -1 : kQuietMilliseconds);
    if (ready < 0 && errno != EINTR) return fail_errno("cannot wait for the log");
    if (ready == 0) break;
    output.step(polls);
  }
  if (output.error()) return std::unexpected(*output.error());
  return 0;
}

int finish(const Result<int>& outcome) {
  if (outcome) return *outcome;
  say(outcome.error().message);
  return guest::kExitError;
}

}  // namespace

int console(const ConsoleOptions& options) {
  ::signal(SIGPIPE, SIG_IGN);
  return finish(run_console(options));
}

std::string_view last_lines(std::string_view text, size_t count) {
  size_t from = text.size();
  if (text.ends_with('\n')) --from;  // of the last line, and not before one
  for (; count > 0; --count) {
    const size_t end = from == 0 ? std::string_view::npos : text.rfind('\n', from - 1);
    if (end == std::string_view::npos) return text;
    from = end;
  }
  return text.substr(std::min(from + 1, text.size()));
}

int logs(const LogsOptions& options) {
  ::signal(SIGPIPE, SIG_IGN);
  return finish(run_logs(options));
}

}  // namespace adyton::cli
