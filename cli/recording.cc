#include "cli/recording.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <csignal>

namespace adyton::cli {

namespace {

sigset_t end_signals() {
  sigset_t set;
  sigemptyset(&set);
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) sigaddset(&set, signal);
  return set;
}

}  // namespace

Result<UniqueFd> take_end_signals() {
  const sigset_t set = end_signals();
  ::pthread_sigmask(SIG_BLOCK, &set, nullptr);
  ::signal(SIGPIPE, SIG_IGN);
  UniqueFd signals(::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!signals.valid()) return fail_errno("cannot take signals");
  return signals;
}

Result<UniqueFd> open_recording(const std::optional<std::string>& file) {
  if (!file || *file == "-") {
    UniqueFd out(::fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3));
    if (!out.valid()) return fail_errno("cannot write standard output");
    if (file && ::isatty(out.get()) == 1)
      return fail(ErrorCode::kInvalidArgument, "what is recorded is not for a terminal: redirect it, or name a file");
    return out;
  }
  // Nothing has been recorded yet that an end without a word would lose.
  const sigset_t set = end_signals();
  sigset_t before;
  ::pthread_sigmask(SIG_UNBLOCK, &set, &before);
  UniqueFd out(::open(file->c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  const int error = errno;
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  errno = error;
  if (!out.valid()) return fail_errno(fmt::format("cannot write '{}'", *file));
  return out;
}

}  // namespace adyton::cli
