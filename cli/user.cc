#include "cli/user.h"

#include <sys/signalfd.h>
#include <unistd.h>

#include <csignal>

#include "cli/channel.h"

namespace adyton::cli {
namespace {

bool ignored(int signal) {
  struct sigaction action {};
  return ::sigaction(signal, nullptr, &action) == 0 && action.sa_handler == SIG_IGN;
}

sigset_t our_signals() {
  sigset_t set;
  sigemptyset(&set);
  for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGWINCH, SIGCONT}) {
    if (!ignored(signal)) sigaddset(&set, signal);
  }
  return set;
}

}  // namespace

Result<UniqueFd> take_signals() {
  const sigset_t set = our_signals();
  if (::pthread_sigmask(SIG_BLOCK, &set, nullptr) != 0) return fail(ErrorCode::kInternal, "cannot block signals");
  UniqueFd fd(::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!fd.valid()) return fail_errno("cannot receive signals");
  return fd;
}

Result<void> while_signals_end_us(const std::function<Result<void>()>& work) {
  const sigset_t set = our_signals();
  sigset_t blocked;
  if (::pthread_sigmask(SIG_UNBLOCK, &set, &blocked) != 0) return fail(ErrorCode::kInternal, "cannot unblock signals");
  auto done = work();
  (void)::pthread_sigmask(SIG_SETMASK, &blocked, nullptr);
  return done;
}

Result<std::array<UniqueFd, 3>> open_stdio() {
  std::array<UniqueFd, 3> stdio;
  for (int fd = 0; fd < 3; ++fd) stdio[static_cast<size_t>(fd)] = TRY(open_endpoint(fd, fd == 0));
  return stdio;
}

bool wants_terminal(const std::optional<bool>& said) {
  return said.value_or(::isatty(STDIN_FILENO) == 1 && ::isatty(STDOUT_FILENO) == 1);
}

}  // namespace adyton::cli
